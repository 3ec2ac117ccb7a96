"""The table of `seqtune plan`: a row per cell, and the sums."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqtune.sweep.display import live_table
from seqtune.sweep.planning.forecast import FigureRange, Forecast, Totals
from seqtune.sweep.planning.resources import format_bytes

WIDTH = 160
"""Width of the table if the output is not a terminal."""

UNITS = ("", "k", "M", "G", "T", "P", "E", "Z")

NAME_WIDTH = 20
"""Width of a cell's name in a narrow terminal."""


@dataclass(frozen=True)
class _Column:
    """A column: its head of one or two lines, and a text per cell."""

    head: str
    cells: Sequence[str]

    @property
    def width(self) -> int:
        """Letters, and the gap between two columns."""
        return max(map(len, (*self.head.split("\n"), *self.cells))) + 2


def show(forecasts: Sequence[Forecast], *, machine: str, console: Console) -> None:
    """Print the table, the sums, and what the figures mean.

    Args:
        forecasts: the cells.
        machine: on which their speed was measured.
        console: where to print.
    """
    names = [row.name for row in forecasts]
    for table in _tables(_columns(forecasts), names=names, width=console.width):
        console.print(table)
    console.print(Text(_sums(forecasts, machine=machine)), soft_wrap=True)
    for reason in dict.fromkeys(row.untimed for row in forecasts if row.untimed is not None):
        console.print(Text(f"not timed: {reason}"), soft_wrap=True)


def _columns(forecasts: Sequence[Forecast]) -> list[_Column]:
    heads = ["parameters", "match", "FLOPs\na step", "FLOPs\na run", "memory", "runs"]
    heads += ["a run", "all runs", "FLOPs", "disk"]
    rows = [_cells(row) for row in forecasts]
    timed = any(row.speed is not None for row in forecasts)
    left_out = set() if timed else {"a run", "all runs"}
    left_out |= set() if any(row.matched is not None for row in forecasts) else {"match"}
    columns = zip(heads, zip(*rows, strict=True), strict=True)
    return [_Column(head, cells) for head, cells in columns if head not in left_out]


def _tables(columns: Sequence[_Column], *, names: Sequence[str], width: int) -> Iterator[Table]:
    """Tables of the columns, each with the cells' names; several in a narrow terminal."""
    longest = max(map(len, names)) + 2
    flat = [replace(each, head=each.head.replace("\n", " ")) for each in columns]
    if longest + sum(each.width for each in flat) <= width:
        columns, name_width = flat, longest
    else:
        name_width = min(NAME_WIDTH + 2, longest)
    left: list[_Column] = []
    for column in columns:
        if left and name_width + sum(each.width for each in (*left, column)) > width:
            yield _table(left, names=names)
            left = []
        left.append(column)
    yield _table(left, names=names)


def _table(columns: Sequence[_Column], *, names: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    lines = max(column.head.count("\n") for column in columns)
    table.add_column("\n" * lines + "cell", overflow="fold")
    for column in columns:
        head = "\n" * (lines - column.head.count("\n")) + column.head
        # Only a range may wrap: a wrapped number would be misread.
        ranged = any("(" in cell for cell in column.cells)
        table.add_column(Text(head), justify="right", no_wrap=not ranged)
    for number, name in enumerate(names):
        table.add_row(Text(name), *(Text(column.cells[number]) for column in columns))
    return table


def _cells(row: Forecast) -> list[str]:
    size, ranges = row.size, row.ranges
    return [
        _ranged(f"{size.parameters:,}", ranges.get("parameters"), text=lambda n: f"{n:,.0f}"),
        _match(row),
        short(size.flops_per_step),
        _ranged(short(size.flops), ranges.get("flops"), text=short),
        _ranged(format_bytes(size.memory.total), ranges.get("memory_bytes"), text=format_bytes),
        f"{row.trials} + {row.confirm}" if row.trials else f"{row.runs}",
        duration(row.run_seconds),
        duration(row.seconds),
        short(row.flops),
        format_bytes(row.disk_bytes),
    ]


def _ranged(middle: str, ends: FigureRange | None, *, text: Callable[[float], str]) -> str:
    if ends is None:
        return middle
    return f"{middle} ({text(ends.low)} to {text(ends.high)})"


def _match(row: Forecast) -> str:
    if row.matched is None:
        return ""
    found = row.matched
    return f"{found.by.rpartition('.')[2]}={found.value} ({100 * found.mismatch:+.2f} %)"


def _sums(forecasts: Sequence[Forecast], *, machine: str) -> str:
    totals = Totals.of(forecasts)
    runs = f"{totals.runs} run{'s' if totals.runs != 1 else ''}"
    lines = [f"{runs}: {short(totals.flops)} FLOPs, {format_bytes(totals.disk_bytes)} on disk"]
    lines += _time(totals, machine=machine)
    lines.append(
        "memory: tensors at the peak of a training step (weights, gradients, optimizer, "
        "activations)"
    )
    return "\n".join(lines)


def _time(totals: Totals, *, machine: str) -> Iterator[str]:
    if totals.seconds is None:
        return
    elapsed = (
        f", {duration(totals.elapsed_seconds)} with as many at once as fit,"
        if totals.elapsed_seconds is not None and totals.elapsed_seconds < totals.seconds
        else ""
    )
    stopped = " if none is stopped" if totals.runs > 1 else ""
    yield f"about {duration(totals.seconds)} one after the other{elapsed}{stopped}; on {machine}"


def short(number: float) -> str:
    """Return a number in three digits and a unit: `145 k`."""
    power = 0
    while abs(number) >= 999.5 and power < len(UNITS) - 1:
        number, power = number / 1000, power + 1
    return f"{number:.3g} {UNITS[power]}".strip()


def duration(seconds: float | None) -> str:
    """Return a duration as text; `?` if unknown."""
    return "?" if seconds is None else live_table.duration(seconds)
