"""How cells are laid out on paper: which compared path is the x axis, which the y axis, which a panel."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from seqtune.report.naming.labels import is_missing, order
from seqtune.report.naming.names import task_first


@dataclass(frozen=True)
class Layout:
    """The roles of an arm's compared paths in a figure; both axes are None where nothing is compared."""

    x: str | None
    y: str | None
    panels: tuple[str, ...]


def layout(paths: Iterable[str]) -> Layout:
    """The task on the x axis, the model on the y axis, every further path told apart by panels."""
    x, *others = task_first(paths) or [None]
    y = next((path for path in others if path and path.partition(".")[0] != "task"), None)
    y = y or next(iter(others), None)
    return Layout(x=x, y=y, panels=tuple(path for path in others if path and path != y))


def layouts(cells: pd.DataFrame, *, compared: Iterable[str]) -> dict[Layout, pd.DataFrame]:
    """The cells by their layout: arms that compare the same paths share a figure."""
    found: dict[Layout, list[int]] = {}
    names = list(compared)
    for position, (_, cell) in enumerate(cells.iterrows()):
        own = [path for path in names if not is_missing(cell[path])]
        found.setdefault(layout(own), []).append(position)
    return {each: cells.iloc[positions] for each, positions in found.items()}


def values(cells: pd.DataFrame, *, path: str) -> list[Any]:
    """The distinct values of a compared path, numbers in ascending order, then text."""
    given = [each for each in cells[path] if not is_missing(each)]
    return sorted(dict.fromkeys(given), key=order)
