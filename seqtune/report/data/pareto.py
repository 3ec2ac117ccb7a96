"""Cost against quality: the Pareto front of the cells."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from seqtune.report.data.results import Results
from seqtune.report.naming.labels import is_missing
from seqtune.training.measurement import HIGHER_IS_BETTER

PRICES = {
    "flops": "FLOPs of a run",
    "seconds": "seconds of a run",
    "parameters": "parameters",
}
"""Columns of `pareto_points`, and their axis titles."""


def pareto_points(results: Results) -> pd.DataFrame:
    """Return one row per cell with a finite mean: its names, estimate and `PRICES`.

    A price is the mean over the cell's ranked runs. `front.flops` and so on state whether a cell
    lies on the front of its comparison group (`family`); a cell of unknown price does not.
    """
    runs = results.runs[results.runs["ranked"]]
    prices = runs.groupby("cell")[[*PRICES]].agg(lambda each: each.astype("float64").mean())
    # A duration that was rounded to 0 has no place on a logarithmic axis.
    prices = prices.where(prices > 0)
    rows = [
        {
            "family": row.group,
            "cell": row.cell,
            **row.estimate.columns,
            **{name: prices.loc[row.cell, name] for name in PRICES},
        }
        for row in results.ranking.rows
        if math.isfinite(row.estimate.mean)
    ]
    if not rows:
        return pd.DataFrame()
    names = results.cells[["arm", "cell", *results.compared]]
    frame = pd.DataFrame(rows).merge(names, on="cell", how="left")
    for price in PRICES:
        frame[f"front.{price}"] = _on_front(frame, price=price, metric=results.metric)
    return frame


def _on_front(frame: pd.DataFrame, *, price: str, metric: str) -> "pd.Series[bool]":
    sign = -1.0 if metric in HIGHER_IS_BETTER else 1.0
    flags = pd.Series(False, index=frame.index)
    for _, group in frame.groupby("family", sort=False):
        losses = (sign * group["mean"]).tolist()
        flags.loc[group.index] = np.array(pareto_front(group[price].tolist(), losses=losses))
    return flags


def pareto_front(prices: Sequence[float], *, losses: Sequence[float]) -> list[bool]:
    """Return which points no other point dominates in price and loss.

    Example:
        Prices 1, 2, 3 with losses 5, 6, 4: the first dominates the second; the others are on the
        front.
    """
    pairs = list(zip(prices, losses, strict=True))
    return [
        not is_missing(price)
        and not any(p <= price and q <= loss and (p < price or q < loss) for p, q in pairs)
        for price, loss in pairs
    ]
