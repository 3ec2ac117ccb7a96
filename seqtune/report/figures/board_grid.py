"""Which boards share a figure: those of cells that were asked mostly the same.

Cells of one task are asked the same boards. Where a sweep compares sizes or rules they are not, and
another prompt or target would be shown beside a prediction that it does not belong to.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import pandas as pd

from seqtune.report.data.sample_selection import CellSamples
from seqtune.report.figures import boards
from seqtune.tasks.generative_evaluation import Sample

ROWS = 6
"""Samples on a sheet."""
PREDICTION = "prediction"
"""The panel that is the model's own; all others are asked."""

Asked: TypeAlias = Hashable
Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Sheet:
    """Cells, the samples chosen, and of how many."""

    cells: tuple[CellSamples, ...]
    rows: tuple[boards.Row, ...]
    kept: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns of a board."""
        return next(iter(self.rows[0].asked.values())).shape

    def data(self) -> pd.DataFrame:
        """A row a board, written as digits with strokes between the board's rows."""
        rows: list[dict[str, object]] = []
        for row in self.rows:
            for name, board in row.asked.items():
                rows.append({"sample": row.title, "panel": name, "board": _digits(board)})
            for cell, answer in zip(self.cells, row.answers, strict=True):
                if answer is not None:
                    whose = {"cell": cell.cell, "run": cell.run, "epoch": cell.epoch}
                    board = {"panel": PREDICTION, "board": _digits(answer.board)}
                    rows.append({"sample": row.title, **whose, **board})
        columns = ["sample", "panel", "cell", "run", "epoch", "board"]
        return pd.DataFrame(rows, columns=columns).astype({"epoch": "Int64"})


def sheets(shown: Iterable[CellSamples]) -> list[Sheet]:
    """A sheet for all cells that share at least half of what they were asked."""
    samples = {each: _by_question(each) for each in shown}
    groups: list[list[CellSamples]] = []
    for cell, mine in samples.items():
        if not mine:
            continue
        for group in groups:
            if 2 * len(mine.keys() & samples[group[0]].keys()) >= len(mine):
                group.append(cell)
                break
        else:
            groups.append([cell])
    return [_sheet(group, samples=samples) for group in groups]


def _sheet(
    group: list[CellSamples], *, samples: Mapping[CellSamples, Mapping[Asked, Sample]]
) -> Sheet:
    mine = [samples[cell] for cell in group]
    found = list(dict.fromkeys(key for each in mine for key in each))
    common = [key for key in found if all(key in each for each in mine)]
    others = [key for key in found if key not in common]
    chosen = evenly(common, count=ROWS)
    chosen += evenly(others, count=ROWS - len(chosen))
    return Sheet(tuple(group), rows=tuple(_row(key, mine) for key in chosen), kept=len(found))


def evenly(items: Sequence[Item], *, count: int) -> list[Item]:
    """At most so many items, first and last among them, at even distances."""
    if len(items) <= count:
        return list(items)
    step = (len(items) - 1) / max(1, count - 1)
    return [items[round(place * step)] for place in range(count)]


def _row(key: Asked, mine: Sequence[Mapping[Asked, Sample]]) -> boards.Row:
    given = [each.get(key) for each in mine]
    one = next(each for each in given if each is not None)
    return boards.Row(
        title=one.title,
        asked={name: board for name, board in _panels(one).items() if name != PREDICTION},
        answers=[
            None if each is None else boards.Predicted(_panels(each)[PREDICTION], right=each.right)
            for each in given
        ],
    )


def _by_question(cell: CellSamples) -> dict[Asked, Sample]:
    """A cell's samples that are boards, by their titles and all that was asked."""
    found: dict[Asked, Sample] = {}
    for sample in cell.result.samples:
        asked = {name: board for name, board in _panels(sample).items() if name != PREDICTION}
        if asked and PREDICTION in _panels(sample):
            key = tuple((name, board.shape, board.tobytes()) for name, board in asked.items())
            found[sample.title, key] = sample
    return found


def _digits(board: boards.Cells) -> str:
    return "/".join("".join(str(cell) for cell in row) for row in board)


def _panels(sample: Sample) -> Mapping[str, boards.Cells]:
    return sample.panels or {}
