"""Life in figures: sizes, floors, how much a step changes, and the scores of trivial predictions."""

from collections.abc import Callable, Mapping

import numpy as np

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
from seqtune.tasks.life.notation import Notation
from seqtune.tasks.life.spec import LifeSpec

DRAWN = 1024
"""Boards that the estimates are taken from."""

ENUMERATED = 16
"""Most cells of a board for which all boards are enumerated."""

WRITTEN_OUT = 64
"""Most cells for which the example's string is written in full."""


def describe(
    spec: LifeSpec, *, notation: Notation, boards: Boards, advance: Callable[[Boards], Boards]
) -> Description:
    """Return the figures of a language; `boards` [B, R, C] are drawn, `advance` applies the rule."""
    after = advance(boards)
    ahead = "the next step" if spec.steps == 1 else f"{spec.steps} steps ahead"
    patterns = tuple(
        (each.name, *each.cells.shape, int(each.cells.sum())) for each in spec.test_patterns()
    )
    return Description(
        title=f"Game of Life, {spec.rule}, {spec.rows} x {spec.columns}",
        summary=f"A random board, and what the rule makes of it: {ahead}, on a board whose border "
        + ("is a torus." if spec.border == "torus" else "is dead."),
        parts={
            "language": Figures(_sizes(spec, notation=notation)),
            "floors": Figures(_floors(spec, notation=notation)),
            f"boards ({len(boards):,} drawn)": Figures(_estimates(spec, boards, after=after)),
            **(
                {"all boards": Figures(_images(notation, advance=advance))}
                if notation.cells <= ENUMERATED
                else {}
            ),
            "test patterns": GridFigure(("pattern", "rows", "columns", "live cells"), patterns),
            "example": ListedStrings(_example(notation, boards[0], after=after[0])),
        },
    )


def _sizes(spec: LifeSpec, *, notation: Notation) -> Mapping[str, Value]:
    return {
        "rule": spec.rule,
        "rows": spec.rows,
        "columns": spec.columns,
        "border": spec.border,
        "steps ahead": spec.steps,
        "density": _density(spec.density.to_data()),
        "layout": spec.layout.kind,
        "characters a string": notation.length,
        "characters a prompt": notation.prompt_length,
        "characters a completion": notation.completion_length,
        "first boards": 2**notation.cells,
        "tokens of the vocabulary": notation.size,
    }


def _density(data: Mapping[str, Value]) -> str:
    fields = ", ".join(f"{name} {value}" for name, value in data.items() if name != "kind")
    return f"{data['kind']} ({fields})" if fields else str(data["kind"])


def _floors(spec: LifeSpec, *, notation: Notation) -> Mapping[str, Value]:
    """Return the floors; None where the joint distribution of S1's cells is unknown."""
    entropy = spec.density.entropy(notation.cells) if spec.layout.independent else None
    scored = notation.length - 1
    return {
        "loss of this spec": spec.loss,
        "floor of the completion, nats a token": 0.0,
        "floor of the whole string, nats a token": None if entropy is None else entropy / scored,
        "floor of the whole string, nats a string": entropy,
    }


def _estimates(spec: LifeSpec, boards: Boards, *, after: Boards) -> Mapping[str, Value]:
    found: dict[str, Value] = {
        "share of live cells before": _mean(boards == 1),
        "share of live cells after": _mean(after == 1),
        "share of cells that change": _mean(boards != after),
        "share of boards that change": _mean((boards != after).any(axis=(1, 2))),
        "cells right if all are called dead": _mean(after == 0),
        "cells right if the board is copied": _mean(boards == after),
    }
    layout = spec.layout
    if isinstance(layout, Heterogeneous):
        found["heterogeneity aimed at"] = layout.target(rows=spec.rows, columns=spec.columns)
        found["heterogeneity reached"] = _mean(heterogeneity(boards))
    return found


def _mean(values: np.ndarray) -> EstimatedFigure:
    """Return the mean over all values [B, ...], with boards as the independent units."""
    boards = values.reshape(len(values), -1).mean(axis=1)
    return EstimatedFigure(float(boards.mean()), float(boards.std(ddof=1) / np.sqrt(len(boards))))


def _images(notation: Notation, *, advance: Callable[[Boards], Boards]) -> Mapping[str, Value]:
    """Return exact counts, by enumerating all boards."""
    cells = notation.cells
    powers = 1 << np.arange(cells)
    boards = (np.arange(2**cells)[:, np.newaxis] & powers) > 0
    shape = (-1, notation.rows, notation.columns)
    after = advance(boards.astype(np.uint8).reshape(shape))
    numbers = after.reshape(-1, cells).astype(np.int64) @ powers
    images = len(np.unique(numbers))
    return {
        "different second boards": images,
        "boards that are no second board (Gardens of Eden)": 2**cells - images,
        "boards that do not change": int((numbers == np.arange(2**cells)).sum()),
    }


def _example(notation: Notation, board: Boards, *, after: Boards) -> tuple[str, ...]:
    rows = [
        "".join(".O"[cell] for cell in first) + "   " + "".join(".O"[cell] for cell in second)
        for first, second in zip(board, after, strict=True)
    ]
    strings = notation.strings(board[np.newaxis], after=after[np.newaxis])
    text = notation.text(strings.tokens.astype(np.int64))
    if notation.cells > WRITTEN_OUT:
        for each in (board, after):
            cells = "".join(map(str, each.ravel()))
            text = text.replace(cells, f"{cells[:16]}...{cells[-16:]}", 1)
    return (*rows, "", text)
