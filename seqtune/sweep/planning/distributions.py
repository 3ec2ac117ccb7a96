"""Search spaces: distributions of tuned hyperparameters, and points of a search space.

`{uniform: [a, b]}`, `{log: [a, b]}`, `{int: [a, b]}`, `{int_log: [a, b]}` or `{choice: [...]}`, and
with `when: {path: value}` only where another hyperparameter has that value. Bounds are inclusive.
"""

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, WithJsonSchema

from seqtune.config.errors import listed, nearest, problem
from seqtune.config.spec import Spec

FEW = 16
"""An integer range with at most so many values is checked in full before a sweep starts."""


class Range(Spec):
    """Numbers from low to high, integers or on a log scale depending on `kind`."""

    kind: Literal["uniform", "log", "int", "int_log"]
    low: float
    high: float
    when: dict[str, Any] = Field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return self.kind in ("int", "int_log")

    @property
    def log(self) -> bool:
        return self.kind in ("log", "int_log")

    def takes(self, value: Any) -> bool:
        """Return whether the value lies in the range."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def examples(self) -> list[float]:
        """Return the bounds, and for integers all values if few, else those next to the bounds."""
        if not self.whole:
            return [self.low, self.high]
        low, high = int(self.low), int(self.high)
        if high - low < FEW:
            return list(range(low, high + 1))
        return [low, low + 1, high - 1, high]

    def middle(self) -> float:
        """Return the middle of the range, on its own scale."""
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        return round(middle) if self.whole else middle


class Choice(Spec):
    """One of a list: numbers, text, booleans, null, or whole blocks."""

    kind: Literal["choice"]
    values: Annotated[tuple[Any, ...], Field(strict=False)]
    when: dict[str, Any] = Field(default_factory=dict)

    def takes(self, value: Any) -> bool:
        """Return whether the value is in the list."""
        return value in self.values

    def examples(self) -> list[Any]:
        """Return all values."""
        return list(self.values)

    def middle(self) -> Any:
        """Return the middle of the list."""
        return self.values[len(self.values) // 2]


_RANGES = ("uniform", "log", "int", "int_log")
_NAMES = (*_RANGES, "choice")
_FORMS = "{uniform: [low, high]}, {log: ...}, {int: ...}, {int_log: ...} or {choice: [...]}"


def _expand(value: Any) -> Any:
    """Convert the form in a file to the fields of `Range` or `Choice`."""
    if isinstance(value, Range | Choice):
        return value
    if not isinstance(value, Mapping):
        raise problem(f"must be {_FORMS}, but got {value!r}")
    unknown = [name for name in value if name not in (*_NAMES, "when")]
    if unknown:
        raise problem(f"no such distribution: {unknown[0]}{nearest(unknown[0], (*_NAMES, 'when'))}")
    given = [name for name in _NAMES if name in value]
    if len(given) != 1:
        raise problem(f"must be one of {_FORMS}, but got {listed(given) or 'none of them'}")
    if not isinstance(value.get("when", {}), Mapping):
        raise problem(f"when must be {{path: value}}, but got {value['when']!r}")
    kind, argument, when = given[0], value[given[0]], value.get("when", {})
    if kind == "choice":
        if not isinstance(argument, list | tuple) or not argument:
            raise problem(f"choice needs a list of at least one value, but got {argument!r}")
        return {"kind": kind, "values": argument, "when": when}
    return {"kind": kind, **_bounds(kind, argument), "when": when}


def _bounds(kind: str, argument: Any) -> dict[str, float]:
    numbers = isinstance(argument, list | tuple) and all(
        isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each)
        for each in argument
    )
    if not numbers or len(argument) != 2:
        raise problem(f"{kind} needs [low, high], two finite numbers, but got {argument!r}")
    low, high = argument
    given = f"(low={low}, high={high})"
    if not low <= high:
        raise problem(f"low <= high must hold, but got {given}")
    if kind in ("log", "int_log") and low <= 0:
        raise problem(f"low > 0 must hold on a log scale, but got {given}")
    if kind in ("int", "int_log") and (low != int(low) or high != int(high)):
        raise problem(f"{kind} needs integers, but got {given}")
    return {"low": float(low), "high": float(high)}


_BOUNDS = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
_WRITTEN = {**dict.fromkeys(_RANGES, _BOUNDS), "choice": {"type": "array", "minItems": 1}}

Distribution: TypeAlias = Annotated[
    Range | Choice,
    BeforeValidator(_expand),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {**_WRITTEN, "when": {"type": "object"}},
            "additionalProperties": False,
            "oneOf": [{"required": [name]} for name in _NAMES],
        }
    ),
]


Tune: TypeAlias = Mapping[str, Range | Choice]
"""A search space, by dotted path."""

MOST_TRIED = 128
"""Combinations that are checked before a sweep starts; of more, a part."""


def active(tune: Tune, values: Mapping[str, Any]) -> list[str]:
    """Return the paths that apply: without a condition, or with one that `values` meet."""
    return [
        path
        for path, each in tune.items()
        if all(other in values and values[other] == value for other, value in each.when.items())
    ]


def grid_points(tune: Tune) -> list[dict[str, Any]]:
    """Return every combination of the tuned lists, in the order of the file."""
    return _drop_inactive(
        _combinations({path: each.examples() for path, each in tune.items()}), tune
    )


def first_point(tune: Tune) -> dict[str, Any]:
    """Return the point with the first value of everything."""
    values = {path: each.examples()[0] for path, each in tune.items()}
    return {path: values[path] for path in active(tune, values)}


def middle_point(tune: Tune) -> dict[str, Any]:
    """Return the point in the middle of every range and list."""
    values = {path: each.middle() for path, each in tune.items()}
    return {path: values[path] for path in active(tune, values)}


def tried_points(tune: Tune) -> list[dict[str, Any]]:
    """Return points to check before a sweep: combinations of bounds, choices and integers.

    Of more than `MOST_TRIED` combinations: every combination of the ends of ranges and lists, if
    these are few enough, and every value together with the first of all others.
    """
    values = {path: each.examples() for path, each in tune.items()}
    if math.prod(map(len, values.values())) <= MOST_TRIED:
        return _drop_inactive(_combinations(values), tune)
    ends = {path: [each[0], each[-1]] for path, each in values.items()}
    few = 2 ** len(ends) <= MOST_TRIED
    corners = _combinations(ends) if few else _diagonal(ends)
    return _drop_inactive(itertools.chain(corners, _one_by_one(values, tune=tune)), tune)


def _combinations(values: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for point in itertools.product(*values.values()):
        yield dict(zip(values, point, strict=True))


def _diagonal(ends: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for end in (0, 1):
        yield {path: each[end] for path, each in ends.items()}


def _one_by_one(values: Mapping[str, list[Any]], *, tune: Tune) -> Iterator[dict[str, Any]]:
    first = {path: each[0] for path, each in values.items()}
    for path, several in values.items():
        for value in several:
            yield {**first, **tune[path].when, path: value}


def _drop_inactive(points: Iterable[dict[str, Any]], tune: Tune) -> list[dict[str, Any]]:
    """The points without inactive paths, and without duplicates."""
    kept = [{path: point[path] for path in active(tune, point)} for point in points]
    return list({json.dumps(point): point for point in kept}.values())
