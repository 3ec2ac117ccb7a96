"""The language in figures: sizes, floors, how much a step changes, and what that makes of a score."""

from collections.abc import Mapping

import numpy as np

from seqtune import seeding
from seqtune.tasks.description import (
    Description,
    EstimatedFigure,
    Figures,
    GridFigure,
    ListedStrings,
    Value,
)
from seqtune.tasks.life.board import Boards
from seqtune.tasks.life.layouts import Heterogeneous, heterogeneity
from seqtune.tasks.life.task import LifeTask

SAMPLE = 1024
"""Boards that the estimates are taken from."""

COUNTED = 16
"""Cells up to which all boards are tried."""

SHOWN = 64
"""Cells up to which the example's string is written out."""


def describe(task: LifeTask) -> Description:
    """The figures of a world."""
    spec = task.spec
    boards = task.boards(SAMPLE, generator=seeding.generator(0, "data"))
    after = task.after(boards)
    ahead = "the next step" if spec.steps == 1 else f"{spec.steps} steps ahead"
    patterns = tuple(
        (each.name, *each.cells.shape, int(each.cells.sum())) for each in spec.test_patterns()
    )
    return Description(
        title=f"Game of Life, {spec.rule}, {spec.rows} x {spec.columns}",
        summary=f"A random board, and what the rule makes of it: {ahead}, on a board whose border "
        + ("is a torus." if spec.border == "torus" else "is dead."),
        parts={
            "language": Figures(_sizes(task)),
            "floors": Figures(_floors(task)),
            f"boards ({SAMPLE:,} drawn)": Figures(_estimates(task, boards, after=after)),
            **({"all boards": Figures(_images(task))} if task.notation.cells <= COUNTED else {}),
            "test patterns": GridFigure(("pattern", "rows", "columns", "live cells"), patterns),
            "example": ListedStrings(_example(task, boards[0], after=after[0])),
        },
    )


def _sizes(task: LifeTask) -> Mapping[str, Value]:
    spec, notation = task.spec, task.notation
    return {
        "rule": spec.rule,
        "rows": spec.rows,
        "columns": spec.columns,
        "border": spec.border,
        "steps ahead": spec.steps,
        "density": _written(spec.density.to_data()),
        "layout": spec.layout.kind,
        "characters a string": notation.length,
        "characters a prompt": notation.prompt_length,
        "characters a completion": notation.completion_length,
        "first boards": 2**notation.cells,
        "tokens of the vocabulary": notation.size,
    }


def _written(data: Mapping[str, Value]) -> str:
    fields = ", ".join(f"{name} {value}" for name, value in data.items() if name != "kind")
    return f"{data['kind']} ({fields})" if fields else str(data["kind"])


def _floors(task: LifeTask) -> Mapping[str, Value]:
    """None where the cells of a first board depend on one another in an unknown way."""
    cells, scored = task.notation.cells, task.max_length
    entropy = task.spec.density.entropy(cells) if task.spec.layout.independent else None
    return {
        "loss of this spec": task.spec.loss,
        "floor of the completion, nats a token": 0.0,
        "floor of the whole string, nats a token": None if entropy is None else entropy / scored,
        "floor of the whole string, nats a string": entropy,
    }


def _estimates(task: LifeTask, boards: Boards, *, after: Boards) -> Mapping[str, Value]:
    found: dict[str, Value] = {
        "share of live cells before": _mean(boards == 1),
        "share of live cells after": _mean(after == 1),
        "share of cells that change": _mean(boards != after),
        "share of boards that change": _mean((boards != after).any(axis=(1, 2))),
        "cells right if all are called dead": _mean(after == 0),
        "cells right if the board is copied": _mean(boards == after),
    }
    layout = task.spec.layout
    if isinstance(layout, Heterogeneous):
        found["heterogeneity aimed at"] = layout.target(
            rows=task.spec.rows, columns=task.spec.columns
        )
        found["heterogeneity reached"] = _mean(heterogeneity(boards))
    return found


def _mean(values: np.ndarray) -> EstimatedFigure:
    """Over boards [B, ...], whose cells hang together."""
    boards = values.reshape(len(values), -1).mean(axis=1)
    return EstimatedFigure(float(boards.mean()), float(boards.std(ddof=1) / np.sqrt(len(boards))))


def _images(task: LifeTask) -> Mapping[str, Value]:
    """Exact, by trying every board."""
    cells = task.notation.cells
    powers = 1 << np.arange(cells)
    boards = (np.arange(2**cells)[:, np.newaxis] & powers) > 0
    shape = (-1, task.spec.rows, task.spec.columns)
    after = task.after(boards.astype(np.uint8).reshape(shape))
    numbers = after.reshape(-1, cells).astype(np.int64) @ powers
    images = len(np.unique(numbers))
    return {
        "different second boards": images,
        "boards that are no second board (Gardens of Eden)": 2**cells - images,
        "boards that do not change": int((numbers == np.arange(2**cells)).sum()),
    }


def _example(task: LifeTask, board: Boards, *, after: Boards) -> tuple[str, ...]:
    rows = [
        "".join(".O"[cell] for cell in first) + "   " + "".join(".O"[cell] for cell in second)
        for first, second in zip(board, after, strict=True)
    ]
    strings = task.notation.strings(board[np.newaxis], after=after[np.newaxis])
    text = task.notation.text(strings.tokens.astype(np.int64))
    if task.notation.cells > SHOWN:
        for each in (board, after):
            cells = "".join(map(str, each.ravel()))
            text = text.replace(cells, f"{cells[:16]}...{cells[-16:]}", 1)
    return (*rows, "", text)
