"""A language in figures: a value that a terminal renders and JSON holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class EstimatedFigure:
    """A figure found by sampling, with its standard error."""

    value: float
    standard_error: float


Value: TypeAlias = int | float | str | bool | EstimatedFigure | None
"""A figure. Whole numbers are exact, however large; None is one that nobody knows."""


@dataclass(frozen=True)
class Figures:
    """Figures by name, units in the name where they have one."""

    values: Mapping[str, Value]

    def to_data(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {name: _plain(value) for name, value in self.values.items()}


@dataclass(frozen=True)
class GridFigure:
    """A table; every row has a value for every column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]

    def to_data(self) -> list[dict[str, Any]]:
        """Plain JSON data: an object a row."""
        return [dict(zip(self.columns, map(_plain, row), strict=True)) for row in self.rows]


@dataclass(frozen=True)
class ListedStrings:
    """Lines that are shown as they stand, in letters of equal width."""

    lines: tuple[str, ...]

    def to_data(self) -> list[str]:
        """Plain JSON data."""
        return list(self.lines)


@dataclass(frozen=True)
class Description:
    """What a language is and how large.

    Attributes:
        title: the language's name.
        summary: a sentence or two.
        parts: by heading, in order.
    """

    title: str
    summary: str
    parts: Mapping[str, Figures | GridFigure | ListedStrings]

    def to_data(self) -> dict[str, Any]:
        """Plain JSON data."""
        parts = {heading: part.to_data() for heading, part in self.parts.items()}
        return {"title": self.title, "summary": self.summary, **parts}


def _plain(value: Value) -> Any:
    if isinstance(value, EstimatedFigure):
        return {"value": value.value, "standard_error": value.standard_error}
    return value
