"""A plan printed: a line a cell, and the sums."""

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqtune.sweep.forecast import Forecast, Range, Totals
from seqtune.sweep.request import sized
from seqtune.timed import Untimed

WIDTH = 160
"""Columns of what is printed where there is no terminal to fit it to."""

UNITS = ("", "k", "M", "G", "T", "P", "E", "Z")


def show(forecasts: Sequence[Forecast], *, totals: Totals, machine: str, console: Console) -> None:
    """Prints the table, the sums, and what the figures are."""
    timed = any(row.speed is not None for row in forecasts)
    matched = any(row.matched is not None for row in forecasts)
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("cell", overflow="fold")
    heads = ["parameters", *(["match"] if matched else []), "FLOPs a step", "FLOPs a run"]
    heads += ["memory", "runs", *(["a run", "all runs"] if timed else []), "FLOPs", "disk"]
    for head in heads:
        table.add_column(head, justify="right")
    for row in forecasts:
        table.add_row(Text(row.name), *map(Text, _cells(row, matched=matched, timed=timed)))
    console.print(table)
    console.print(Text(_sums(totals, machine=machine if timed else "")), soft_wrap=True)
    for reason in dict.fromkeys(
        row.speed.reason for row in forecasts if isinstance(row.speed, Untimed)
    ):
        console.print(Text(f"not timed: {reason}"), soft_wrap=True)


def _cells(row: Forecast, *, matched: bool, timed: bool) -> list[str]:
    size, ranges = row.size, row.ranges
    cells = [_ranged(f"{size.parameters:,}", ranges.get("parameters"), text=lambda n: f"{n:,.0f}")]
    if matched:
        cells.append(_solved(row))
    cells += [
        short(size.flops_per_step),
        _ranged(short(size.flops), ranges.get("flops"), text=short),
    ]
    memory = _ranged(sized(size.memory.total), ranges.get("memory_bytes"), text=sized)
    cells += [memory, f"{row.trials} + {row.confirm}" if row.trials else f"{row.runs}"]
    if timed:
        cells += [duration(row.run_seconds), duration(row.seconds)]
    return [*cells, short(row.flops), sized(row.disk_bytes)]


def _ranged(middle: str, ends: Range | None, *, text: Callable[[float], str]) -> str:
    if ends is None:
        return middle
    return f"{middle} ({text(ends.low)} to {text(ends.high)})"


def _solved(row: Forecast) -> str:
    if row.matched is None:
        return ""
    found = row.matched
    return f"{found.by.rpartition('.')[2]}={found.value} ({100 * found.mismatch:+.2f} %)"


def _sums(totals: Totals, *, machine: str) -> str:
    runs = f"{totals.runs} run{'s' if totals.runs != 1 else ''}"
    lines = [f"{runs}: {short(totals.flops)} FLOPs, {sized(totals.disk_bytes)} on disk"]
    if machine and totals.seconds is not None:
        elapsed = (
            f", {duration(totals.elapsed_seconds)} with as many at once as there is room for,"
            if totals.elapsed_seconds is not None and totals.elapsed_seconds < totals.seconds
            else ""
        )
        stopped = " if none is stopped" if totals.runs > 1 else ""
        lines.append(
            f"about {duration(totals.seconds)} one after the other{elapsed}{stopped}; on {machine}"
        )
    lines.append(
        "memory is that of tensors at the peak of a training step: weights, gradients, optimizer, "
        "activations"
    )
    return "\n".join(lines)


def short(number: float) -> str:
    """A number in three digits and a unit: `145 k`."""
    power = 0
    while abs(number) >= 999.5 and power < len(UNITS) - 1:
        number, power = number / 1000, power + 1
    return f"{number:.3g} {UNITS[power]}".strip()


def duration(seconds: float | None) -> str:
    """A time as people say it."""
    if seconds is None:
        return "?"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.2g} {unit}"
    return f"{seconds:.2g} s"
