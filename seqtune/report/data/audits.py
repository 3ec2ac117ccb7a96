"""Search trials that were stopped and ran on as audits, against the best of their cell that was not stopped."""

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
"""What an audit can find; one that failed, or that has nothing to be compared with, found nothing."""


@dataclass(frozen=True)
class Audit:
    """How a run was audited.

    Attributes:
        epoch: after which the pruner stopped it.
        state: in which it ended.
    """

    epoch: int
    state: str


def read(runs: Sequence[RecordedRun]) -> dict[str, Audit]:
    """The audits that have ended, by name of their run."""
    # One that failed and is done again has not ended.
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
    """A row an audit, in the order of `runs`: what the run would have scored had it not been stopped.

    Its regret is by how much it beats the best trial of its cell that finished: above 0, stopping it was wrong.

    Args:
        audits: by name of their run.
        runs: those of `Results`.
        cells: likewise.
        curves: likewise.
        metric: what the sweep is judged by.
    """
    mine = runs[runs["run"].isin(list(audits))]
    best = dict(zip(cells["cell"], cells["best_trial_value"], strict=True))
    then = _values_then(audits, curves=curves, metric=metric)
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
                "value_then": then.get(name, math.nan),
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
    """What the audit found."""
    if audit.state == "failed":
        return "none: it failed"
    if math.isnan(best):
        return "none: no trial of its cell finished"
    if audit.state == "diverged":
        return DIVERGED
    if math.isnan(regret):
        return "none: it has no value"
    return BETTER if regret > 0 else NOT_BETTER


def _values_then(
    audits: Mapping[str, Audit], *, curves: pd.DataFrame, metric: str
) -> dict[str, float]:
    """What each run had measured when it was stopped."""
    mine = curves[(curves["metric"] == metric) & curves["run"].isin(list(audits))]
    epochs = mine["run"].astype("object").map({name: each.epoch for name, each in audits.items()})
    stopped = mine[mine["epoch"] == epochs]
    return {
        str(run): float(value) for run, value in zip(stopped["run"], stopped["value"], strict=True)
    }
