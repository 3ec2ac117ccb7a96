"""Axes for tuned values and scores: every value has a place between 0 and 1, whatever it is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from seqtune.report.figures.theme import log_ticks, needs_log
from seqtune.report.naming import labels
from seqtune.report.naming.labels import order
from seqtune.report.naming.names import name_values

MISSING = -0.14
"""The place of a value that a trial was not given."""


@dataclass(frozen=True)
class Axis:
    """Where the values of one path, or scores, lie.

    Attributes:
        title: what they are.
        low: the least number, at 0; `high` the greatest, at 1.
        log: whether numbers are placed by their logarithm.
        names: of values that are not all numbers, in order; empty where all are.
    """

    title: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    names: tuple[tuple[Any, str], ...] = ()

    def place(self, value: Any) -> float:
        """In [0, 1]; of a single value 1/2."""
        if self.names:
            known = [each for each, _ in self.names]
            return known.index(value) / (len(known) - 1) if len(known) > 1 else 0.5
        low, high, here = (
            math.log(each) if self.log else float(each) for each in (self.low, self.high, value)
        )
        return (here - low) / (high - low) if high > low else 0.5

    def ticks(self, *, most: int = 4) -> list[tuple[float, str]]:
        """Places and what is written at them; numbers are round."""
        if self.names:
            return [(self.place(value), name) for value, name in self.names]
        if self.low == self.high:
            return [(0.5, labels.number(self.low))]
        if self.log:
            found = log_ticks([self.low, self.high])
        else:
            # Round steps, of which at most so many lie between the ends.
            rough = (self.high - self.low) / most
            size = 10.0 ** math.floor(math.log10(rough))
            step = next(each for each in (1, 2, 5, 10) if each * size >= rough) * size
            first, last = math.ceil(self.low / step), math.floor(self.high / step)
            found = [number * step for number in range(first, last + 1)]
        inside = [each for each in found if self.low <= each <= self.high]
        step = math.ceil(len(inside) / (most + 1)) if inside else 1
        return [(self.place(each), f"{each:g}") for each in inside[::step]]


def axis(values: Sequence[Any], *, title: str) -> Axis:
    """The axis of these values, of which there is at least one."""
    if not all(isinstance(value, Real) for value in values):
        names = name_values(sorted(dict.fromkeys(values), key=order), longest=16)
        return Axis(title, names=tuple(names.items()))
    numbers = [float(value) for value in values]
    return Axis(title, low=min(numbers), high=max(numbers), log=is_log(numbers))


def is_log(values: Sequence[float]) -> bool:
    """Whether values that span much lie more evenly by their logarithms than as they are.

    What was drawn evenly between 0 and 0.4 may span a factor of 1,000, and needs no logarithms.
    """
    if not needs_log(values):
        return False
    low, high, middle = min(values), max(values), float(np.median(values))
    plain = (middle - low) / (high - low)
    by_logarithm = math.log(middle / low) / math.log(high / low)
    return abs(by_logarithm - 0.5) < abs(plain - 0.5)
