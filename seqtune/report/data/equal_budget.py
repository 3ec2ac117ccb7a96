"""The ranking again, had every cell been given the same: tokens, FLOPs or seconds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seqtune.report.data.costs import costed
from seqtune.report.data.ranking import Ranking, ranking
from seqtune.report.data.results import Results

BUDGETS = {"tokens": "tokens", "flops": "FLOPs", "seconds": "seconds"}
"""By name in `costs.COSTS`, what is made equal."""


@dataclass(frozen=True, eq=False)
class Budget:
    """What the cells score at the largest budget that all of their family have reached.

    Attributes:
        cost: name in `BUDGETS`.
        amounts: by family, the budget of a run; families of which a run does not say what it cost have none.
        ranking: by the scores there.
    """

    cost: str
    amounts: Mapping[str, float]
    ranking: Ranking


def budgets(results: Results) -> list[Budget]:
    """One for every cost that is known of some family; families are those of the ranking."""
    runs = results.runs
    known = costed(results, metric=results.metric, names=set(runs["run"][runs["ranked"]]))
    points = {str(run): each for run, each in known.groupby("run", sort=False)}
    family = {row.cell: row.family for row in results.ranking.rows}
    standing = runs[runs["ranked"] & runs["run"].isin(list(points))]
    standing = standing.assign(family=standing["cell"].map(family))
    made = [
        _budget(cost, standing=standing, points=points, results=results)
        for cost in BUDGETS
        if len(standing)
    ]
    return [budget for budget in made if budget.amounts]


def _budget(
    cost: str, *, standing: pd.DataFrame, points: Mapping[str, pd.DataFrame], results: Results
) -> Budget:
    spent = standing["run"].map(lambda run: float(points[str(run)][cost].iloc[-1]))
    amounts = {
        str(name): float(each.min())
        for name, each in spent.groupby(standing["family"], sort=False)
        if not each.isna().any()
    }
    values = {
        str(run): score_at(points[str(run)], cost=cost, amount=amounts[str(family)])
        for run, family in zip(standing["run"], standing["family"], strict=True)
        if str(family) in amounts
    }
    column = f"{results.metric}.last"
    runs = results.runs.assign(**{column: results.runs["run"].map(values).astype("float64")})
    found = ranking(runs, results.cells, compared=results.compared, metric=results.metric)
    return Budget(cost=cost, amounts=amounts, ranking=found)


def score_at(points: pd.DataFrame, *, cost: str, amount: float) -> float:
    """A run's score at a cost, on the line between the evaluations before and after; NaN before the first.

    Args:
        points: of the run, as `costed` gives them.
        cost: name of a column.
        amount: of it.
    """
    costs, values = points[cost].to_numpy("float64"), points["value"].to_numpy("float64")
    return float(np.interp(amount, costs, values, left=np.nan))
