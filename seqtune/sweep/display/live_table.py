"""Progress of a running sweep: a live table in a terminal, plain lines elsewhere."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from statistics import fmean, median, stdev
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from seqtune.runs.directory import RunDirectory
from seqtune.sweep.planning.distributions import first_point
from seqtune.sweep.search.cell_progress import CellProgress
from seqtune.sweep.search.proposal import Proposal
from seqtune.sweep.search.studies import Studies
from seqtune.training.measurement import HIGHER_IS_BETTER

REFRESH_SECONDS = 0.5

NEWEST = 5
"""Runs that ended last, listed below the table."""

WIDE = 120
"""Columns from which the table has every column; a narrower one leaves out counts by state."""

STATES = ("finished", "stopped", "failed", "diverged")


class LiveTable(AbstractContextManager["LiveTable"]):
    """A row per cell, redrawn in place; the newest runs below it, failures above it."""

    def __init__(self, studies: Studies, *, console: Console) -> None:
        self._studies = studies
        self._console = console
        self._metric = studies.plan.sweep.metric
        self._epochs = {
            cell.name: cell.run(tuned=first_point(cell.tune), seed=0).training.epochs
            for cell in studies.plan.cells
        }
        self._drawn = time.monotonic()
        self._given_up: set[str] = set()
        self._newest: deque[str] = deque(maxlen=NEWEST)
        self._notice = ""
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> "LiveTable":
        if self._live is not None:
            self._live.start()
            self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._draw()
            self._live.stop()

    def stop_with(self, line: str) -> None:
        """Stop drawing and print a last line, before the process exits."""
        if self._live is not None:
            self._live.stop()
        self._print(line)

    def on_tick(self) -> None:
        """Redraw if it is time."""
        if self._live is not None and time.monotonic() - self._drawn >= REFRESH_SECONDS:
            self._draw()

    def on_interrupt(self) -> None:
        """Say that no more runs are started."""
        line = "interrupted: finishing what is being written; Ctrl-C again ends at once"
        if self._live is None:
            self._print(line)
            return
        self._notice = line
        self._draw()

    def on_end(self, proposal: Proposal, state: str) -> None:
        """Report a run that ended: below the table, or in a line that stays if it failed."""
        self._report_end(proposal, state)
        cell = proposal.cell.name
        reason = self._studies.progress[cell].given_up
        if reason is not None and cell not in self._given_up:
            self._given_up.add(cell)
            self._print(f"{cell}: no more runs are started: {reason}")

    def _report_end(self, proposal: Proposal, state: str) -> None:
        directory = self._studies.directory(proposal)
        failed = state in ("failed", "diverged")
        what = f"{proposal.cell.name} {proposal.phase} {proposal.number}: {state}"
        line = f"{self._ended()}/{self._studies.runs} {what}"
        if failed:
            line += f" ({directory.info()['reason']}), see {directory.path}"
        elif (value := self._last_value(directory)) is not None:
            # In the table the metric's name is in the head.
            name = "" if self._live is not None else f"{self._metric} "
            line += f", {name}{value:.4g}"
        if self._live is None:
            self._print(f"{line}, {self._time_left()}")
        elif failed:
            self._print(line)
        else:
            self._newest.append(line)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)

    def _last_value(self, directory: RunDirectory) -> float | None:
        measured = directory.measurements()
        return measured[-1].metrics.get(self._metric) if measured else None

    def _draw(self) -> None:
        assert self._live is not None
        self._drawn = time.monotonic()
        name = self._studies.plan.sweep.name
        title = f"{name}: {self._ended()} of {self._studies.runs} runs, {self._time_left()}"
        below = [_line(each, style="dim") for each in self._newest]
        below += [_line(self._notice)] if self._notice else []
        height = self._console.height - len(below) - 1
        table = progress_table(self._studies, width=self._console.width, height=height)
        self._live.update(Group(_line(title, style="bold"), table, *below), refresh=True)

    def _ended(self) -> int:
        return sum(each.ended for each in self._studies.progress.values())

    def _time_left(self) -> str:
        to_go = self._studies.runs - self._ended()
        if self._studies.done or to_go == 0:
            return "all done"
        seconds = seconds_left(
            self._studies.progress,
            seeds=self._studies.plan.sweep.confirm.seeds,
            epochs=self._epochs,
        )
        return f"{to_go} to go" if seconds is None else f"about {duration(seconds)} left"


def seconds_left(
    cells: Mapping[str, CellProgress], *, seeds: int, epochs: Mapping[str, int]
) -> float | None:
    """Estimate the seconds until all runs have ended; None before anything was measured.

    Epochs left of each cell times its median seconds per epoch (the median of all runs for a cell
    without any), divided by the number of runs at once. Start-up of workers is not counted, nor
    that fewer runs are in flight at the end.

    Args:
        cells: progress by cell.
        seeds: confirm runs of each cell.
        epochs: epochs of a run of each cell that is not stopped.
    """
    measured = [pace for each in cells.values() for pace in each.epoch_seconds.values()]
    if not measured:
        return None
    left = 0.0
    for name, each in cells.items():
        pace = median(each.epoch_seconds.values() or measured)
        left += pace * each.epochs_left(seeds, epochs=epochs[name])
    return left / max(1, sum(each.running for each in cells.values()))


def progress_table(studies: Studies, *, width: int, height: int) -> RenderableType:
    """Return a table with a row per cell; cells that do not fit are counted in a last line."""
    cells, seeds = list(studies.progress.values()), studies.plan.sweep.confirm.seeds
    most = max(3, height - 2)  # a head of one line, and the last line
    shown = cells if len(cells) <= most + 1 else _most_active(cells, seeds=seeds, most=most)
    metric = studies.plan.sweep.metric
    best = "highest" if metric in HIGHER_IS_BETTER else "lowest"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("cell", overflow="fold")
    heads = ["ended", "running", f"{best} {metric}", "confirmed, mean ± std"]
    heads[2:2] = STATES if width >= WIDE else ("failed",)
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for each in shown:
        table.add_row(*map(Text, _row(each, seeds=seeds, wide=width >= WIDE)))
    if len(shown) == len(cells):
        return table
    hidden = [each for each in cells if each not in shown]
    done = sum(_is_done(each, seeds=seeds) for each in hidden)
    line = f"... and {len(hidden)} more cells, {done} of them done"
    return Group(table, _line(line, style="dim"))


def _row(progress: CellProgress, *, seeds: int, wide: bool) -> list[str]:
    counts = {
        state: progress.search.get(state, 0) + progress.confirm.get(state, 0) for state in STATES
    }
    waiting = f" + {progress.paused} paused" if progress.paused else ""
    running = f"{progress.running or ''}{waiting}".removeprefix(" + ")
    states = counts.values() if wide else [progress.failed]
    return [
        progress.cell.name,
        f"{progress.ended}/{progress.runs(seeds)}",
        running,
        *(str(count or "") for count in states),
        "" if progress.best is None else f"{progress.best:.4g}",
        mean_and_std(progress.confirmed),
    ]


def _most_active(cells: Sequence[CellProgress], *, seeds: int, most: int) -> list[CellProgress]:
    """Choose running cells first, then failed, waiting and done ones; keep the file's order."""

    def order(each: CellProgress) -> tuple[bool, bool, bool]:
        return not each.running, not each.failed, _is_done(each, seeds=seeds)

    chosen = sorted(cells, key=order)[:most]
    return [each for each in cells if each in chosen]


def _is_done(progress: CellProgress, *, seeds: int) -> bool:
    return not progress.running and progress.ended >= progress.runs(seeds)


def mean_and_std(values: Sequence[float]) -> str:
    """Return mean and standard deviation as text; a single value has no deviation."""
    if len(values) < 2:
        return "".join(f"{value:.4g}" for value in values)
    return f"{fmean(values):.4g} ± {stdev(values):.2g}"


def duration(seconds: float) -> str:
    """Return a duration in two digits or more: `48 s`, `12 min`, `3.5 h`, `300 d`."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{_two_digits(seconds / length)} {unit}"
    return f"{_two_digits(seconds)} s"


def _two_digits(number: float) -> str:
    """Without an exponent: 0.0042, 4.2, 42, 420."""
    return f"{number:.0f}" if number >= 9.95 else f"{number:.2g}"


def _line(text: str, *, style: str = "") -> Text:
    """One line, cut where the terminal ends."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
