"""The boards of a sample as a picture, in colours that differ in greyscale and to the colour-blind."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from seqtune.tasks.generative_evaluation import CELLS, Cells

PALETTE = ("#f4f4f0", "#20303c", "#f2a93b", "#c2185b", "#8fa3ad")
"""Colour of each of `CELLS`: right cells are light and dark, wrong ones orange and magenta."""

LINE = "#d5d5cf"
"""Colour of the lines between cells."""

CELL_PIXELS = 8
GAP_PIXELS = 12

Pixels = npt.NDArray[np.uint8]

assert len(PALETTE) == len(CELLS)


def paint(panels: Mapping[str, Cells]) -> Pixels:
    """Return boards side by side, in pixels uint8 [height, width, 3]."""
    boards = [_board(cells) for cells in panels.values()]
    height = max(len(board) for board in boards)
    gap = np.full((height, GAP_PIXELS, 3), 255, dtype=np.uint8)
    parts: list[Pixels] = []
    for board in boards:
        below = np.full((height - len(board), board.shape[1], 3), 255, dtype=np.uint8)
        parts += [gap, np.concatenate([board, below])]
    return np.concatenate(parts[1:], axis=1)


def rgb(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue of "#rrggbb", 0 to 255 each."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def _board(cells: Cells) -> Pixels:
    colours = np.array([rgb(colour) for colour in PALETTE], dtype=np.uint8)
    pixels = colours[cells].repeat(CELL_PIXELS, axis=0).repeat(CELL_PIXELS, axis=1)
    pixels[::CELL_PIXELS] = pixels[:, ::CELL_PIXELS] = rgb(LINE)
    return pixels
