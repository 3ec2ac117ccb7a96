"""The best run of every cell: the one whose curve is drawn and whose generations are shown."""

from collections.abc import Sequence

import pandas as pd

from seqtune.training.measurement import HIGHER_IS_BETTER


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


def sorted_by(runs: pd.DataFrame, *, metric: str) -> pd.DataFrame:
    """The runs with the best last value first; those without one stay last, and equals in their order."""
    score = f"{metric}.last"
    if score not in runs:
        return runs
    return runs.sort_values(score, ascending=metric not in HIGHER_IS_BETTER, kind="stable")
