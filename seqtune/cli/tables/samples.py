"""Samples printed: a string a line, boards side by side, and marked where they go wrong."""

from collections.abc import Mapping
from itertools import groupby, zip_longest

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqtune.tasks.generative_evaluation import CELLS, SEAM, Cells, Sample, visible
from seqtune.tasks.picture import PALETTE

SIGNS = (".", "O", "x", "X", "?")
"""How a cell of each of `CELLS` is written."""

STYLES = ("dim", "bold", *(f"bold {colour}" for colour in PALETTE[2:]))
"""And how it looks on a terminal."""

MISSING = CELLS.index("missing")

GAP = "   "
"""Between boards."""


def print_sample(sample: Sample, *, console: Console) -> None:
    """Prints a string on a line of its own, or boards."""
    if sample.panels is None:
        _print_text(sample, console=console)
    else:
        _print_boards(sample, panels=sample.panels, console=console)


def print_legend(console: Console) -> None:
    """Prints what the signs on boards mean."""
    signs = (f"{sign} {name}" for sign, name in zip(SIGNS, CELLS, strict=True))
    console.print(Text("  " + "   ".join(signs), style="dim"), soft_wrap=True)


def _print_text(sample: Sample, *, console: Console) -> None:
    """A line; on a terminal it is broken where that is full, and what is wrong is red."""
    before, mark, after = (visible(part) for part in sample.marked)
    prompt, seam, completion = before.rpartition(SEAM)
    text = Text.assemble(
        (prompt + seam, "dim"), completion, (mark, "bold red"), (after, "red"), overflow="fold"
    )
    if console.is_terminal:
        table = Table.grid(padding=(0, 1))
        table.add_row(_verdict(sample), text)
        console.print(table)
    else:
        console.print(Text.assemble(_verdict(sample), " ", text), soft_wrap=True)


def _print_boards(sample: Sample, *, panels: Mapping[str, Cells], console: Console) -> None:
    """A line that says what is wrong, and the boards below it; the whole string if cells are missing."""
    if any((board == MISSING).any() for board in panels.values()):
        _print_text(sample, console=console)
    else:
        heading = Text(f" {sample.reason}", style="red") if sample.reason else ""
        console.print(Text.assemble(_verdict(sample), heading), soft_wrap=True)
    columns = sum(board.shape[1] for board in panels.values())
    # Cells are as wide as they are high if there is a blank between them.
    spaced = 2 * columns + len(GAP) * len(panels) < console.width
    drawn = [_drawn(name, board, between=" " * spaced) for name, board in panels.items()]
    for lines in zip_longest(*drawn, fillvalue=Text()):
        line = Text("  ") + Text(GAP).join(lines)
        line.rstrip()
        console.print(line, soft_wrap=True)
    console.print()


def _drawn(name: str, board: Cells, *, between: str) -> list[Text]:
    """A caption and the rows of a board, all of one width."""
    lines = [Text(name, style="dim"), *(_row(cells, between=between) for cells in board)]
    width = max(len(line) for line in lines)
    for line in lines:
        line.pad_right(width - len(line))
    return lines


def _row(cells: Cells, *, between: str) -> Text:
    # Neighbours that look alike are styled together: a terminal is sent less.
    groups = ((cell, len(list(alike))) for cell, alike in groupby(cells.tolist()))
    return Text(between).join(
        Text(between.join(SIGNS[cell] * length), style=STYLES[cell]) for cell, length in groups
    )


def _verdict(sample: Sample) -> Text:
    match sample.right:
        case None:
            return Text(" ")
        case right:
            return Text("✓", style="green") if right else Text("✗", style="bold red")
