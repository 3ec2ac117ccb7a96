"""Printed samples: a string per line, boards side by side, with errors marked."""

from collections.abc import Mapping
from itertools import groupby, zip_longest

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqtune.tasks.generative_evaluation import CELLS, SEAM, Cells, Sample, visible
from seqtune.tasks.picture import PALETTE
from seqtune.trained.generate import Generation, GenerationCounts

SIGNS = (".", "O", "x", "X", "?")
"""Characters for the members of `CELLS`."""

STYLES = ("dim", "bold", *(f"bold {colour}" for colour in PALETTE[2:]))
"""Terminal styles for the members of `CELLS`."""

MISSING = CELLS.index("missing")

GAP = "   "
"""Space between boards."""


def print_generation(generation: Generation, *, console: Console) -> None:
    """Print samples as they are generated, then a summary."""
    counts = GenerationCounts(alike=generation.alike)
    with_boards = False
    for sample in generation.samples():
        counts.add(sample)
        print_sample(sample, console=console)
        with_boards = with_boards or sample.panels is not None
    if with_boards:
        print_legend(console)
    console.print()
    console.print(Text(counts.line()), soft_wrap=True)


def print_sample(sample: Sample, *, console: Console) -> None:
    """Print a string on one line, or boards."""
    if sample.panels is None:
        _print_text(sample, console=console)
    else:
        _print_boards(sample, panels=sample.panels, console=console)


def print_legend(console: Console) -> None:
    """Print what the characters on boards mean."""
    signs = (f"{sign} {name}" for sign, name in zip(SIGNS, CELLS, strict=True))
    console.print(Text("  " + "   ".join(signs), style="dim"), soft_wrap=True)


def _print_text(sample: Sample, *, console: Console) -> None:
    """Print a line; on a terminal it is wrapped, and errors are red."""
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
    """Print a line with the error and the boards; the whole string if cells are missing."""
    if any((board == MISSING).any() for board in panels.values()):
        _print_text(sample, console=console)
    else:
        heading = Text(f" {sample.reason}", style="red") if sample.reason else ""
        console.print(Text.assemble(_verdict(sample), heading), soft_wrap=True)
    columns = sum(board.shape[1] for board in panels.values())
    # With a blank between them, cells are about as wide as they are high.
    spaced = 2 * columns + len(GAP) * len(panels) < console.width
    drawings = [_draw(name, board, between=" " * spaced) for name, board in panels.items()]
    for lines in zip_longest(*drawings, fillvalue=Text()):
        line = Text("  ") + Text(GAP).join(lines)
        line.rstrip()
        console.print(line, soft_wrap=True)
    console.print()


def _draw(name: str, board: Cells, *, between: str) -> list[Text]:
    """Return a caption and the rows of a board, padded to the same width."""
    lines = [Text(name, style="dim"), *(_row(cells, between=between) for cells in board)]
    width = max(len(line) for line in lines)
    for line in lines:
        line.pad_right(width - len(line))
    return lines


def _row(cells: Cells, *, between: str) -> Text:
    # One style per run of equal cells, so that the terminal gets fewer escape codes.
    groups = ((cell, len(list(equal))) for cell, equal in groupby(cells.tolist()))
    return Text(between).join(
        Text(between.join(SIGNS[cell] * length), style=STYLES[cell]) for cell, length in groups
    )


def _verdict(sample: Sample) -> Text:
    match sample.right:
        case None:
            return Text(" ")
        case right:
            return Text("✓", style="green") if right else Text("✗", style="bold red")
