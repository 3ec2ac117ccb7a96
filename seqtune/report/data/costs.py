"""What a run had cost by each of its evaluations: tokens, steps, FLOPs and seconds."""

from collections.abc import Collection

import pandas as pd

from seqtune.report.data.results import Results

COSTS: dict[str, str] = {
    "tokens": "tokens trained on",
    "step": "optimizer steps",
    "flops": "FLOPs",
    "seconds": "seconds",
}
"""Columns of `costed`, and what they are called on an axis."""

COUNTED = (
    "FLOPs are those of the matrix products of training, forward and backward; what scheduled sampling adds to "
    "choose its inputs is not counted."
)


def costed(results: Results, *, metric: str, names: Collection[str]) -> pd.DataFrame:
    """A row an evaluation of a run that has the metric: `run`, `epoch`, the `COSTS`, and its `value`.

    FLOPs are missing where the run does not say what a token costs.

    Args:
        results: with the curves.
        metric: whose values are given.
        names: of the runs that are asked for; others are left out.
    """
    curves = results.curves
    mine = curves[(curves["metric"] == metric) & curves["run"].isin(list(names))]
    mine = mine.dropna(subset="value")
    mine = mine.assign(run=mine["run"].astype("str"))
    per_token = mine["run"].map(_flops_per_token(results)).astype("float64")
    work = mine["tokens"].astype("float64") * per_token
    return mine.assign(flops=work)[["run", "epoch", *COSTS, "value"]]


def spent(results: Results) -> pd.DataFrame:
    """A row a run that has measured anything: `run`, and its `tokens`, `flops` and `seconds` so far."""
    ends = results.curves.groupby("run", observed=True)[["tokens", "seconds"]].max().reset_index()
    ends = ends.assign(run=ends["run"].astype("str"))
    flops = results.runs.set_index("run")["flops"].astype("float64")
    return ends.assign(flops=ends["run"].map(flops).astype("float64"))


def _flops_per_token(results: Results) -> "pd.Series[float]":
    """By run."""
    runs = results.runs.set_index("run")
    tokens = results.curves.groupby("run", observed=True)["tokens"].max().astype("float64")
    tokens.index = tokens.index.astype("str")
    return runs["flops"].astype("float64") / tokens.reindex(runs.index)
