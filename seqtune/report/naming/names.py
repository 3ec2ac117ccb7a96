"""What a report calls the compared values and the cells of a sweep, in every figure and table.

All values of a path are named together, so that no two cells get the same name however long their
blocks are.
"""

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import pandas as pd

from seqtune.report.naming import labels
from seqtune.report.naming.labels import is_block, is_missing

LONGEST = 40
"""Characters of a name in a figure or a table."""
LONGEST_CELL, BRIEF_CELL = 100, 28
"""Characters of a cell's name: in a sentence or a table, and in a figure."""
BRIEF_VALUE, BRIEF_SETTINGS = 14, 44
"""Characters of a value in a figure, and of a cell's name made of such values."""


@dataclass(frozen=True, eq=False)
class Naming:
    """The names of a sweep's compared values and cells.

    Attributes:
        values: by compared path and value.
        cells: by the cell's key in runs and CSV files.
        brief: the same, shortened for figures as far as names stay distinct.
    """

    values: Mapping[str, Mapping[Any, str]]
    cells: Mapping[str, str]
    brief: Mapping[str, str]

    @property
    def compared(self) -> tuple[str, ...]:
        """The compared paths."""
        return tuple(self.values)

    def value(self, value: Any, *, path: str) -> str:
        """Return the name of a path's value; missing is empty."""
        return "" if is_missing(value) else self.values[path][value]

    def settings(self, row: "pd.Series[Any]", *, paths: Iterable[str]) -> str:
        """Return given values of these paths on one line: `layers 2, width 64`."""
        short = labels.short_names(paths)
        given = {name: self.value(row[path], path=path) for path, name in short.items()}
        return ", ".join(f"{name} {value}" for name, value in given.items() if value)

    def columns(self, cells: pd.DataFrame) -> dict[str, list[str]]:
        """Return columns that identify cells: arm and compared values, or else the cells' names."""
        columns: dict[str, list[str]] = {}
        arms = _arms(cells)
        if any(arms):
            columns["arm"] = arms
        for path in self.compared:
            columns[path] = [self.value(value, path=path) for value in cells[path]]
        if not self.compared:
            columns["cell"] = [self.cells[cell] for cell in cells["cell"]]
        return columns

    def distinguish(self, cells: pd.DataFrame) -> list[str]:
        """Name these cells by the arm and the compared values that differ between them."""
        arms = _arms(cells)
        paths = [path for path in self.compared if cells[path].nunique(dropna=False) > 1]
        found: list[str] = []
        for arm, (_, cell) in zip(arms, cells.iterrows(), strict=True):
            parts = (arm if len(set(arms)) > 1 else "", self.settings(cell, paths=paths))
            found.append(", ".join(filter(None, parts)))
        if all(found) and len(set(found)) == len(found):
            return found
        return [self.brief[cell] for cell in cells["cell"]]

    def name_groups(
        self, cells: pd.DataFrame, *, groups: Sequence[Hashable]
    ) -> dict[Hashable, list[str]]:
        """Name each group by the values of one compared path if it decides, else by its cells.

        Args:
            cells: rows with `cell` and the compared paths. Paths of the task are tried first.
            groups: the group of each cell.
        """
        short = labels.short_names(self.compared)
        for path in task_first(self.compared):
            owners: dict[str, set[Hashable]] = {}
            for value, group in zip(cells[path], groups, strict=True):
                name = f"{short[path]}={self.value(value, path=path)}"
                owners.setdefault(name, set()).add(group)
            if not cells[path].isna().any() and all(len(each) == 1 for each in owners.values()):
                return _by_group((name, group) for name, (group,) in owners.items())
        return _by_group(zip((self.cells[cell] for cell in cells["cell"]), groups, strict=True))


def name_cells(cells: pd.DataFrame, *, compared: Iterable[str]) -> Naming:
    """Name all cells of a sweep.

    Args:
        cells: rows with `arm`, `cell` and the compared paths.
        compared: the compared paths.
    """
    values = {path: name_values(cells[path]) for path in compared}
    full = [_full_name(row, values=values) for _, row in cells.iterrows()]
    keys = [str(cell) for cell in cells["cell"]]
    names = dict(zip(keys, distinct(full, longest=LONGEST_CELL), strict=True))
    brief = dict(zip(keys, _brief_names(cells, compared=[*values], full=full), strict=True))
    return Naming(values, cells=names, brief=brief)


def name_values(values: Iterable[Any], *, longest: int = LONGEST) -> dict[Any, str]:
    """Name every value of one hyperparameter, no two alike; missing values get no name."""
    given = list(dict.fromkeys(each for each in values if not is_missing(each)))
    names = distinct([labels.value(each) for each in given], longest=longest)
    return dict(zip(given, names, strict=True))


def task_first(paths: Iterable[str]) -> list[str]:
    """Sort compared paths so that those of the task come first."""
    return sorted(paths, key=lambda path: path.partition(".")[0] != "task")


def _full_name(row: "pd.Series[Any]", *, values: Mapping[str, Mapping[Any, str]]) -> str:
    """Return the cell's key, or the named values of a cell that compares a block."""
    given = {path: row[path] for path in values if not is_missing(row[path])}
    if not any(map(is_block, given.values())):
        return str(row["cell"])
    short = labels.short_names(values)
    settings = ", ".join(f"{short[path]}={values[path][each]}" for path, each in given.items())
    return settings if is_missing(row["arm"]) else f"{row['arm']}: {settings}"


def _brief_names(cells: pd.DataFrame, *, compared: Sequence[str], full: Sequence[str]) -> list[str]:
    """Name cells in a figure: long names by shortened values, where that keeps cells distinct."""
    values = {path: name_values(cells[path], longest=BRIEF_VALUE) for path in compared}
    short = labels.short_names(compared)
    names = []
    for arm, (_, row) in zip(_arms(cells), cells.iterrows(), strict=True):
        settings = (
            f"{name} {values[path][row[path]]}"
            for path, name in short.items()
            if not is_missing(row[path])
        )
        names.append(", ".join((*filter(None, [arm]), *settings)))
    fits = all(0 < len(name) <= BRIEF_SETTINGS for name in names)
    if max(map(len, full), default=0) > BRIEF_CELL and fits and len(set(names)) == len(names):
        return names
    return distinct(full, longest=BRIEF_CELL)


def _arms(cells: pd.DataFrame) -> list[str]:
    return ["" if is_missing(arm) else str(arm) for arm in cells["arm"]]


def _by_group(named: Iterable[tuple[str, Hashable]]) -> dict[Hashable, list[str]]:
    found: dict[Hashable, list[str]] = {}
    for name, group in named:
        found.setdefault(group, []).append(name)
    return found


def distinct(texts: Sequence[str], *, longest: int = LONGEST) -> list[str]:
    """Shorten each text to one line of at most `longest` characters, no two alike.

    Texts that would become alike are cut so that the part where they differ stays. Those that are
    alike even so, or were from the beginning, are numbered.

    Example:
        In 16 characters `phased (3 1; 7 0.5)` and `phased (3 1; 7 0.2)` become `phased (… 0.5)`
        and `phased (… 0.2)`.
    """
    lines = [" ".join(text.split()) for text in texts]
    return _number_equal(_shorten(lines, alike=0, longest=longest), longest=longest)


def _shorten(lines: Sequence[str], *, alike: int, longest: int) -> list[str]:
    """Cut lines that share their first `alike` characters; a few may still come out the same."""
    end = max(map(len, lines), default=0)
    names = [_cut(line, alike=alike, end=end, longest=longest) for line in lines]
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        groups.setdefault(name, []).append(place)
    for places in groups.values():
        inside = [lines[place] for place in places]
        columns = zip(*inside, strict=False)
        same = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
        if len(set(inside)) > 1 and same > alike:
            shorter = _shorten(inside, alike=same, longest=longest)
            for place, name in zip(places, shorter, strict=True):
                names[place] = name
    return names


def _cut(line: str, *, alike: int, end: int, longest: int) -> str:
    """Shorten a long line, keeping the part where lines begin to differ.

    A block keeps its kind, and as many fields as fit; any other name keeps its beginning.

    Args:
        line: the line to cut.
        alike: where it begins to differ from others.
        end: length of the longest of them.
        longest: characters that the name may have.
    """
    if len(line) <= longest:
        return line
    kind, bracket, _ = line.partition(" (")
    block = bool(bracket) and line.endswith(")") and len(kind) <= longest // 2
    if alike == 0 and not block:
        return labels.clip(line, longest=longest)
    head = f"{kind} (" if block else line[: longest // 4]
    start = _start(line, alike=alike, end=end, space=longest - len(head) - len("… "))
    head, rest = (f"{head}… ", line[start:]) if start > len(head) else (head, line[len(head) :])
    space = longest - len(head)
    mark = "…)" if block else "…"
    return head + (rest if len(rest) <= space else _first_words(rest, space - len(mark)) + mark)


def _start(line: str, *, alike: int, end: int, space: int) -> int:
    """Return where to resume after the cut: at the difference, or earlier if the end still fits."""
    # From the beginning of the word that differs, unless that is too far away.
    start = max(line.rfind(" ", 0, alike) + 1, alike - space // 2)
    parts = (found.end() for found in re.finditer("[,;] ", line))
    return min((each for each in parts if end - space <= each <= start), default=start)


def _first_words(text: str, space: int) -> str:
    """Return as many words as fit, and a blank, or the beginning of a too long first word."""
    words = text[:space].rpartition(" ")[0].rstrip(",;")
    return f"{words} " if words else text[:space]


def _number_equal(names: Sequence[str], *, longest: int) -> list[str]:
    """Append a number to the second of equal names and to every further one."""
    found: dict[str, None] = {}
    for each in names:
        name, count = each, 1
        while name in found:
            count += 1
            mark = f" #{count}"
            name = each[: longest - len(mark)] + mark
        found[name] = None
    return list(found)
