"""Search trials: the tuned values and scores of finished trials, and hyperparameter importance."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from seqtune.report.data.results import Results
from seqtune.report.naming.labels import is_missing, order
from seqtune.training.measurement import HIGHER_IS_BETTER

FEWEST = 20
"""Fewest finished trials for which importance is estimated."""
TOP, TOP_SHARE = 5, 0.1
"""Trials that count as the best of a cell: this many, or this share if that is more."""


@dataclass(frozen=True)
class SearchTrial:
    """A finished search trial with its tuned values by path and its last score."""

    run: str
    cell: str
    values: Mapping[str, Any]
    score: float


@dataclass(frozen=True)
class Importance:
    """How much each tuned value determines whether a trial of a cell is among the best.

    Attributes:
        cell: its name.
        n: number of finished trials.
        top: how many of them count as the best.
        shares: by path, summing to 1; empty if there are too few trials, or nothing differs.
    """

    cell: str
    n: int
    top: int
    shares: Mapping[str, float]


def search_trials(results: Results) -> list[SearchTrial]:
    """Return the finished search trials that have a finite score, in the order of the sweep."""
    column = f"{results.metric}.last"
    runs = results.runs
    if column not in runs:
        return []
    rows = runs[(runs["state"] == "finished") & (runs["phase"] == "search")]
    return [
        SearchTrial(
            run=str(row["run"]),
            cell=str(row["cell"]),
            values=results.tried[str(row["run"])],
            score=float(row[column]),
        )
        for _, row in rows.iterrows()
        if not is_missing(row[column]) and math.isfinite(row[column])
    ]


def tried_values(results: Results, *, path: str) -> list[Any]:
    """Return the values of a path that any search trial was given, whatever its state."""
    searched = results.runs[results.runs["phase"] == "search"]["run"]
    given = [results.tried[str(run)] for run in searched]
    return [values[path] for values in given if path in values]


def importance(of: Sequence[SearchTrial], *, logs: Collection[str], metric: str) -> Importance:
    """Estimate the importance of one cell's tuned values by Optuna's PED-ANOVA.

    A path that only some trials have is conditional; its importance is estimated among those.

    Args:
        of: the finished trials of the cell; at least one.
        logs: paths whose values are on a logarithmic scale.
        metric: of the scores.

    Source: Watanabe et al. 2023 (PED-ANOVA); Kaito et al. 2026 (conditional values).
    """
    n = len(of)
    top = max(TOP, math.ceil(TOP_SHARE * n))
    ranges = {path: _range(of, path=path, log=path in logs) for path in _paths(of)}
    differ = len({trial.score for trial in of}) > 1
    if n < FEWEST or not differ or all(each.single() for each in ranges.values()):
        return Importance(of[0].cell, n=n, top=top, shares={})
    evaluator = PedAnovaImportanceEvaluator(target_quantile=top / n)
    shares = get_param_importances(_study(of, ranges=ranges, metric=metric), evaluator=evaluator)
    return Importance(of[0].cell, n=n, top=top, shares={path: shares[path] for path in ranges})


def _study(
    of: Sequence[SearchTrial], *, ranges: Mapping[str, BaseDistribution], metric: str
) -> optuna.Study:
    """Return the trials as an in-memory Optuna study."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    higher = metric in HIGHER_IS_BETTER
    study = optuna.create_study(direction="maximize" if higher else "minimize")
    for trial in of:
        given = {path: ranges[path] for path in trial.values}
        study.add_trial(
            optuna.trial.create_trial(
                params=dict(trial.values), distributions=given, value=trial.score
            )
        )
    return study


def _paths(of: Sequence[SearchTrial]) -> list[str]:
    return list(dict.fromkeys(path for trial in of for path in trial.values))


def _range(of: Sequence[SearchTrial], *, path: str, log: bool) -> BaseDistribution:
    """Return the range of the values that the cell tried, or the list of categories."""
    values = [trial.values[path] for trial in of if path in trial.values]
    if not all(isinstance(value, Real) for value in values):
        return CategoricalDistribution(sorted(dict.fromkeys(values), key=order))
    low, high = min(values), max(values)
    if all(isinstance(value, int) for value in values):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low), float(high), log=log)
