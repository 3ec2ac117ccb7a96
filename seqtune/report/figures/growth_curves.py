"""What is drawn of how far strings go beyond the training: a curve a cell, in panels of one training each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from seqtune.training.measurement import HIGHER_IS_BETTER

Floor: TypeAlias = tuple[tuple[tuple[float, float], ...], ...]
"""The best possible values along a curve, part by part: places and values."""


@dataclass(frozen=True)
class Part:
    """A stretch of a cell's curve: what it scored on strings of one task.

    Attributes:
        name: what is written at its marker below the figure; empty where all parts are of one kind.
        x: places in ascending order.
        mean: by place, with `low` and `high`; NaN where there is no interval.
        best: the best possible value there; NaN where it is not known.
    """

    name: str
    x: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    best: Sequence[float]


@dataclass(frozen=True)
class Curve:
    """A cell's curve.

    Attributes:
        panel: title of the panel that it belongs to.
        name: what tells it apart inside the panel.
        rank: the value by which the lines are ordered, and coloured light to dark; None if by nothing.
    """

    panel: str
    name: str
    rank: Any
    parts: tuple[Part, ...]


def is_log(curves: Sequence[Curve], *, metric: str) -> bool:
    """Whether the metric's scale is logarithmic: errors fall by factors; shares do not."""
    means = [value for curve in curves for part in curve.parts for value in part.mean]
    return metric not in HIGHER_IS_BETTER and any(value > 0 for value in means)


def floors(curves: Sequence[Curve]) -> dict[Floor, list[str]]:
    """The best possible values along the curves, with the names of those that share them."""
    owners: dict[Floor, list[str]] = {}
    for curve in curves:
        if found := _floor(curve):
            owners.setdefault(found, []).append(curve.name)
    return owners


def _floor(curve: Curve) -> Floor:
    """The best possible values along a curve, part by part."""
    stretches = (
        tuple(
            (x, round(best, 9))
            for x, best in zip(part.x, part.best, strict=True)
            if math.isfinite(best)
        )
        for part in curve.parts
    )
    return tuple(stretch for stretch in stretches if stretch)
