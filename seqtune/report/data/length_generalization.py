"""Scores of cells on strings beyond their training: by a changed field of the task, and by length.

A value is the mean over the evaluated runs of a cell, with its 95 % interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import pandas as pd

from seqtune.report.data import floors
from seqtune.report.data.evaluations import RecordedEvaluation, number_or_nan
from seqtune.report.data.results import Results
from seqtune.report.naming import labels
from seqtune.stats.estimates import mean_of

ACCURACY = "valid/accuracy"
COLUMNS = {"valid/excess": "excess", "valid/loss": "loss", ACCURACY: "accuracy"}
"""Metrics that may be shown, and their columns in the table by length."""


@dataclass(frozen=True)
class _Point:
    """The score of one run in one place, with the best possible one."""

    key: tuple[Any, ...]
    value: float
    best: float


def metrics(found: Sequence[RecordedEvaluation]) -> tuple[str, str]:
    """Return the metrics to show: excess, or the loss where no floor is known, and accuracy."""
    known = all("valid/excess" in each.scores for each in found)
    return ("valid/excess" if known else "valid/loss", ACCURACY)


def changed_fields(found: Sequence[RecordedEvaluation]) -> tuple[str, ...]:
    """Return the fields of the task in which any evaluation differs from the training."""
    return tuple(dict.fromkeys(name for each in found for name in each.changed))


def setting(task: Any, *, fields: Sequence[str]) -> str:
    """Return the values of these fields on one line: `height 4`."""
    return ", ".join(f"{name} {labels.value(task[name])}" for name in fields if name in task)


def numeric_fields(found: Sequence[RecordedEvaluation]) -> tuple[str, ...]:
    """Return the numeric fields that are the only change of some evaluation."""
    alone = dict.fromkeys(each.changed[0] for each in found if len(each.changed) == 1)
    return tuple(
        name
        for name in alone
        if all(
            _is_number(task.get(name))
            for each in found
            if each.changed == (name,)
            for task in (each.own, each.task)
        )
    )


def by_field(results: Results, *, field: str, metric: str) -> pd.DataFrame:
    """Return a row per cell and value of a field: `cell`, `trained`, `value`, estimate and `best`.

    For the field's value in training, a run that was not evaluated there counts with its score in
    training after the epoch of the evaluated weights.
    """
    points: list[_Point] = []
    runs: dict[str, list[RecordedEvaluation]] = {}
    for each in results.evaluations:
        runs.setdefault(each.run, []).append(each)
    for mine in runs.values():
        asked = [each for each in mine if each.changed in ((), (field,))]
        if not any(each.changed for each in asked):
            continue
        own = mine[0].own[field]
        if not any(each.changed == () for each in asked):
            points.append(_point_in_training(mine[0], metric=metric, own=own, results=results))
        points += [
            _Point(
                key=(each.cell, own, each.task[field]),
                value=each.scores.get(metric, math.nan),
                best=each.best_accuracy,
            )
            for each in asked
        ]
    return _estimate(points, names=("cell", "trained", "value"), metric=metric)


def by_length(results: Results, *, metric: str) -> pd.DataFrame:
    """Return a row per cell, evaluated task and group of lengths.

    Its columns are `cell`, `trained` and `evaluated` (the changed fields in words), `own` (whether
    both are the same), `first` and `last` (of the lengths), `strings`, the estimate, and `best`.
    """
    fields = changed_fields(results.evaluations)
    points = [
        _Point(
            key=(
                each.cell,
                setting(each.own, fields=fields),
                setting(each.task, fields=fields),
                not each.changed,
                *_bounds(row["length"]),
                int(row["strings"]),
            ),
            value=number_or_nan(row[COLUMNS[metric]]["value"]),
            # The floor does not bound scores of strings selected by length: knowing the length of
            # a string is more than its prefix tells.
            best=math.nan,
        )
        for each in results.evaluations
        for row in each.lengths
        if COLUMNS[metric] in row
    ]
    names = ("cell", "trained", "evaluated", "own", "first", "last", "strings")
    return _estimate(points, names=names, metric=metric)


def _estimate(points: Sequence[_Point], *, names: Sequence[str], metric: str) -> pd.DataFrame:
    """Return a row per key, cell by cell."""
    groups: dict[tuple[Any, ...], list[_Point]] = {}
    for point in points:
        if not math.isnan(point.value):
            groups.setdefault(point.key, []).append(point)
    rows: list[dict[str, Any]] = []
    for key, group in groups.items():
        found = mean_of([each.value for each in group])
        best = math.fsum(each.best for each in group) / len(group)
        rows.append(
            {
                **dict(zip(names, key, strict=True)),
                **{name: getattr(found, name) for name in ("n", "mean", "low", "high")},
                "best": best if metric == ACCURACY else math.nan,
            }
        )
    return _sort(pd.DataFrame(rows, columns=[*names, "n", "mean", "low", "high", "best"]))


def _sort(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort by cell in the given order, then by value, or by task and length, shortest first."""
    cells = {cell: place for place, cell in enumerate(frame["cell"].drop_duplicates())}
    keys = {"cell": frame["cell"].map(cells)}
    if "first" in frame:
        keys["task"] = frame.groupby(["cell", "evaluated"])["first"].transform("min")
        keys["place"] = frame["first"]
    else:
        keys["place"] = frame["value"]
    order = pd.DataFrame(keys).sort_values([*keys], kind="stable").index
    return frame.loc[order].reset_index(drop=True)


def _point_in_training(
    evaluation: RecordedEvaluation, *, metric: str, own: Any, results: Results
) -> _Point:
    """Return the run's score in training with the evaluated weights."""
    curves, runs = results.curves, results.runs
    mine = curves[
        (curves["run"] == evaluation.run)
        & (curves["metric"] == metric)
        & (curves["epoch"] == evaluation.epoch)
    ]["value"]
    value = float(mine.iloc[0]) if len(mine) else math.nan
    best = floors.line(runs[runs["run"] == evaluation.run].iloc[0], metric=ACCURACY)
    return _Point((evaluation.cell, own, own), value=value, best=number_or_nan(best))


def _bounds(name: str) -> tuple[int, int]:
    """Return the shortest and the longest of a group of lengths: `7`, or `8-10`."""
    first, _, last = name.partition("-")
    return int(first), int(last or first)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
