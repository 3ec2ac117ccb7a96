"""What went wrong: runs that failed or diverged, and what the sweep did about it.

Runs are read from their directories; retries, refused trials and cells without an answer from decisions.jsonl.
"""

from collections.abc import Iterator, Mapping
from itertools import starmap
from typing import Any

import pandas as pd

from seqtune.report import labels
from seqtune.report.data.results import Results
from seqtune.report.data.values import plain
from seqtune.report.naming import Naming
from seqtune.report.sections.section import Section, Table
from seqtune.runs.decision_log import DecisionLog


def section(results: Results) -> Section:
    """Failed and diverged runs; runs done again; trials refused; cells given up or without confirm runs."""
    runs, log = results.runs, results.decisions
    ill = runs[runs["state"].isin(["failed", "diverged"])]
    tables = [*_ill(ill, naming=results.naming)]
    if log is not None:
        tables += [*_retried(log, results=results), *_refused(log, naming=results.naming)]
        tables += [*_cells(log, naming=results.naming)]
    fine = () if len(ill) else ("No run failed or diverged.",)
    return Section(title="What went wrong", paragraphs=fine, tables=tuple(tables))


def _ill(runs: pd.DataFrame, *, naming: Naming) -> Iterator[Table]:
    """Runs that ended ill, by their directories."""
    columns = ["cell", "phase", "trial", "seed", "state", "reason", "epoch", "directory"]
    if len(runs):
        data = runs[columns].reset_index(drop=True)
        yield Table("Failed and diverged.", _named(data, naming=naming), name="failed", data=data)


def _retried(log: DecisionLog, *, results: Results) -> Iterator[Table]:
    """Runs that were done again, whatever came of it."""
    found = [
        {
            **{name: row[name] for name in ("cell", "phase", "trial", "seed")},
            "times": len(log.retried[row["run"]]),
            "before": "; ".join(starmap(_end, log.retried[row["run"]])),
            "now": row["state"],
            "directory": row["directory"],
        }
        for _, row in results.runs.iterrows()
        if row["run"] in log.retried
    ]
    if found:
        data = pd.DataFrame(found)
        caption = "Done again (--retry): how often, how they had ended before, and their state now."
        yield Table(caption, _named(data, naming=results.naming), name="retried", data=data)


def _refused(log: DecisionLog, *, naming: Naming) -> Iterator[Table]:
    """Trials that never became runs."""
    found = [*log.refused.values()]
    if not found:
        return
    base = [{"cell": each.cell, "trial": each.trial} for each in found]
    data = pd.DataFrame(
        [
            {**row, "reason": each.reason, **{path: plain(v) for path, v in each.tuned.items()}}
            for row, each in zip(base, found, strict=True)
        ]
    )
    shown = pd.DataFrame(
        [
            {**row, "values": _values(each.tuned), "reason": each.reason}
            for row, each in zip(base, found, strict=True)
        ]
    )
    caption = "Trials whose values could not be combined. Each counts as a failed one in its cell's search."
    yield Table(caption, _named(shown, naming=naming), name="refused", data=data)


def _cells(log: DecisionLog, *, naming: Naming) -> Iterator[Table]:
    """Cells that have no answer, or not all of it."""
    reasons = {
        **{name: ("not confirmed", reason) for name, reason in log.unconfirmed.items()},
        **{name: ("given up", reason) for name, reason in log.given_up.items()},
    }
    found = [
        {"cell": name, "what": what, "why": reason}
        for name, (what, reason) in sorted(reasons.items())
    ]
    if found:
        data = pd.DataFrame(found)
        caption = "Cells that were given up (no more of their runs are started), or that have nothing to confirm."
        yield Table(caption, _named(data, naming=naming), name="without_answer", data=data)


def _named(frame: pd.DataFrame, *, naming: Naming) -> pd.DataFrame:
    # A cell none of whose trials could be run has no name of its own.
    named = frame.assign(cell=[naming.cells.get(cell, cell) for cell in frame["cell"]])
    # A seed is a name, not a quantity: no commas.
    return named.assign(seed=named["seed"].map(labels.value)) if "seed" in named else named


def _values(tuned: Mapping[str, Any]) -> str:
    names = labels.short_names(tuned)
    return ", ".join(f"{names[path]} {labels.value(plain(v))}" for path, v in tuned.items())


def _end(state: str, reason: str | None) -> str:
    return f"{state} ({reason})" if reason else state
