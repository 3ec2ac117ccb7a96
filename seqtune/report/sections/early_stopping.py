"""Early stopping: whether stopped trials would have won, judged by audits that ran on."""

import math
from collections.abc import Mapping

import pandas as pd

from seqtune.report.data.audits import ANSWERS, BETTER, DIVERGED, audits_frame
from seqtune.report.data.results import Results
from seqtune.report.naming import labels
from seqtune.report.sections.section import Section, Table
from seqtune.stats.proportions import proportion
from seqtune.training.measurement import HIGHER_IS_BETTER

MOST_SHOWN = 20
"""Audited trials in the table; its file has all."""


def section(results: Results) -> Section | None:
    """Return how often a stopped trial would have won its cell; None where nothing was stopped."""
    stopped = _count_stopped(results)
    if not stopped:
        return None
    title, count = "Early stopping", sum(stopped.values())
    if not results.audits:
        return Section(title, paragraphs=(_not_audited(count),))
    audits = audits_frame(
        results.audits,
        runs=results.runs,
        cells=results.cells,
        curves=results.curves,
        metric=results.metric,
    )
    tables = (_by_cell(audits, stopped=stopped, results=results), _each(audits, results=results))
    return Section(title, paragraphs=(_summary(audits, count),), tables=tables)


def _count_stopped(results: Results) -> dict[str, int]:
    """Count stopped search trials by cell, including audited ones."""
    runs = results.runs
    stopped = (runs["state"] == "stopped") | runs["run"].isin(list(results.audits))
    counts = runs[stopped & (runs["phase"] == "search")]["cell"].value_counts()
    return {cell: int(counts[cell]) for cell in results.cells["cell"] if cell in counts}


def _not_audited(stopped: int) -> str:
    was, it = ("was", "it") if stopped == 1 else ("were", "they")
    return (
        f"{labels.plural(stopped, 'search trial')} {was} stopped; how {it} would have ended is not "
        "known. With --set search.audit=0.05, that share of the stopped trials runs on to the last "
        "epoch and is reported here."
    )


def _summary(audits: pd.DataFrame, stopped: int) -> str:
    """Return the share of audited trials that would have won, with its interval."""
    answers = audits["answer"]
    n, better = int(answers.isin(ANSWERS).sum()), int((answers == BETTER).sum())
    sentences = [
        f"Of {labels.plural(stopped, 'search trial')} that {'was' if stopped == 1 else 'were'} "
        f"stopped, {len(audits):,} ran on to the last epoch as "
        f"{'a random audit' if len(audits) == 1 else 'random audits'} (search.audit). Audits are "
        "not ranked and have no effect on the search."
    ]
    if n:
        share = proportion(better, of=n)
        sentences.append(
            f"Of {labels.plural(n, 'audited trial')}, {better or 'none'} would have beaten the "
            f"best finished trial of {'its' if n == 1 else 'their'} cell: "
            f"{labels.percent(better / n)} (95 % Clopper-Pearson interval "
            f"{labels.percent(share.low)} to {labels.percent(share.high)})."
        )
    if diverged := int((answers == DIVERGED).sum()):
        sentences.append(f"{diverged:,} of them diverged, so stopping was right.")
    if without := len(audits) - n:
        sentences.append(f"{labels.plural(without, 'audit')} had no conclusive result.")
    return " ".join(sentences)


def _by_cell(audits: pd.DataFrame, *, stopped: Mapping[str, int], results: Results) -> Table:
    data = pd.DataFrame([_row(audits, cell=cell, stopped=count) for cell, count in stopped.items()])
    intervals = [
        f"{labels.percent(low)} to {labels.percent(high)}" if n else ""
        for n, low, high in zip(data["answered"], data["low"], data["high"], strict=True)
    ]
    shown = pd.DataFrame(
        {
            "cell": data["cell"].map(results.naming.cells),
            "stopped": data["stopped"],
            "audited": data["audited"],
            "conclusive": data["answered"],
            "better than the best": data["better"],
            "95 % interval": intervals,
            "largest regret": data["largest_regret"],
        }
    )
    ahead = "above" if results.metric in HIGHER_IS_BETTER else "below"
    caption = (
        "Stopped trials, how many of them were audited, and how many of these would have beaten "
        f"the best finished trial of the cell. The regret is by how much {results.metric} of an "
        f"audited trial is {ahead} that of the best one: a regret above 0 is what the search lost "
        "by stopping it."
    )
    return Table(caption, shown, name="audit", data=data)


def _row(audits: pd.DataFrame, *, cell: str, stopped: int) -> dict[str, object]:
    mine = audits[audits["cell"] == cell]
    answered = int(mine["answer"].isin(ANSWERS).sum())
    better = int((mine["answer"] == BETTER).sum())
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


def _each(audits: pd.DataFrame, *, results: Results) -> Table:
    """List the audited trials, largest regret first."""
    data = audits.sort_values("regret", ascending=False, kind="stable").reset_index(drop=True)
    first = data.head(MOST_SHOWN)
    shown = pd.DataFrame(
        {
            "cell": first["cell"].map(results.naming.cells),
            "trial": first["trial"],
            "stopped after epoch": first["stopped_after"],
            "value then": first["value_then"],
            "value at the end": first["value_last"],
            "best finished": first["best_finished"],
            "regret": first["regret"],
            "answer": first["answer"],
        }
    )
    part = f" The first {MOST_SHOWN} of {len(data):,} are shown." if len(data) > MOST_SHOWN else ""
    caption = f"Audited trials by their regret. Values are {results.metric}.{part}"
    return Table(caption, shown, name="audited_trials", data=data)
