"""What a Vega-Lite specification holds: its rows, its parameters and its marks."""

from collections.abc import Iterator
from typing import Any

from seqtune.report.figures.theme import Spec


def rows(spec: Spec, **where: Any) -> list[dict[str, Any]]:
    """Rows of all data sets that have these values."""
    every = [row for rows in spec["datasets"].values() for row in rows]
    return [row for row in every if all(row.get(name) == each for name, each in where.items())]


def texts(spec: Spec) -> set[str]:
    """Every text in the data."""
    return {value for row in rows(spec) for value in row.values() if isinstance(value, str)}


def parameters(spec: Spec) -> dict[str, Any]:
    return {each["name"]: each for each in spec.get("params", ())}


def options(spec: Spec, name: str) -> list[str]:
    """What a reader can choose, as it is called on the page."""
    return parameters(spec)[name]["bind"]["labels"]


def marks(part: Any) -> Iterator[dict[str, Any]]:
    """Every mark with its encoding, whatever it is nested in."""
    if isinstance(part, dict):
        if "mark" in part:
            yield part
        for name, each in part.items():
            if name not in ("datasets", "config"):
                yield from marks(each)
    elif isinstance(part, list):
        for each in part:
            yield from marks(each)


def channel(spec: Spec, name: str) -> dict[str, Any]:
    """The first encoding of a channel that says what its scale is."""
    found = [each["encoding"][name] for each in marks(spec) if name in each.get("encoding", {})]
    return next(each for each in found if each.get("scale"))
