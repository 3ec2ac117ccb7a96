"""Named patterns: gliders, guns and the like, shipped as files or read from the user's own."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from seqtune.config.errors import nearest
from seqtune.tasks.life.board import Boards
from seqtune.tasks.life.pattern_files import SUFFIXES, read_file

FOLDER = Path(__file__).parent / "patterns"

SHIPPED = {
    "glider": "glider.rle",
    "cloverleaf": "cloverleaf.cells",
    "hammerhead": "hammerhead.cells",
    "blinker": "blinker.rle",
    "r-pentomino": "r-pentomino.rle",
    "pulsar": "pulsar.rle",
    "acorn": "acorn.rle",
    "lwss": "lwss.rle",
    "mwss": "mwss.rle",
    "hwss": "hwss.rle",
    "block": "block.rle",
    "gosper-glider-gun": "gosper-glider-gun.rle",
}
"""File of every pattern that comes along; those of the original's test boards first."""


@dataclass(frozen=True, eq=False)
class Pattern:
    """Cells with a name.

    Attributes:
        name: that of its file, without the ending.
        cells: uint8 [R, C], 1 where alive; the smallest board that holds the pattern.
    """

    name: str
    cells: Boards

    @property
    def size(self) -> str:
        """Rows and columns, as people write them."""
        rows, columns = self.cells.shape
        return f"{rows} x {columns}"

    def fits(self, *, rows: int, columns: int) -> bool:
        """Whether a board is large enough."""
        return self.cells.shape[0] <= rows and self.cells.shape[1] <= columns


def load(name: str) -> Pattern:
    """A shipped pattern by its name, or one read from a file, whose name ends in .rle or .cells.

    Raises:
        ValueError: if there is no such pattern, or its file cannot be read.
    """
    if name in SHIPPED:
        return _shipped(name)
    path = Path(name)
    if path.suffix not in SUFFIXES:
        endings = " or ".join(SUFFIXES)
        raise ValueError(
            f"no such pattern, and no file that ends in {endings}: {name!r}{nearest(name, SHIPPED)}"
        )
    return Pattern(path.stem, read_file(path))


def shipped() -> list[Pattern]:
    """Every pattern that comes along."""
    return [_shipped(name) for name in SHIPPED]


@cache
def _shipped(name: str) -> Pattern:
    cells = read_file(FOLDER / SHIPPED[name])
    cells.setflags(write=False)
    return Pattern(name, cells)


def place(
    pattern: Pattern, *, rows: int, columns: int, at: tuple[int, int] | None = None
) -> Boards:
    """A board [R, C] that is dead but for the pattern.

    Args:
        pattern: what is placed.
        rows: of the board.
        columns: of the board.
        at: row and column of the pattern's upper left corner; None places it in the middle.

    Raises:
        ValueError: if the pattern is larger than the board, or reaches beyond its edge.
    """
    if not pattern.fits(rows=rows, columns=columns):
        raise ValueError(
            f"{pattern.name} must fit the board, but it is {pattern.size} and the board {rows} x {columns}"
        )
    height, width = pattern.cells.shape
    top, left = at if at is not None else ((rows - height) // 2, (columns - width) // 2)
    if not (0 <= top <= rows - height and 0 <= left <= columns - width):
        raise ValueError(
            f"{pattern.name} must lie inside the board, but at ({top}, {left}) it is {pattern.size} "
            f"and the board {rows} x {columns}"
        )
    board = np.zeros((rows, columns), dtype=np.uint8)
    board[top : top + height, left : left + width] = pattern.cells
    return board
