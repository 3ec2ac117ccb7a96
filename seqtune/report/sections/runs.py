"""Runs: their states, failures and divergences, retries, rejected trials, and unanswered cells.

Failures are read from run directories. Retries and rejected trials leave no directory of their own
and are read from decisions.jsonl; without that file they are not reported.
"""

from collections.abc import Iterator, Mapping
from itertools import starmap
from typing import Any

import pandas as pd

from seqtune.report.data.cells import SHARES
from seqtune.report.data.results import Results
from seqtune.report.naming import labels
from seqtune.report.naming.labels import plain
from seqtune.report.naming.names import Naming
from seqtune.report.sections.section import Section, Table
from seqtune.runs.decision_log import DecisionLog
from seqtune.runs.directory import STATES

RUNNING = ["cell", "phase", "trial", "seed", "epoch", "directory"]
FAILED = ["cell", "phase", "trial", "seed", "state", "reason", "epoch", "directory"]
"""Columns of the tables of running runs, and of failed and diverged ones."""


def section(results: Results) -> Section:
    """Return counts by state, and everything that went wrong."""
    runs, log, naming = results.runs, results.decisions, results.naming
    tables = [Table("Runs by state. Only finished runs are ranked.", _counts(results))]
    tables.append(_shares(results))
    paragraphs: list[str] = []
    running = runs[runs["state"] == "running"]
    if len(running):
        verb = "is" if len(running) == 1 else "are"
        paragraphs.append(
            f"{labels.plural(len(running), 'run')} {verb} still in state running: the sweep was in "
            "progress when the report was built, or it was interrupted. Run the same command again "
            "to continue."
        )
        tables.append(_table("Running, or interrupted.", running[RUNNING], "running", naming))
    failed = runs[runs["state"].isin(["failed", "diverged"])]
    if len(failed):
        tables.append(_table("Failed and diverged runs.", failed[FAILED], "failed", naming))
    else:
        paragraphs.append("No run failed or diverged.")
    if log is not None:
        tables += [*_retried(log, results=results), *_rejected(log, naming=naming)]
        tables += [*_unanswered(log, naming=naming)]
    return Section(title="Runs", paragraphs=tuple(paragraphs), tables=tuple(tables))


def _counts(results: Results) -> pd.DataFrame:
    cells = results.cells[["cell", *STATES]]
    runs = cells[list(STATES)].sum(axis=1)
    counts = cells.assign(runs=runs, cell=cells["cell"].map(results.naming.cells))
    total = counts.drop(columns="cell").sum().to_dict() | {"cell": "total"}
    return pd.concat([counts, pd.DataFrame([total])], ignore_index=True)[counts.columns]


def _shares(results: Results) -> Table:
    """Return the shares of the states that occur."""
    cells = results.cells
    data = cells[["arm", "cell", *results.compared, *SHARES.values()]].assign(
        runs=cells[list(STATES)].sum(axis=1)
    )
    shown = pd.DataFrame({"cell": cells["cell"].map(results.naming.cells)}).assign(
        **{
            f"{state}, %": (100 * cells[share]).round(1)
            for state, share in SHARES.items()
            if cells[share].any()
        }
    )
    caption = (
        "Runs by state as shares of all runs of the cell, search trials and confirm runs together "
        f"({labels.counts(data['runs'])})."
    )
    return Table(caption, shown, name="states", data=data)


def _retried(log: DecisionLog, *, results: Results) -> Iterator[Table]:
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
        caption = (
            "Retried runs (--retry): how often, how they had ended before, and their state now."
        )
        yield _table(caption, pd.DataFrame(found), "retried", results.naming)


def _rejected(log: DecisionLog, *, naming: Naming) -> Iterator[Table]:
    """List trials that never became runs."""
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
    caption = (
        "Rejected trials, whose values cannot be combined. Each counts as a failed trial in its "
        "cell's search."
    )
    yield Table(caption, _with_names(shown, naming), name="refused", data=data)


def _unanswered(log: DecisionLog, *, naming: Naming) -> Iterator[Table]:
    reasons = {
        **{name: ("not confirmed", reason) for name, reason in log.unconfirmed.items()},
        **{name: ("given up", reason) for name, reason in log.given_up.items()},
    }
    found = [
        {"cell": name, "what": what, "why": reason}
        for name, (what, reason) in sorted(reasons.items())
    ]
    if found:
        caption = "Cells that were given up (no more runs are started) or have nothing to confirm."
        yield _table(caption, pd.DataFrame(found), "without_answer", naming)


def _table(caption: str, data: pd.DataFrame, name: str, naming: Naming) -> Table:
    data = data.reset_index(drop=True)
    return Table(caption, _with_names(data, naming), name=name, data=data)


def _with_names(frame: pd.DataFrame, naming: Naming) -> pd.DataFrame:
    # A cell without a single run is in no frame, so it has no name.
    named = frame.assign(cell=[naming.cells.get(cell, cell) for cell in frame["cell"]])
    # A seed is an identifier, so it gets no thousands separator.
    return named.assign(seed=named["seed"].map(labels.value)) if "seed" in named else named


def _values(tuned: Mapping[str, Any]) -> str:
    names = labels.short_names(tuned)
    return ", ".join(f"{names[path]} {labels.value(plain(v))}" for path, v in tuned.items())


def _end(state: str, reason: str | None) -> str:
    return f"{state} ({reason})" if reason else state
