"""Cost against quality: which cells no other one beats in both."""

import math
from collections.abc import Sequence

import pandas as pd

from seqtune.report.data.results import Results
from seqtune.report.data.values import is_missing
from seqtune.training.measurement import HIGHER_IS_BETTER

PRICES = {
    "flops": "FLOPs of a run",
    "seconds": "seconds of a run",
    "parameters": "parameters",
}
"""Columns of `points`, and what they are called on an axis."""


def points(results: Results) -> pd.DataFrame:
    """A row a cell with a finite mean: who it is, `n`, `mean`, `ci_low`, `ci_high` and the `PRICES` of a run.

    A price is the mean over the runs that stand for the cell. Whether a cell lies on the front of its family
    is in `front.flops` and so on; a cell whose price is not known lies on none.
    """
    runs = results.runs[results.runs["ranked"]]
    prices = runs.groupby("cell")[[*PRICES]].agg(lambda each: each.astype("float64").mean())
    # A duration of 0 is one too short to be told, and has no place on a logarithmic axis.
    prices = prices.where(prices > 0)
    rows = [
        {
            "family": row.family,
            "cell": row.cell,
            "n": row.estimate.n,
            "mean": row.estimate.mean,
            "ci_low": row.estimate.low,
            "ci_high": row.estimate.high,
            **{name: prices.loc[row.cell, name] for name in PRICES},
        }
        for row in results.ranking.rows
        if math.isfinite(row.estimate.mean)
    ]
    if not rows:
        return pd.DataFrame()
    who = results.cells[["arm", "cell", *results.compared]]
    frame = pd.DataFrame(rows).merge(who, on="cell", how="left")
    for price in PRICES:
        frame[f"front.{price}"] = _fronts(frame, price=price, metric=results.metric)
    return frame


def _fronts(frame: pd.DataFrame, *, price: str, metric: str) -> list[bool]:
    sign = -1.0 if metric in HIGHER_IS_BETTER else 1.0
    flags = {
        place: flag
        for _, family in frame.groupby("family", sort=False)
        for place, flag in zip(
            family.index,
            front(family[price].tolist(), losses=(sign * family["mean"]).tolist()),
            strict=True,
        )
    }
    return [flags[place] for place in frame.index]


def front(prices: Sequence[float], *, losses: Sequence[float]) -> list[bool]:
    """Which points are on the Pareto front: none is at most as dear and at most as bad, and less so in one.

    Example:
        Prices 1, 2, 3 with losses 5, 6, 4: the second is beaten by the first, the others are on the front.
    """
    pairs = list(zip(prices, losses, strict=True))
    return [
        not is_missing(price)
        and not any(p <= price and q <= loss and (p < price or q < loss) for p, q in pairs)
        for price, loss in pairs
    ]
