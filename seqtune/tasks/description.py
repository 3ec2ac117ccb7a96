"""The description of a language in figures, as a value to print or to write as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class EstimatedFigure:
    """A figure estimated by sampling, with its standard error."""

    value: float
    standard_error: float


Value: TypeAlias = int | float | str | bool | EstimatedFigure | None
"""A figure. Integers are exact, however large; None stands for an unknown figure."""


@dataclass(frozen=True)
class Figures:
    """Figures by name; the name includes the unit."""

    values: Mapping[str, Value]

    def to_data(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {name: _plain(value) for name, value in self.values.items()}


@dataclass(frozen=True)
class GridFigure:
    """A table; each row has a value for each column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]

    def to_data(self) -> list[dict[str, Any]]:
        """Return plain JSON data: one object per row."""
        return [dict(zip(self.columns, map(_plain, row), strict=True)) for row in self.rows]


@dataclass(frozen=True)
class ListedStrings:
    """Lines to print verbatim, in a monospaced font."""

    lines: tuple[str, ...]

    def to_data(self) -> list[str]:
        """Return plain JSON data."""
        return list(self.lines)


@dataclass(frozen=True)
class Description:
    """Title, summary and figures of a language.

    Attributes:
        title: the language's name.
        summary: one or two sentences.
        parts: figures by heading, in order of display.
    """

    title: str
    summary: str
    parts: Mapping[str, Figures | GridFigure | ListedStrings]

    def to_data(self) -> dict[str, Any]:
        """Return plain JSON data."""
        parts = {heading: part.to_data() for heading, part in self.parts.items()}
        return {"title": self.title, "summary": self.summary, **parts}


def _plain(value: Value) -> Any:
    if isinstance(value, EstimatedFigure):
        return {"value": value.value, "standard_error": value.standard_error}
    return value
