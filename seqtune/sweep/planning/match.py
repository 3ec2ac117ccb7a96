"""What the cells of a sweep are brought to the same of: as many parameters, or FLOPs a token.

For every cell one whole number of its model is solved: of all values with which the model can be built, that
which comes nearest. It is then a fixed value of the cell's runs like any other.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from seqtune.config.errors import problem
from seqtune.config.spec import Spec

Amount: TypeAlias = Literal["parameters", "flops"]
UNITS: dict[Amount, str] = {"parameters": "parameters", "flops": "FLOPs a token"}

NEXT = 64
"""So many values are tried in a row for one with which the model can be built."""

LARGEST = 1 << 24
"""No larger value is tried."""


class MatchSpec(Spec):
    """What is the same in every cell, and which field of the model is solved for it."""

    parameters: int | None = Field(default=None, ge=1)
    """Weights that training changes."""
    flops: float | None = Field(default=None, gt=0)
    """FLOPs of a scored token, forward and backward: `flops_per_token` of run.json."""
    by: str = "model.width"
    tolerance: float = Field(default=0.02, gt=0, lt=1)
    """How far a cell may be off, as a share."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.parameters is None) == (self.flops is None):
            given = "neither" if self.parameters is None else "both"
            raise problem(f"needs one of parameters: N and flops: N, but got {given}")
        return self

    @property
    def amount(self) -> Amount:
        """Of what there is to be as much."""
        return "flops" if self.parameters is None else "parameters"

    @property
    def target(self) -> float:
        """How much of it."""
        found = self.flops if self.parameters is None else self.parameters
        assert found is not None, "checked above"
        return found


@dataclass(frozen=True)
class Reached:
    """A value of the field that is solved, and how much comes of it."""

    value: int
    reached: float


@dataclass(frozen=True)
class Matched:
    """What was solved for a cell.

    Attributes:
        by: dotted path of the field.
        value: its value.
        amount: what it was solved for; `target` and `reached` are how much was wanted and is there.
    """

    by: str
    value: int
    amount: Amount
    target: float
    reached: float

    @property
    def mismatch(self) -> float:
        """How far it is off, as a share of what was wanted; negative for too little."""
        return self.reached / self.target - 1

    def to_data(self) -> dict[str, Any]:
        """Plain data, for plan.json."""
        return {
            "by": self.by,
            "value": self.value,
            "of": self.amount,
            "target": self.target,
            "reached": self.reached,
            "mismatch": self.mismatch,
        }


def first_value(legal: Callable[[int], bool], *, start: int = 1) -> int | None:
    """The least legal value from `start` on, among `NEXT`; None if there is none."""
    return next((value for value in range(start, start + NEXT) if legal(value)), None)


def nearest_values(
    target: float,
    *,
    first: int,
    legal: Callable[[int], bool],
    measure: Callable[[int], float],
) -> list[Reached]:
    """The legal values next to the target: one below and one at or above it; only one if the other is not.

    Args:
        target: how much is wanted.
        first: the least legal value.
        legal: whether the model can be built with a value.
        measure: how much comes of a legal value; it never falls.
    """
    below, above = None, Reached(first, measure(first))
    while above.reached < target:
        below = above
        beyond = _beyond(below, target=target)
        value = first_value(legal, start=beyond) or first_value(legal, start=below.value + 1)
        if value is None or value > LARGEST:
            return [below]
        above = Reached(value, measure(value))
    if below is None:
        return [above]
    halve = False
    while (value := _between(below, above, target=target, legal=legal, halve=halve)) is not None:
        found = Reached(value, measure(value))
        below, above = (found, above) if found.reached < target else (below, found)
        halve = not halve
    return [below, above]


def _beyond(below: Reached, *, target: float) -> int:
    """A value that is probably enough: as much grows with the square of a width at most."""
    factor = min(16.0, 1.05 * math.sqrt(target / below.reached))
    return max(below.value + 1, math.ceil(below.value * factor))


def _between(
    below: Reached,
    above: Reached,
    *,
    target: float,
    legal: Callable[[int], bool],
    halve: bool,
) -> int | None:
    """A legal value between two, where the target is by a power law, or in the middle; None if none is."""
    if above.value - below.value == 1:
        return None
    share = math.log(target / below.reached) / math.log(above.reached / below.reached)
    guess = round(below.value * (above.value / below.value) ** share)
    middle = (below.value + above.value) // 2 if halve else guess
    start = min(max(middle, below.value + 1), above.value - 1)
    upward = range(start, above.value)
    downward = range(start - 1, below.value, -1)
    return next((value for value in (*upward, *downward) if legal(value)), None)
