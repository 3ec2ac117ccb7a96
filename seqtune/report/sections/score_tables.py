"""Tables that came with what models generated, such as scores by test set.

A table whose rows have a name (the first of their texts) is shown. Where it says how many were exact, the cells
stand beside each other; any other is that of the best cell alone.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import pandas as pd

from seqtune.report import labels
from seqtune.report.data.sample_selection import Answer, Answers, epochs, runs
from seqtune.report.sections.section import Table

Row: TypeAlias = Mapping[str, str | float]

EXACT, CELLS = "exact", "cells"
"""Columns of shares: completions right in all, and cells right."""


def tables(answers: Answers) -> list[Table]:
    """All tables that have names in their rows, in the order in which they came."""
    names = dict.fromkeys(
        name for each in answers.shown for name in each.examination.tables if _key(each, name)
    )
    return [found for name in names if (found := _table(name, answers=answers))]


def _table(name: str, *, answers: Answers) -> Table | None:
    having = [each for each in answers.shown if _key(each, name)]
    if len(having) > 1 and all(EXACT in _rows(each, name)[0] for each in having):
        return _beside(name, having=having, answers=answers)
    best = answers.best
    if _key(best, name) is None:
        return None
    whose = "" if len(answers.shown) == 1 else f", of the best cell ({best.label})"
    if len(answers.shown) > 1 and best.cell == best.run:
        whose = ", of the best run"
    rows = [{column: _field(value) for column, value in row.items()} for row in _rows(best, name)]
    return Table(f"{_capital(name)}{whose}. {runs([best])}", pd.DataFrame(rows))


def _beside(name: str, *, having: Sequence[Answer], answers: Answers) -> Table:
    """A row a name, a column a cell; counts that all cells share, such as boards, stay columns."""
    key = _key(having[0], name) or ""
    by_cell = [{row[_key(each, name) or key]: row for row in _rows(each, name)} for each in having]
    titles = list(dict.fromkeys(title for each in by_cell for title in each))
    columns: dict[str, list[object]] = {key: list(titles)}
    for column, value in _rows(having[0], name)[0].items():
        counts = [
            {row.get(column) for each in by_cell if (row := each.get(title))} for title in titles
        ]
        if isinstance(value, int) and all(len(each) == 1 for each in counts):
            columns[column] = [each.pop() for each in counts]
    for cell, rows in zip(having, by_cell, strict=True):
        columns[cell.name] = [_shares(rows.get(title)) for title in titles]
    with_cells = any(CELLS in row for rows in by_cell for row in rows.values())
    caption = (
        f"{_capital(name)}: share of completions that are right in all"
        + (", in brackets share of cells right" if with_cells else "")
        + f", of {answers.whose}, {epochs(answers.shown)}."
    )
    return Table(caption, pd.DataFrame(columns))


def _key(cell: Answer, name: str) -> str | None:
    """The column with the names of a table's rows; None if there is none, or no such table."""
    rows = _rows(cell, name)
    columns = rows[0] if rows else {}
    return next(
        (column for column in columns if all(isinstance(row[column], str) for row in rows)), None
    )


def _rows(cell: Answer, name: str) -> Sequence[Row]:
    return cell.examination.tables.get(name, ())


def _shares(row: Row | None) -> str:
    if row is None:
        return ""
    cells = f" ({labels.share(row[CELLS])})" if CELLS in row else ""
    return labels.share(row[EXACT]) + cells


def _field(value: str | float) -> str | float:
    """Shares and all other fractions in as many digits as they need."""
    return labels.share(value) if isinstance(value, float) and 0 <= value <= 1 else value


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
