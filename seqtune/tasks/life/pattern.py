"""Patterns such as gliders and guns: shipped, read from the user's files, or written as a board.

File formats, as used by collections of Life patterns:

- RLE (`.rle`): `#` comments, a header `x = 3, y = 3, rule = B3/S23`, then rows from the top with
  run counts: `b` dead, `o` alive, `$` end of row, `!` end of pattern; missing cells of a row are
  dead. The header's rule is ignored: the task has its own.
- plain text (`.cells`): `!` comments, then one line per row: `.` dead, `O` alive; short rows are
  filled up with dead cells.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from seqtune.config.errors import nearest
from seqtune.tasks.life.board import Boards
from seqtune.tasks.life.notation import BEFORE

FOLDER = Path(__file__).parent / "patterns"

SUFFIXES = (".rle", ".cells")

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
"""File of every shipped pattern; first those of the test boards of LifeGPT."""

DEAD, ALIVE = "0.", "1O"
"""Characters of a cell in a board that a user writes: those of the language and of pattern files."""

_HEADER = re.compile(r"x\s*=\s*(\d+)\s*,\s*y\s*=\s*(\d+)\s*(,.*)?", re.IGNORECASE)
_RUN = re.compile(r"\s*(\d*)([bo$!])")


@dataclass(frozen=True, eq=False)
class Pattern:
    """Cells with a name.

    Attributes:
        name: name of its file without the suffix.
        cells: uint8 [R, C], 1 where alive; the smallest board that holds the pattern.
    """

    name: str
    cells: Boards

    @property
    def size(self) -> str:
        """Rows and columns as text."""
        rows, columns = self.cells.shape
        return f"{rows} x {columns}"

    def fits(self, *, rows: int, columns: int) -> bool:
        """Return whether a board is large enough."""
        return self.cells.shape[0] <= rows and self.cells.shape[1] <= columns


def load(name: str) -> Pattern:
    """Return a shipped pattern by its name, or one read from a file that ends in .rle or .cells.

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
    """Return all shipped patterns."""
    return [_shipped(name) for name in SHIPPED]


@cache
def _shipped(name: str) -> Pattern:
    cells = read_file(FOLDER / SHIPPED[name])
    cells.setflags(write=False)
    return Pattern(name, cells)


def place(
    pattern: Pattern, *, rows: int, columns: int, at: tuple[int, int] | None = None
) -> Boards:
    """Return a board [R, C] that holds the pattern and is dead elsewhere.

    Args:
        pattern: the pattern.
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


def read_board(text: str, *, rows: int, columns: int) -> Boards:
    """Return the board that a user writes, uint8 [R, C].

    Args:
        text: rows of 0 and 1, or of . and O, separated by / or line breaks, or all cells in one
            row; the name of a pattern, or the path of a .rle or .cells file, which is placed in the
            middle; or the language's own `@PredictNextState<...>`.
        rows: of the board.
        columns: of the board.

    Raises:
        ValueError: if the text is no board of that size.
    """
    written = text.strip()
    if written in SHIPPED or Path(written).suffix in SUFFIXES:
        return place(load(written), rows=rows, columns=columns)
    written = written.removeprefix(BEFORE).removesuffix(">")
    lines = ["".join(line.split()) for line in written.replace("/", "\n").strip().split("\n")]
    cells = "".join(lines)
    wrong = cells.strip(DEAD + ALIVE)
    if not cells or wrong:
        got = f"{wrong[0]!r} in {text!r}" if wrong else repr(text)
        raise ValueError(
            f"must be cells, 0 or . for dead and 1 or O for alive, or a pattern, but got {got}"
            f"{nearest(written, SHIPPED)}"
        )
    if len(lines) == 1 and len(cells) == rows * columns:
        lines = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    _check_size([len(line) for line in lines], rows=rows, columns=columns)
    return np.array([[cell in ALIVE for cell in line] for line in lines], dtype=np.uint8)


def _check_size(widths: list[int], *, rows: int, columns: int) -> None:
    wanted = f"must have {rows} rows of {columns} cells"
    if len(widths) == 1 and rows > 1:
        raise ValueError(
            f"{wanted}, {rows * columns} in all, but has {widths[0]}; write / between rows"
        )
    if len(set(widths)) == 1 and (len(widths), widths[0]) != (rows, columns):
        raise ValueError(
            f"{wanted}, but has {len(widths)} of {widths[0]}; for such a board the task needs "
            f"rows={len(widths)} and columns={widths[0]}"
        )
    for number, width in enumerate(widths, start=1):
        if width != columns:
            raise ValueError(f"{wanted}, but row {number} has {width}")


def read_file(path: Path) -> Boards:
    """Read the cells of a pattern file, uint8 [R, C].

    Raises:
        ValueError: if it cannot be read; the message begins with the file and the line.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: must end in {' or '.join(SUFFIXES)}")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: must be text, but it is not") from None
    read = read_rle if path.suffix == ".rle" else read_cells
    return read(text, source=str(path))


def read_rle(text: str, *, source: str) -> Boards:
    """Return the cells of a run-length encoded pattern, uint8 [R, C].

    Args:
        text: contents of the file.
        source: name of the file, for errors.

    Raises:
        ValueError: if the text is no such pattern.
    """
    lines = [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    ]
    if not lines:
        raise ValueError(f"{source}:1: must have a header such as x = 3, y = 3, but has none")
    number, line = lines[0]
    header = _HEADER.fullmatch(line)
    if header is None:
        raise ValueError(f"{source}:{number}: must be a header such as x = 3, y = 3, got {line!r}")
    columns, rows = int(header[1]), int(header[2])
    if rows < 1 or columns < 1:
        raise ValueError(f"{source}:{number}: x and y must be at least 1, but got {line!r}")
    cells = np.zeros((rows, columns), dtype=np.uint8)
    row = column = 0
    for number, count, tag in _runs(lines[1:], source=source):
        if tag == "!":
            return cells
        if tag == "$":
            row, column = row + count, 0
            continue
        if row >= rows or column + count > columns:
            raise ValueError(
                f"{source}:{number}: cells must lie in the header's {rows} rows and {columns} columns, "
                f"but row {row + 1} reaches column {column + count}"
            )
        cells[row, column : column + count] = tag == "o"
        column += count
    raise ValueError(f"{source}:{lines[-1][0]}: must end with !, but ends without")


def _runs(lines: list[tuple[int, str]], *, source: str) -> Iterator[tuple[int, int, str]]:
    """Yield line, count and tag of every run."""
    for number, line in lines:
        position = 0
        while position < len(line):
            run = _RUN.match(line, position)
            if run is None:
                raise ValueError(
                    f"{source}:{number}: must hold only b, o, $ and !, each after a count or none, "
                    f"but got {line[position:]!r}"
                )
            yield number, int(run[1] or 1), run[2]
            if run[2] == "!":
                return
            position = run.end()


def read_cells(text: str, *, source: str) -> Boards:
    """Return the cells of a plain-text pattern, uint8 [R, C].

    Args:
        text: contents of the file.
        source: name of the file, for errors.

    Raises:
        ValueError: if the text is no such pattern.
    """
    rows: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("!"):
            continue
        row = line.rstrip()
        wrong = row.strip(".O")
        if wrong:
            raise ValueError(f"{source}:{number}: must hold only . and O, but got {wrong[0]!r}")
        rows.append(row)
    while rows and not rows[-1]:
        rows.pop()
    if not rows:
        raise ValueError(f"{source}:1: must have at least one row of . and O, but has none")
    columns = max(map(len, rows))
    return np.array([[cell == "O" for cell in row.ljust(columns, ".")] for row in rows], np.uint8)
