"""Whether stopping was right: what became of the stopped trials that ran on all the same."""

import math
from collections.abc import Mapping

import pandas as pd

from seqtune.report import labels
from seqtune.report.data.audits import ANSWERS, BETTER, DIVERGED, audits_frame
from seqtune.report.data.results import Results
from seqtune.report.sections.section import Section, Table
from seqtune.stats.proportions import proportion
from seqtune.training.measurement import HIGHER_IS_BETTER

MOST_SHOWN = 20
"""Audited trials that are shown one by one; the file has all."""


def section(results: Results) -> Section | None:
    """How often a stopped trial would have won its cell; None where nothing was stopped."""
    stopped = _stopped(results)
    if not stopped:
        return None
    title = "Was stopping right?"
    if not results.audits:
        return Section(title, paragraphs=(_not_asked(sum(stopped.values())),))
    found = audits_frame(
        results.audits,
        runs=results.runs,
        cells=results.cells,
        curves=results.curves,
        metric=results.metric,
    )
    tables = (_by_cell(found, stopped=stopped, results=results), _each(found, results=results))
    return Section(title, paragraphs=(_answer(found, sum(stopped.values())),), tables=tables)


def _stopped(results: Results) -> dict[str, int]:
    """By cell, how many search trials were stopped, those included that went on as audits."""
    runs = results.runs
    told = (runs["state"] == "stopped") | runs["run"].isin(list(results.audits))
    counts = runs[told & (runs["phase"] == "search")]["cell"].value_counts()
    return {cell: int(counts[cell]) for cell in results.cells["cell"] if cell in counts}


def _not_asked(stopped: int) -> str:
    was = "was" if stopped == 1 else "were"
    return (
        f"{labels.plural(stopped, 'search trial')} {was} stopped, and nobody knows what would have become of "
        f"{'it' if stopped == 1 else 'them'}. With --set search.audit=0.05 that share of those that are stopped "
        "runs on to the last epoch, and stands here."
    )


def _answer(found: pd.DataFrame, stopped: int) -> str:
    """The share that would have won, with its interval, and what is left out."""
    answers = found["answer"]
    n, better = int(answers.isin(ANSWERS).sum()), int((answers == BETTER).sum())
    sentences = [
        f"Of {labels.plural(stopped, 'search trial')} that {'was' if stopped == 1 else 'were'} stopped, "
        f"{len(found):,} ran on to the last epoch as {'an audit' if len(found) == 1 else 'audits'} "
        "(search.audit), drawn by chance. They are ranked nowhere and changed nothing in the search."
    ]
    if n:
        share = proportion(better, of=n)
        sentences.append(
            f"Of {labels.plural(n, 'audited trial')}, {better or 'none'} would have beaten the best finished trial of "
            f"{'its' if n == 1 else 'their'} cell: {labels.percent(better / n)} (95 % Clopper-Pearson interval "
            f"{labels.percent(share.low)} to {labels.percent(share.high)})."
        )
    if diverged := int((answers == DIVERGED).sum()):
        sentences.append(f"{diverged:,} of them diverged, so stopping was right.")
    if without := len(found) - n:
        sentences.append(f"{labels.plural(without, 'audit')} gave no answer.")
    return " ".join(sentences)


def _by_cell(found: pd.DataFrame, *, stopped: Mapping[str, int], results: Results) -> Table:
    data = pd.DataFrame([_row(found, cell=cell, stopped=count) for cell, count in stopped.items()])
    intervals = [
        f"{labels.percent(low)} to {labels.percent(high)}" if n else ""
        for n, low, high in zip(data["answered"], data["low"], data["high"], strict=True)
    ]
    shown = pd.DataFrame(
        {
            "cell": data["cell"].map(results.naming.cells),
            "stopped": data["stopped"],
            "audited": data["audited"],
            "with an answer": data["answered"],
            "better than the best": data["better"],
            "95 % interval": intervals,
            "largest regret": data["largest_regret"],
        }
    )
    caption = (
        "Trials that were stopped, those of them that were audited, and how many of these would have beaten the best "
        f"finished trial of the cell. The largest regret is by how much {results.metric} of an audited trial is "
        f"{_ahead(results.metric)} that of the best: above 0, the search missed so much by stopping it."
    )
    return Table(caption, shown, name="audit", data=data)


def _ahead(metric: str) -> str:
    return "above" if metric in HIGHER_IS_BETTER else "below"


def _row(found: pd.DataFrame, *, cell: str, stopped: int) -> dict[str, object]:
    mine = found[found["cell"] == cell]
    answered, better = (
        int(mine["answer"].isin(ANSWERS).sum()),
        int((mine["answer"] == BETTER).sum()),
    )
    share = proportion(better, of=answered)
    regrets = mine["regret"].dropna()
    return {
        "cell": cell,
        "stopped": stopped,
        "audited": len(mine),
        "answered": answered,
        "better": better,
        "low": share.low,
        "high": share.high,
        "largest_regret": float(regrets.max()) if len(regrets) else math.nan,
    }


def _each(found: pd.DataFrame, *, results: Results) -> Table:
    """The audited trials, those first that stopping did most wrong."""
    data = found.sort_values("regret", ascending=False, kind="stable").reset_index(drop=True)
    names = results.naming.cells
    first = data.head(MOST_SHOWN)
    shown = pd.DataFrame(
        {
            "cell": first["cell"].map(names),
            "trial": first["trial"],
            "stopped after epoch": first["stopped_after"],
            "value then": first["value_then"],
            "value at the end": first["value_last"],
            "best finished": first["best_finished"],
            "regret": first["regret"],
            "answer": first["answer"],
        }
    )
    part = f" Shown are the first {MOST_SHOWN} of {len(data):,}." if len(data) > MOST_SHOWN else ""
    caption = f"Audited trials by their regret. Values are {results.metric}.{part}"
    return Table(caption, shown, name="audited_trials", data=data)
