"""What a report calls the compared values and the cells of a sweep: the same in every figure and table.

All values of a path are named together, so that two cells never look alike, however long their blocks are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from seqtune.report import labels
from seqtune.report.data.values import is_block, is_missing
from seqtune.report.shorten import LONGEST, distinct

LONGEST_CELL, BRIEF_CELL = 100, 28
"""Letters of a cell's name: in a sentence or a table, and in a figure."""
BRIEF_VALUE, BRIEF_SETTINGS = 14, 44
"""Letters of a value in a figure, and of a name there that consists of such values."""


@dataclass(frozen=True, eq=False)
class Naming:
    """The names of a sweep's values and cells.

    Attributes:
        values: by compared path and value.
        cells: by the cell as runs and CSV files have it.
        brief: the same for figures, as far as nothing shorter tells cells apart there.
    """

    values: Mapping[str, Mapping[Any, str]]
    cells: Mapping[str, str]
    brief: Mapping[str, str]

    @property
    def compared(self) -> tuple[str, ...]:
        """The compared paths."""
        return tuple(self.values)

    def value(self, value: Any, *, path: str) -> str:
        """The name of a path's value; missing is empty."""
        return "" if is_missing(value) else self.values[path][value]

    def settings(self, row: "pd.Series[Any]", *, paths: Iterable[str]) -> str:
        """Values of these paths in one line: `layers 2, width 64`; what is missing is left out."""
        short = labels.short_names(paths)
        given = {name: self.value(row[path], path=path) for path, name in short.items()}
        return ", ".join(f"{name} {value}" for name, value in given.items() if value)

    def columns(self, cells: pd.DataFrame) -> dict[str, list[str]]:
        """What tells cells apart, as columns of a table: arm and compared values, or else their names."""
        columns: dict[str, list[str]] = {}
        arms = ["" if is_missing(arm) else str(arm) for arm in cells["arm"]]
        if any(arms):
            columns["arm"] = arms
        for path in self.compared:
            columns[path] = [self.value(value, path=path) for value in cells[path]]
        if not self.compared:
            columns["cell"] = [self.cells[cell] for cell in cells["cell"]]
        return columns


def naming(cells: pd.DataFrame, *, compared: Iterable[str]) -> Naming:
    """Names for all cells of a sweep.

    Args:
        cells: rows with `arm`, `cell` and the compared paths.
        compared: the compared paths.
    """
    values = {path: together(cells[path]) for path in compared}
    whole = [_cell(row, values=values) for _, row in cells.iterrows()]
    keys = [str(cell) for cell in cells["cell"]]
    names = dict(zip(keys, distinct(whole, longest=LONGEST_CELL), strict=True))
    brief = dict(zip(keys, _brief(cells, compared=[*values], whole=whole), strict=True))
    return Naming(values, cells=names, brief=brief)


def _brief(cells: pd.DataFrame, *, compared: Sequence[str], whole: Sequence[str]) -> list[str]:
    """Names for a figure: a long one says each value in few letters, where that keeps the cells apart."""
    values = {path: together(cells[path], longest=BRIEF_VALUE) for path in compared}
    short = labels.short_names(compared)
    names = []
    for _, row in cells.iterrows():
        parts = [] if is_missing(row["arm"]) else [str(row["arm"])]
        parts += [
            f"{name} {values[path][row[path]]}"
            for path, name in short.items()
            if not is_missing(row[path])
        ]
        names.append(", ".join(parts))
    fits = all(0 < len(name) <= BRIEF_SETTINGS for name in names)
    if max(map(len, whole), default=0) > BRIEF_CELL and fits and len(set(names)) == len(names):
        return names
    return distinct(whole, longest=BRIEF_CELL)


def together(values: Iterable[Any], *, longest: int = LONGEST) -> dict[Any, str]:
    """Name of every value of one hyperparameter, no two alike; those that are missing have none."""
    given = list(dict.fromkeys(each for each in values if not is_missing(each)))
    names = distinct([labels.value(each) for each in given], longest=longest)
    return dict(zip(given, names, strict=True))


def _cell(row: "pd.Series[Any]", *, values: Mapping[str, Mapping[Any, str]]) -> str:
    """As runs have it; one that compares a block by the names of its values."""
    given = {path: row[path] for path in values if not is_missing(row[path])}
    if not any(map(is_block, given.values())):
        return str(row["cell"])
    short = labels.short_names(values)
    settings = ", ".join(f"{short[path]}={values[path][each]}" for path, each in given.items())
    return settings if is_missing(row["arm"]) else f"{row['arm']}: {settings}"
