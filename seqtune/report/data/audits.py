"""Audits: stopped search trials that ran on, against the best finished trial of their cell."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from seqtune.report.data.runs import RecordedRun
from seqtune.training.measurement import HIGHER_IS_BETTER

COLUMNS = (
    *("cell", "trial", "stopped_after", "value_then", "value_last", "best_finished", "regret"),
    *("answer", "run", "directory"),
)
BETTER, NOT_BETTER, DIVERGED = "better", "not better", "diverged"
ANSWERS = (BETTER, NOT_BETTER, DIVERGED)
"""Conclusive outcomes; an audit that failed or has nothing to compare with is inconclusive."""


@dataclass(frozen=True)
class Audit:
    """How an audited run was stopped and how it ended.

    Attributes:
        epoch: after which the pruner stopped it.
        state: in which the audit ended.
    """

    epoch: int
    state: str


def read(runs: Sequence[RecordedRun]) -> dict[str, Audit]:
    """Return the audits that have ended, by name of their run."""
    # A failed audit that is being retried has not ended.
    found = [run for run in runs if "audit" in run.info and run.info["state"] != "running"]
    return {
        run.name: Audit(epoch=run.info["audit"]["epoch"], state=run.info["audit"]["state"])
        for run in found
    }


def audits_frame(
    audits: Mapping[str, Audit],
    *,
    runs: pd.DataFrame,
    cells: pd.DataFrame,
    curves: pd.DataFrame,
    metric: str,
) -> pd.DataFrame:
    """Return one row per audit, in the order of `runs`.

    The regret is by how much the audited run beats the best finished trial of its cell: above 0,
    stopping it was wrong.

    Args:
        audits: by name of their run.
        runs: `Results.runs`.
        cells: `Results.cells`.
        curves: `Results.curves`.
        metric: the sweep's metric.
    """
    mine = runs[runs["run"].isin(list(audits))]
    best = dict(zip(cells["cell"], cells["best_trial_value"], strict=True))
    stopped_at = _values_when_stopped(audits, curves=curves, metric=metric)
    column = f"{metric}.last"
    rows = []
    for _, row in mine.iterrows():
        name, audit = str(row["run"]), audits[str(row["run"])]
        last = row[column] if audit.state == "finished" and column in mine else None
        last = math.nan if last is None else float(last)
        finished = float(best[row["cell"]])
        regret = last - finished if metric in HIGHER_IS_BETTER else finished - last
        rows.append(
            {
                "cell": row["cell"],
                "trial": row["trial"],
                "stopped_after": audit.epoch,
                "value_then": stopped_at.get(name, math.nan),
                "value_last": last,
                "best_finished": finished,
                "regret": regret,
                "answer": _answer(audit, regret=regret, best=finished),
                "run": name,
                "directory": row["directory"],
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _answer(audit: Audit, *, regret: float, best: float) -> str:
    if audit.state == "failed":
        return "none: it failed"
    if math.isnan(best):
        return "none: no trial of its cell finished"
    if audit.state == "diverged":
        return DIVERGED
    if math.isnan(regret):
        return "none: it has no value"
    return BETTER if regret > 0 else NOT_BETTER


def _values_when_stopped(
    audits: Mapping[str, Audit], *, curves: pd.DataFrame, metric: str
) -> dict[str, float]:
    """Return the last value of each run before it was stopped."""
    mine = curves[(curves["metric"] == metric) & curves["run"].isin(list(audits))]
    epochs = mine["run"].astype("object").map({name: each.epoch for name, each in audits.items()})
    stopped = mine[mine["epoch"] == epochs]
    return {
        str(run): float(value) for run, value in zip(stopped["run"], stopped["value"], strict=True)
    }
