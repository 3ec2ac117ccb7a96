"""Pattern files: run-length encoded (`.rle`) and plain text (`.cells`), as Life's collections have them.

RLE: `#` comments, a header `x = 3, y = 3, rule = B3/S23`, then rows from the top with run counts: `b` dead,
`o` alive, `$` end of row, `!` end of pattern; what a row leaves out at its right is dead. The rule of the
header is not read: a board is moved by its own.
Plain text: `!` comments, then a row a line: `.` dead, `O` alive; short rows are filled up with dead cells.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from seqtune.tasks.life.board import Boards

SUFFIXES = (".rle", ".cells")

_HEADER = re.compile(r"x\s*=\s*(\d+)\s*,\s*y\s*=\s*(\d+)\s*(,.*)?", re.IGNORECASE)
_RUN = re.compile(r"\s*(\d*)([bo$!])")


def read_file(path: Path) -> Boards:
    """The cells of a pattern file, uint8 [R, C].

    Raises:
        ValueError: if it cannot be read; one sentence that begins with the file and the line.
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
    """The cells of a run-length encoded pattern, uint8 [R, C].

    Args:
        text: what the file holds.
        source: its name, for errors.

    Raises:
        ValueError: if it is no such pattern.
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
    """Line, count and tag of every run."""
    for number, line in lines:
        place = 0
        while place < len(line):
            run = _RUN.match(line, place)
            if run is None:
                raise ValueError(
                    f"{source}:{number}: must hold only b, o, $ and !, each after a count or none, "
                    f"but got {line[place:]!r}"
                )
            yield number, int(run[1] or 1), run[2]
            if run[2] == "!":
                return
            place = run.end()


def read_cells(text: str, *, source: str) -> Boards:
    """The cells of a plain-text pattern, uint8 [R, C].

    Args:
        text: what the file holds.
        source: its name, for errors.

    Raises:
        ValueError: if it is no such pattern.
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
