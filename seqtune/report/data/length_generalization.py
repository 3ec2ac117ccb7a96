"""Scores of cells on strings beyond those that they were trained on: by a changed field of the task, by length.

A value is the mean over the evaluated runs of a cell, with its 95 % interval.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import pandas as pd

from seqtune.report import labels
from seqtune.report.data import floors
from seqtune.report.data.evaluations import RecordedEvaluation
from seqtune.report.data.results import Results
from seqtune.stats.estimates import mean_of

ACCURACY = "valid/accuracy"
COLUMNS = {"valid/excess": "excess", "valid/loss": "loss", ACCURACY: "accuracy"}
"""Metrics that may be shown, and their columns in the table by length."""


@dataclass(frozen=True)
class _Point:
    """What one run scored somewhere."""

    key: tuple[Any, ...]
    value: float
    best: float


def metrics(found: Sequence[RecordedEvaluation]) -> tuple[str, str]:
    """What is shown: how far from the floor, or the loss where no floor is known, and accuracy."""
    known = all("valid/excess" in each.scores for each in found)
    return ("valid/excess" if known else "valid/loss", ACCURACY)


def changed_fields(found: Sequence[RecordedEvaluation]) -> tuple[str, ...]:
    """Fields of the task in which any evaluation differs from the training, in their order."""
    return tuple(dict.fromkeys(name for each in found for name in each.changed))


def setting(task: Any, *, fields: Sequence[str]) -> str:
    """Values of these fields in a line: `height 4`."""
    return ", ".join(f"{name} {labels.value(task[name])}" for name in fields if name in task)


def numeric_fields(found: Sequence[RecordedEvaluation]) -> tuple[str, ...]:
    """Those fields with numbers for values that some evaluation changes and nothing else with them."""
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
    """A row a cell and value of a field of the task: `cell`, `trained`, `value`, the estimate, and `best`.

    Where a run was trained stands what it scored in training after the epoch whose weights were evaluated,
    unless it was evaluated there as well.
    """
    points: list[_Point] = []
    for mine in _runs(results.evaluations):
        asked = [each for each in mine if each.changed in ((), (field,))]
        if not any(each.changed for each in asked):
            continue
        own = mine[0].own[field]
        if not any(each.changed == () for each in asked):
            points.append(_measured(mine[0], metric=metric, own=own, results=results))
        points += [
            _Point(
                key=(each.cell, own, each.task[field]),
                value=each.scores.get(metric, math.nan),
                best=each.best_accuracy,
            )
            for each in asked
        ]
    return _estimated(points, names=("cell", "trained", "value"), metric=metric)


def by_length(results: Results, *, metric: str) -> pd.DataFrame:
    """A row a cell, task that it was evaluated on, and group of lengths.

    Its columns are `cell`, `trained` and `evaluated` (the changed fields in words), `own` (whether that is what
    the runs were trained on), `first` and `last` (of the lengths), `strings`, the estimate, and `best`.
    """
    fields = changed_fields(results.evaluations)
    points = [
        _Point(
            key=(
                each.cell,
                setting(each.own, fields=fields),
                setting(each.task, fields=fields),
                not each.changed,
                *_ends(row["length"]),
                int(row["strings"]),
            ),
            value=_score(row[COLUMNS[metric]]),
            # Whoever knows how long a string is knows more than its prefix tells: no floor bounds that.
            best=math.nan,
        )
        for each in results.evaluations
        for row in each.lengths
        if COLUMNS[metric] in row
    ]
    names = ("cell", "trained", "evaluated", "own", "first", "last", "strings")
    return _estimated(points, names=names, metric=metric)


def _estimated(points: Sequence[_Point], *, names: Sequence[str], metric: str) -> pd.DataFrame:
    """A row a key, in their order."""
    groups: dict[tuple[Any, ...], list[_Point]] = {}
    for point in points:
        if not math.isnan(point.value):
            groups.setdefault(point.key, []).append(point)
    rows: list[dict[str, Any]] = []
    for key, group in groups.items():
        found = mean_of([each.value for each in group])
        best = [each.best for each in group]
        rows.append(
            {
                **dict(zip(names, key, strict=True)),
                "n": found.n,
                "mean": found.mean,
                "low": found.low,
                "high": found.high,
                "best": math.fsum(best) / len(best) if metric == ACCURACY else math.nan,
            }
        )
    return _in_order(pd.DataFrame(rows, columns=[*names, "n", "mean", "low", "high", "best"]))


def _in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """The cells in their order, each from its smallest value, or from the task with the shortest strings, on."""
    cells = {cell: place for place, cell in enumerate(frame["cell"].drop_duplicates())}
    keys = {"cell": frame["cell"].map(cells)}
    if "first" in frame:
        keys["task"] = frame.groupby(["cell", "evaluated"])["first"].transform("min")
        keys["place"] = frame["first"]
    else:
        keys["place"] = frame["value"]
    order = pd.DataFrame(keys).sort_values([*keys], kind="stable").index
    return frame.loc[order].reset_index(drop=True)


def _measured(evaluation: RecordedEvaluation, *, metric: str, own: Any, results: Results) -> _Point:
    """What the run scored in training, with the weights that were evaluated."""
    curves, runs = results.curves, results.runs
    mine = curves[
        (curves["run"] == evaluation.run)
        & (curves["metric"] == metric)
        & (curves["epoch"] == evaluation.epoch)
    ]["value"]
    value = float(mine.iloc[0]) if len(mine) else math.nan
    best = floors.line(runs[runs["run"] == evaluation.run].iloc[0], metric=ACCURACY)
    key = (evaluation.cell, own, own)
    return _Point(key, value=value, best=math.nan if best is None else best)


def _runs(found: Sequence[RecordedEvaluation]) -> Iterator[list[RecordedEvaluation]]:
    groups: dict[str, list[RecordedEvaluation]] = {}
    for each in found:
        groups.setdefault(each.run, []).append(each)
    return iter(groups.values())


def _ends(name: str) -> tuple[int, int]:
    """The shortest and the longest of a group of lengths: `7`, or `8-10`."""
    first, _, last = name.partition("-")
    return int(first), int(last or first)


def _score(data: Any) -> float:
    value = data["value"]
    return math.nan if value is None else float(value)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
