"""A plan printed: a line a cell, and the sums."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqtune.sweep.planning.forecast import Forecast, Range, Totals
from seqtune.sweep.planning.resource_request import format_bytes
from seqtune.sweep.planning.saved_probe import OnMachine
from seqtune.sweep.search import eta

WIDTH = 160
"""Columns of what is printed where there is no terminal to fit it to."""

UNITS = ("", "k", "M", "G", "T", "P", "E", "Z")

NAME_WIDTH = 20
"""Letters of a cell's name that are kept in one line where there is little room."""


@dataclass(frozen=True)
class _Figure:
    """A column: its head, which may be of two lines, and what every cell has there."""

    head: str
    cells: Sequence[str]

    @property
    def width(self) -> int:
        """Letters, and what is between two columns."""
        return max(map(len, (*self.head.split("\n"), *self.cells))) + 2


def show(forecasts: Sequence[Forecast], *, machines: Sequence[OnMachine], console: Console) -> None:
    """Prints the table, the sums, and what the figures are.

    Args:
        forecasts: the cells.
        machines: those of which times are known, each with the same cells.
        console: where it is printed.
    """
    names = [row.name for row in forecasts]
    costs = _costs(forecasts, alone=machines[0] if len(machines) == 1 else None)
    times = [_times(each) for each in machines] if len(machines) > 1 else []
    for figures in (costs, times):
        for table in _tables(figures, names=names, width=console.width) if figures else ():
            console.print(table)
    console.print(Text(_sums(forecasts, machines=machines)), soft_wrap=True)
    for each in machines:
        for reason in dict.fromkeys(row.untimed for row in each.rows if row.untimed is not None):
            where = f" on {each.name}" if len(machines) > 1 else ""
            console.print(Text(f"not timed{where}: {reason}"), soft_wrap=True)


def _costs(forecasts: Sequence[Forecast], *, alone: OnMachine | None) -> list[_Figure]:
    """Of every cell, with the times where only one machine's are known."""
    heads = ["parameters", "match", "FLOPs\na step", "FLOPs\na run", "memory", "runs"]
    heads += ["a run", "all runs", "FLOPs", "disk"]
    timed = forecasts if alone is None else alone.rows
    rows = [_cells(row, time=time) for row, time in zip(forecasts, timed, strict=True)]
    left_out = {"a run", "all runs"} if alone is None else set()
    left_out |= set() if any(row.matched is not None for row in forecasts) else {"match"}
    columns = zip(heads, zip(*rows, strict=True), strict=True)
    return [_Figure(head, cells) for head, cells in columns if head not in left_out]


def _times(machine: OnMachine) -> _Figure:
    """Of every cell on a machine."""
    return _Figure(
        f"{machine.name}:\na run, all runs",
        [
            f"{duration(row.run_seconds)}, {duration(row.seconds)}" if row.untimed is None else "?"
            for row in machine.rows
        ],
    )


def _tables(figures: Sequence[_Figure], *, names: Sequence[str], width: int) -> Iterator[Table]:
    """The figures beside the names of their cells; in a terminal that is narrow, in several tables."""
    longest = max(map(len, names)) + 2
    flat = [replace(each, head=each.head.replace("\n", " ")) for each in figures]
    if longest + sum(each.width for each in flat) <= width:
        figures, name_width = flat, longest
    else:
        name_width = min(NAME_WIDTH + 2, longest)
    left: list[_Figure] = []
    for figure in figures:
        if left and name_width + sum(each.width for each in (*left, figure)) > width:
            yield _table(left, names=names)
            left = []
        left.append(figure)
    yield _table(left, names=names)


def _table(figures: Sequence[_Figure], *, names: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    lines = max(figure.head.count("\n") for figure in figures)
    table.add_column("\n" * lines + "cell", overflow="fold")
    for figure in figures:
        head = "\n" * (lines - figure.head.count("\n")) + figure.head
        # Only a range may be folded: half a figure would be another one.
        ranged = any("(" in cell for cell in figure.cells)
        table.add_column(Text(head), justify="right", no_wrap=not ranged)
    for number, name in enumerate(names):
        table.add_row(Text(name), *(Text(figure.cells[number]) for figure in figures))
    return table


def _cells(row: Forecast, *, time: Forecast) -> list[str]:
    size, ranges = row.size, row.ranges
    return [
        _ranged(f"{size.parameters:,}", ranges.get("parameters"), text=lambda n: f"{n:,.0f}"),
        _solved(row),
        short(size.flops_per_step),
        _ranged(short(size.flops), ranges.get("flops"), text=short),
        _ranged(format_bytes(size.memory.total), ranges.get("memory_bytes"), text=format_bytes),
        f"{row.trials} + {row.confirm}" if row.trials else f"{row.runs}",
        duration(time.run_seconds),
        duration(time.seconds),
        short(row.flops),
        format_bytes(row.disk_bytes),
    ]


def _ranged(middle: str, ends: Range | None, *, text: Callable[[float], str]) -> str:
    if ends is None:
        return middle
    return f"{middle} ({text(ends.low)} to {text(ends.high)})"


def _solved(row: Forecast) -> str:
    if row.matched is None:
        return ""
    found = row.matched
    return f"{found.by.rpartition('.')[2]}={found.value} ({100 * found.mismatch:+.2f} %)"


def _sums(forecasts: Sequence[Forecast], *, machines: Sequence[OnMachine]) -> str:
    totals = Totals.of(forecasts)
    runs = f"{totals.runs} run{'s' if totals.runs != 1 else ''}"
    lines = [f"{runs}: {short(totals.flops)} FLOPs, {format_bytes(totals.disk_bytes)} on disk"]
    lines += [line for each in machines if (line := _time(each))]
    lines.append(
        "memory is that of tensors at the peak of a training step: weights, gradients, optimizer, "
        "activations"
    )
    return "\n".join(lines)


def _time(machine: OnMachine) -> str:
    """What all cells take on a machine; nothing where that is not known."""
    totals = Totals.of(machine.rows)
    if totals.seconds is None:
        return ""
    elapsed = (
        f", {duration(totals.elapsed_seconds)} with as many at once as there is room for,"
        if totals.elapsed_seconds is not None and totals.elapsed_seconds < totals.seconds
        else ""
    )
    stopped = " if none is stopped" if totals.runs > 1 else ""
    return f"about {duration(totals.seconds)} one after the other{elapsed}{stopped}; on {machine.words}"


def short(number: float) -> str:
    """A number in three digits and a unit: `145 k`."""
    power = 0
    while abs(number) >= 999.5 and power < len(UNITS) - 1:
        number, power = number / 1000, power + 1
    return f"{number:.3g} {UNITS[power]}".strip()


def duration(seconds: float | None) -> str:
    """A time as people say it, if it is known."""
    return "?" if seconds is None else eta.duration(seconds)
