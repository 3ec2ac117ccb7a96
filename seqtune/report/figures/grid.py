"""How cells are laid out: which compared path is the x axis, which the y axis, which a panel."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from seqtune.report import labels
from seqtune.report.data.values import is_missing, order
from seqtune.report.naming import Naming


@dataclass(frozen=True)
class Layout:
    """The roles of an arm's compared paths; both axes are None where nothing is compared."""

    x: str | None
    y: str | None
    panels: tuple[str, ...]


def task_first(paths: Iterable[str]) -> list[str]:
    """Compared paths with those of the task before all others: what is asked before who answers."""
    return sorted(paths, key=lambda path: path.partition(".")[0] != "task")


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


def names(cells: pd.DataFrame, *, naming: Naming) -> list[str]:
    """What tells cells apart in few words: the arm and the compared values that differ."""
    arms = ["" if is_missing(arm) else str(arm) for arm in cells["arm"]]
    paths = [path for path in naming.compared if cells[path].nunique(dropna=False) > 1]
    found: list[str] = []
    for arm, (_, cell) in zip(arms, cells.iterrows(), strict=True):
        parts = (arm if len(set(arms)) > 1 else "", naming.settings(cell, paths=paths))
        found.append(", ".join(part for part in parts if part))
    if all(found) and len(set(found)) == len(found):
        return found
    return [naming.brief[cell] for cell in cells["cell"]]


def named_groups(
    cells: pd.DataFrame, *, groups: Sequence[Hashable], naming: Naming
) -> dict[Hashable, list[str]]:
    """Group -> what makes it: values of one compared path if that decides, else its cells' names.

    Args:
        cells: to be told apart.
        groups: of each cell, the group that it belongs to.
        naming: of the sweep; of its compared paths those of the task are tried first.
    """
    short = labels.short_names(naming.compared)
    for path in task_first(naming.compared):
        owners: dict[str, set[Hashable]] = {}
        for value, group in zip(cells[path], groups, strict=True):
            owners.setdefault(f"{short[path]}={naming.value(value, path=path)}", set()).add(group)
        if not cells[path].isna().any() and all(len(each) == 1 for each in owners.values()):
            return _turned((name, group) for name, (group,) in owners.items())
    return _turned(zip((naming.cells[cell] for cell in cells["cell"]), groups, strict=True))


def _turned(named: Iterable[tuple[str, Hashable]]) -> dict[Hashable, list[str]]:
    found: dict[Hashable, list[str]] = {}
    for name, group in named:
        found.setdefault(group, []).append(name)
    return found


def values(cells: pd.DataFrame, *, path: str) -> list[Any]:
    """The distinct values of a compared path, numbers in ascending order, then text."""
    given = [each for each in cells[path] if not is_missing(each)]
    return sorted(dict.fromkeys(given), key=order)
