"""What a nuisance hyperparameter is searched over, as a sweep file writes it.

`{uniform: [a, b]}`, `{log: [a, b]}`, `{int: [a, b]}`, `{int_log: [a, b]}` or `{choice: [...]}`, and with
`when: {path: value}` only where another hyperparameter has that value. Bounds are inclusive.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, WithJsonSchema

from seqtune.config.errors import listed, nearest, problem
from seqtune.config.spec import Spec

FEW = 16
"""So many whole numbers are all tried before a sweep begins."""


class Range(Spec):
    """Numbers from low to high; whole ones and on a logarithmic scale where said."""

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
        """Whether the value lies in the range."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def examples(self) -> list[float]:
        """Its bounds, and the whole numbers between them: all if they are few, else those next to the bounds."""
        if not self.whole:
            return [self.low, self.high]
        low, high = int(self.low), int(self.high)
        if high - low < FEW:
            return list(range(low, high + 1))
        return [low, low + 1, high - 1, high]

    def middle(self) -> float:
        """The middle between its bounds, on its own scale."""
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        return round(middle) if self.whole else middle


class Choice(Spec):
    """One of a list: numbers, text, truth values, null, or whole blocks."""

    kind: Literal["choice"]
    values: Annotated[tuple[Any, ...], Field(strict=False)]
    when: dict[str, Any] = Field(default_factory=dict)

    def takes(self, value: Any) -> bool:
        """Whether the value is in the list."""
        return value in self.values

    def examples(self) -> list[Any]:
        """All of them."""
        return list(self.values)

    def middle(self) -> Any:
        """The one in the middle of the list."""
        return self.values[len(self.values) // 2]


_RANGES = ("uniform", "log", "int", "int_log")
_NAMES = (*_RANGES, "choice")
_FORMS = "{uniform: [low, high]}, {log: ...}, {int: ...}, {int_log: ...} or {choice: [...]}"


def _expanded(value: Any) -> Any:
    """The written form as the fields of `Range` or `Choice`."""
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
        raise problem(f"low > 0 must hold on a logarithmic scale, but got {given}")
    if kind in ("int", "int_log") and (low != int(low) or high != int(high)):
        raise problem(f"{kind} needs whole numbers, but got {given}")
    return {"low": float(low), "high": float(high)}


_BOUNDS = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
_WRITTEN = {**dict.fromkeys(_RANGES, _BOUNDS), "choice": {"type": "array", "minItems": 1}}

Distribution: TypeAlias = Annotated[
    Range | Choice,
    BeforeValidator(_expanded),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {**_WRITTEN, "when": {"type": "object"}},
            "additionalProperties": False,
            "oneOf": [{"required": [name]} for name in _NAMES],
        }
    ),
]
