"""The search as run directories tell it: which values each finished trial was given, and what it scored."""

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
from seqtune.report.data.values import is_missing, order
from seqtune.training.measurement import HIGHER_IS_BETTER

FEWEST = 20
"""Finished trials; fewer tell nothing of importance."""
TOP, TOP_SHARE = 5, 0.1
"""What is asked is which values make a trial one of the best: so many, or so large a share if that is more."""


@dataclass(frozen=True)
class Trial:
    """A finished search trial: the values that it was given, by path, and its last score."""

    run: str
    cell: str
    values: Mapping[str, Any]
    score: float


@dataclass(frozen=True)
class Importance:
    """How much each tuned value decides whether a trial of a cell is one of the best.

    Attributes:
        cell: its name.
        n: finished trials.
        top: how many of them count as the best.
        shares: by path, they sum to 1; empty where there are too few trials, or nothing differs.
    """

    cell: str
    n: int
    top: int
    shares: Mapping[str, float]


def trials(results: Results) -> list[Trial]:
    """The finished search trials that have a finite score, in the order of the sweep."""
    column = f"{results.metric}.last"
    runs = results.runs
    if column not in runs:
        return []
    rows = runs[(runs["state"] == "finished") & (runs["phase"] == "search")]
    return [
        Trial(
            run=str(row["run"]),
            cell=str(row["cell"]),
            values=results.tried[str(row["run"])],
            score=float(row[column]),
        )
        for _, row in rows.iterrows()
        if not is_missing(row[column]) and math.isfinite(row[column])
    ]


def tried(results: Results, *, path: str) -> list[Any]:
    """All values of a path that any search trial was given, however it ended: they show its scale."""
    searched = results.runs[results.runs["phase"] == "search"]["run"]
    given = [results.tried[str(run)] for run in searched]
    return [values[path] for values in given if path in values]


def importance(of: Sequence[Trial], *, logs: Collection[str], metric: str) -> Importance:
    """PED-ANOVA of one cell's trials, by Optuna, on a study that is built of them in memory.

    A path that only some trials have is conditional, and is judged among those.

    Args:
        of: those of the cell; at least one.
        logs: paths whose values are on a logarithmic scale.
        metric: what a score is.

    Source: Watanabe et al. 2023 (PED-ANOVA); Kaito et al. 2026 (conditional values), as Optuna names them.
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
    of: Sequence[Trial], *, ranges: Mapping[str, BaseDistribution], metric: str
) -> optuna.Study:
    """The trials as a study in memory."""
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


def _paths(of: Sequence[Trial]) -> list[str]:
    return list(dict.fromkeys(path for trial in of for path in trial.values))


def _range(of: Sequence[Trial], *, path: str, log: bool) -> BaseDistribution:
    """From the least to the greatest value that the cell tried, or the list of what it tried."""
    values = [trial.values[path] for trial in of if path in trial.values]
    if not all(isinstance(value, Real) for value in values):
        return CategoricalDistribution(sorted(dict.fromkeys(values), key=order))
    low, high = min(values), max(values)
    if all(isinstance(value, int) for value in values):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low), float(high), log=log)
