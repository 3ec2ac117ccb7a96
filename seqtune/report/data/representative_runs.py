"""Runs that represent their cells: the best run of each cell, and all runs that are ranked."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from seqtune.training.measurement import HIGHER_IS_BETTER


@dataclass(frozen=True)
class RepresentativeRun:
    """A run that represents its cell.

    Attributes:
        directory: path relative to the root of the report.
    """

    run: str
    cell: str
    directory: str


def best_runs(
    runs: pd.DataFrame, *, cells: pd.DataFrame, compared: Sequence[str], metric: str
) -> pd.DataFrame:
    """Return one row per cell: its best ranked run, or its best search trial if it has none.

    Args:
        runs: `Results.runs`, with the column `ranked`.
        cells: `Results.cells`, which give the order.
        compared: the compared paths.
        metric: runs are compared by its last value.
    """
    searches = (runs["state"] == "finished") & (runs["phase"] == "search")
    ordered = sort_by_metric(runs[runs["ranked"] | searches], metric=metric)
    searched = ordered["phase"] == "search"
    best = pd.concat([ordered[~searched], ordered[searched]]).drop_duplicates("cell")
    # A run's own columns also hold what its arm leaves fixed, so take the cell's compared values.
    best = best.drop(columns=list(compared))
    return cells[["cell", *compared]].merge(best, on="cell")


def representative_runs(runs: pd.DataFrame, *, best: pd.DataFrame) -> tuple[RepresentativeRun, ...]:
    """Return the ranked runs, and the best search trials of cells without any, in run order.

    Args:
        runs: `Results.runs`, with the column `ranked`.
        best: the frame of `best_runs`.
    """
    alone = best[~best["cell"].isin(runs[runs["ranked"]]["cell"])]["run"]
    mine = runs[runs["ranked"] | runs["run"].isin(alone)]
    return tuple(
        RepresentativeRun(run=str(run), cell=str(cell), directory=str(directory))
        for run, cell, directory in zip(mine["run"], mine["cell"], mine["directory"], strict=True)
    )


def sort_by_metric(runs: pd.DataFrame, *, metric: str) -> pd.DataFrame:
    """Sort runs by their last value, best first and missing values last; the sort is stable."""
    score = f"{metric}.last"
    if score not in runs:
        return runs
    return runs.sort_values(score, ascending=metric not in HIGHER_IS_BETTER, kind="stable")
