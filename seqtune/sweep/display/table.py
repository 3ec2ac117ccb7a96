"""The live table: as many columns as the terminal is wide, and as many cells as it is high."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from seqtune.sweep.search.cell_progress import CellProgress
from seqtune.sweep.search.eta import TimeLeft, duration
from seqtune.sweep.search.studies import Studies
from seqtune.training.measurement import HIGHER_IS_BETTER

LEAST_CELLS = 3
"""So many are shown however low the terminal is."""

NAME_WIDTH = 24
"""A longer name is folded rather than that a column is left out."""

KINDS = (3, 2, 1, 0)
"""Tables from the one with all columns to the one that fits everywhere; from 1 on names are folded at will."""


@dataclass(frozen=True)
class _Column:
    """A column, in the kinds of tables from `least` to `most`; its head has two lines at most."""

    head: str
    text: Callable[[CellProgress], str]
    least: int = 0
    most: int = KINDS[0]


def progress_table(
    studies: Studies, *, left: Mapping[str, TimeLeft], console: Console, height: int
) -> RenderableType:
    """A line a cell; the cells that do not fit are counted in a last line.

    Args:
        studies: how far the cells have come.
        left: what each of them still takes, as far as that is known.
        console: where it is shown.
        height: lines that there are.
    """
    cells, seeds = list(studies.progress.values()), studies.plan.sweep.confirm.seeds
    columns = _columns(studies, left=left)
    most = len(cells)
    while True:
        shown = _shown(cells, seeds=seeds, most=most)
        table = _fitting(columns, rows=shown, width=console.width)
        others = [_others(cells, shown=shown, seeds=seeds)] if most < len(cells) else []
        whole = Group(table, *others)
        over = len(console.render_lines(whole)) - height
        if over <= 0 or most <= LEAST_CELLS:
            return whole
        # A cell may be several lines high, and then fewer need go: it is looked at again.
        most = max(LEAST_CELLS, min(most - 1, height) if most > height else most - (over + 2) // 3)


def _fitting(columns: Sequence[_Column], *, rows: Sequence[CellProgress], width: int) -> Table:
    """The table with the most columns for which there is room."""
    endless = Console(width=10**4)
    tables = [_table(columns, kind=kind, rows=rows) for kind in KINDS]
    fitting = (
        table
        for table in tables
        if Measurement.get(endless, endless.options, table).minimum <= width
    )
    return next(fitting, tables[-1])


def _table(columns: Sequence[_Column], *, kind: int, rows: Sequence[CellProgress]) -> Table:
    columns = [each for each in columns if each.least <= kind <= each.most]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    lines = max(column.head.count("\n") for column in columns)
    for column in columns:
        head = "\n" * (lines - column.head.count("\n")) + column.head
        first = column is columns[0]
        table.add_column(head, justify="left" if first else "right", no_wrap=not first)
    if kind > 1:
        longest = max(len(row.cell.name) for row in rows)
        table.columns[0].min_width = min(longest, NAME_WIDTH)
    for row in rows:
        table.add_row(*(Text(column.text(row)) for column in columns))
    return table


def _columns(studies: Studies, *, left: Mapping[str, TimeLeft]) -> list[_Column]:
    metric, seeds = studies.plan.sweep.metric, studies.plan.sweep.confirm.seeds
    best = "highest" if metric in HIGHER_IS_BETTER else "lowest"
    resting = _Column("resting", lambda each: str(each.resting or ""), least=3)
    return [
        _Column("cell", lambda each: each.cell.name),
        _Column("running", lambda each: str(each.running or ""), least=2),
        *([resting] if studies.promotes else []),
        _Column("runs\nended", lambda each: f"{each.ended}/{each.runs(seeds)}", most=1),
        _Column("search\nended", _searched, least=2),
        _Column("of them\nstopped", lambda each: str(each.search.get("stopped", 0) or ""), least=3),
        _Column("failed", lambda each: str(each.failed or ""), least=1),
        _Column("confirm\nended", lambda each: f"{sum(each.confirm.values())}/{seeds}", least=2),
        _Column(f"{best}\n{metric}", _best),
        _Column("confirmed,\nmean ± std", lambda each: spread(each.confirmed), least=2),
        _Column(
            "confirmed,\nmean ± std",
            lambda each: spread(each.confirmed).replace(" ± ", "\n± "),
            least=1,
            most=1,
        ),
        _Column("time\nleft", lambda each: _left(left.get(each.cell.name))),
    ]


def _searched(progress: CellProgress) -> str:
    return f"{sum(progress.search.values())}/{progress.cell.trials}"


def _best(progress: CellProgress) -> str:
    return "" if progress.best is None else f"{progress.best:.4g}"


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation of what was measured; one value alone has no deviation."""
    if len(values) < 2:
        return "".join(f"{value:.4g}" for value in values)
    return f"{fmean(values):.4g} ± {stdev(values):.2g}"


def _left(left: TimeLeft | None) -> str:
    if left is None:
        return ""
    if left == TimeLeft(0.0):
        return "done"
    return f"{'≥ ' if left.at_least else ''}{duration(left.seconds)}"


def _shown(cells: Sequence[CellProgress], *, seeds: int, most: int) -> list[CellProgress]:
    """The cells to show, in the order of the file.

    Where not all have room, those at work come first, then those with a failure, those that wait, those that
    are done.
    """

    def order(number: int) -> tuple[bool, bool, bool, int]:
        each = cells[number]
        return not each.running, not each.failed, _is_done(each, seeds=seeds), number

    return [cells[number] for number in sorted(sorted(range(len(cells)), key=order)[:most])]


def _others(cells: Sequence[CellProgress], *, shown: Sequence[CellProgress], seeds: int) -> Text:
    hidden = [each for each in cells if each not in shown]
    counts = {
        "at work": sum(bool(each.running) for each in hidden),
        "done": sum(_is_done(each, seeds=seeds) for each in hidden),
    }
    counts["waiting"] = len(hidden) - sum(counts.values())
    parts = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    line = f"... and {len(hidden)} more cell{'s' if len(hidden) != 1 else ''}: {parts}"
    return Text(line, style="dim", no_wrap=True, overflow="ellipsis")


def _is_done(progress: CellProgress, *, seeds: int) -> bool:
    return not progress.running and progress.ended >= progress.runs(seeds)
