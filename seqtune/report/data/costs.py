"""What runs cost in tokens, FLOPs and seconds, and the ranking at equal cost."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seqtune.report.data.ranking import Ranking, ranking
from seqtune.report.data.results import Results

COSTS: dict[str, str] = {
    "tokens": "tokens trained on",
    "step": "optimizer steps",
    "flops": "FLOPs",
    "seconds": "seconds",
}
"""Columns of `cost_curves`, and their axis titles."""

BUDGETS = {"tokens": "tokens", "flops": "FLOPs", "seconds": "seconds"}
"""Costs that can be made equal, and their names in a sentence."""

COUNTED = (
    "FLOPs are those of the matrix products of training, forward and backward; what scheduled "
    "sampling adds to choose its inputs is not counted."
)


def cost_curves(results: Results, *, metric: str, names: Collection[str]) -> pd.DataFrame:
    """Return one row per evaluation with the metric: `run`, `epoch`, the `COSTS`, and its `value`.

    FLOPs are missing where a run does not record the cost of a token.

    Args:
        results: the sweep's results.
        metric: whose values are given.
        names: of the runs to include.
    """
    curves = results.curves
    mine = curves[(curves["metric"] == metric) & curves["run"].isin(list(names))]
    mine = mine.dropna(subset="value")
    mine = mine.assign(run=mine["run"].astype("str"))
    per_token = mine["run"].map(_flops_per_token(results)).astype("float64")
    work = mine["tokens"].astype("float64") * per_token
    return mine.assign(flops=work)[["run", "epoch", *COSTS, "value"]]


def total_costs(results: Results) -> pd.DataFrame:
    """Return one row per run with measurements: `run`, and its `tokens`, `flops` and `seconds`."""
    ends = results.curves.groupby("run", observed=True)[["tokens", "seconds"]].max().reset_index()
    ends = ends.assign(run=ends["run"].astype("str"))
    flops = results.runs.set_index("run")["flops"].astype("float64")
    return ends.assign(flops=ends["run"].map(flops).astype("float64"))


def _flops_per_token(results: Results) -> "pd.Series[float]":
    runs = results.runs.set_index("run")
    tokens = results.curves.groupby("run", observed=True)["tokens"].max().astype("float64")
    tokens.index = tokens.index.astype("str")
    return runs["flops"].astype("float64") / tokens.reindex(runs.index)


@dataclass(frozen=True, eq=False)
class EqualBudget:
    """The scores of cells at the largest budget that all cells of their group have reached.

    Attributes:
        cost: a key of `BUDGETS`.
        amounts: by comparison group, a run's budget; no entry if the cost of some run is unknown.
        ranking: by the scores at these budgets.
    """

    cost: str
    amounts: Mapping[str, float]
    ranking: Ranking


def rank_at_equal_budgets(results: Results) -> list[EqualBudget]:
    """Rank the cells at an equal budget of every cost that is known for some comparison group."""
    runs = results.runs
    curves = cost_curves(results, metric=results.metric, names=set(runs["run"][runs["ranked"]]))
    points = {str(run): each for run, each in curves.groupby("run", sort=False)}
    groups = {row.cell: row.group for row in results.ranking.rows}
    ranked = runs[runs["ranked"] & runs["run"].isin(list(points))]
    ranked = ranked.assign(group=ranked["cell"].map(groups))
    found = [
        _equal_budget(cost, ranked=ranked, points=points, results=results)
        for cost in BUDGETS
        if len(ranked)
    ]
    return [budget for budget in found if budget.amounts]


def _equal_budget(
    cost: str, *, ranked: pd.DataFrame, points: Mapping[str, pd.DataFrame], results: Results
) -> EqualBudget:
    spent = ranked["run"].map(lambda run: float(points[str(run)][cost].iloc[-1]))
    amounts = {
        str(name): float(each.min())
        for name, each in spent.groupby(ranked["group"], sort=False)
        if not each.isna().any()
    }
    values = {
        str(run): score_at(points[str(run)], cost=cost, amount=amounts[str(group)])
        for run, group in zip(ranked["run"], ranked["group"], strict=True)
        if str(group) in amounts
    }
    column = f"{results.metric}.last"
    runs = results.runs.assign(**{column: results.runs["run"].map(values).astype("float64")})
    found = ranking(runs, results.cells, compared=results.compared, metric=results.metric)
    return EqualBudget(cost=cost, amounts=amounts, ranking=found)


def score_at(points: pd.DataFrame, *, cost: str, amount: float) -> float:
    """Interpolate a run's score at a cost between two evaluations; NaN before the first.

    Args:
        points: the run's rows of `cost_curves`.
        cost: a key of `COSTS`.
        amount: of it.
    """
    costs, values = points[cost].to_numpy("float64"), points["value"].to_numpy("float64")
    return float(np.interp(amount, costs, values, left=np.nan))
