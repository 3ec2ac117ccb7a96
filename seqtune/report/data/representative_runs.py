"""The best run of every cell, whose curve is drawn and whose generations are shown; and all that stand for one."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from seqtune.training.measurement import HIGHER_IS_BETTER


@dataclass(frozen=True)
class Standing:
    """A run that stands for its cell.

    Attributes:
        directory: its path below the root of the report.
    """

    run: str
    cell: str
    directory: str


def best_runs(
    runs: pd.DataFrame, *, cells: pd.DataFrame, compared: Sequence[str], metric: str
) -> pd.DataFrame:
    """A row a cell: its best finished confirm run, or its best search trial if it has none.

    Args:
        runs: those of `Results`, with the column `ranked`.
        cells: those of `Results`, which give the order.
        compared: paths whose every combination is a cell.
        metric: what is best has its best last value.
    """
    searches = (runs["state"] == "finished") & (runs["phase"] == "search")
    ordered = sorted_by(runs[runs["ranked"] | searches], metric=metric)
    searched = ordered["phase"] == "search"
    chosen = pd.concat([ordered[~searched], ordered[searched]]).drop_duplicates("cell")
    # The compared values of a cell: a run's own columns also hold what its arm leaves fixed.
    chosen = chosen.drop(columns=list(compared))
    return cells[["cell", *compared]].merge(chosen, on="cell")


def standing(runs: pd.DataFrame, *, best: pd.DataFrame) -> tuple[Standing, ...]:
    """The runs that are ranked, and of a cell without any its best search trial, in the order of `runs`.

    Args:
        runs: those of `Results`, with the column `ranked`.
        best: those of `best_runs`.
    """
    alone = best[~best["cell"].isin(runs[runs["ranked"]]["cell"])]["run"]
    mine = runs[runs["ranked"] | runs["run"].isin(alone)]
    return tuple(
        Standing(run=str(run), cell=str(cell), directory=str(directory))
        for run, cell, directory in zip(mine["run"], mine["cell"], mine["directory"], strict=True)
    )


def sorted_by(runs: pd.DataFrame, *, metric: str) -> pd.DataFrame:
    """The runs with the best last value first; those without one stay last, and equals in their order."""
    score = f"{metric}.last"
    if score not in runs:
        return runs
    return runs.sort_values(score, ascending=metric not in HIGHER_IS_BETTER, kind="stable")
