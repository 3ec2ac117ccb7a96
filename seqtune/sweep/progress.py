"""What a person sees while a sweep runs: a quiet table, or plain lines where there is no terminal."""

import time
from contextlib import AbstractContextManager
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from seqtune.rundir import RunDirectory
from seqtune.sweep.proposal import Proposal
from seqtune.sweep.studies import Studies
from seqtune.sweep.tally import CellProgress
from seqtune.training.measurement import HIGHER_IS_BETTER

REFRESH_SECONDS = 0.5


class LiveTable(AbstractContextManager["LiveTable"]):
    """A line a cell, redrawn in place; failures are told at once, above it."""

    def __init__(self, studies: Studies, *, console: Console) -> None:
        self._studies = studies
        self._console = console
        self._metric = studies.plan.sweep.metric
        self._started = self._drawn = time.monotonic()
        self._ended_before = self._ended()
        self._given_up: set[str] = set()
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

    def tick(self) -> None:
        """Redraws now and then."""
        if self._live is not None and time.monotonic() - self._drawn >= REFRESH_SECONDS:
            self._draw()

    def ended(self, proposal: Proposal, state: str) -> None:
        """Tells of a run that ended: without a terminal every one, with one those that went wrong."""
        self._tell_end(proposal, state)
        progress = self._studies.progress[proposal.cell.name]
        if progress.given_up is not None and proposal.cell.name not in self._given_up:
            self._given_up.add(proposal.cell.name)
            line = f"{proposal.cell.name}: no more runs are begun: {progress.given_up}"
            self._console.print(line, markup=False, soft_wrap=True)

    def _tell_end(self, proposal: Proposal, state: str) -> None:
        directory = self._studies.directory(proposal)
        wrong = state in ("failed", "diverged")
        if not wrong and self._live is not None:
            return
        done, total = self._ended(), self._total()
        what = f"{proposal.cell.name} {proposal.phase} {proposal.number}: {state}"
        why = self._reason(directory) if wrong else self._value(directory)
        self._console.print(
            f"{done}/{total} {what}{why}, {self._time_left()}", markup=False, soft_wrap=True
        )

    def _reason(self, directory: RunDirectory) -> str:
        return f" ({directory.info()['reason']}), see {directory.path}"

    def _value(self, directory: RunDirectory) -> str:
        measured = directory.measurements()
        value = measured[-1].metrics.get(self._metric) if measured else None
        return "" if value is None else f", {self._metric} {value:.4g}"

    def _draw(self) -> None:
        assert self._live is not None
        self._drawn = time.monotonic()
        self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        sweep = self._studies.plan.sweep
        table = Table(
            title=f"{sweep.name}: {self._ended()} of {self._total()} runs, {self._time_left()}",
            title_justify="left",
            box=None,
            pad_edge=False,
        )
        direction = "highest" if self._metric in HIGHER_IS_BETTER else "lowest"
        table.add_column("cell")
        resting = ("resting",) if self._studies.promotes else ()
        for name in ("running", *resting, "searched", "stopped", "failed", "confirmed"):
            table.add_column(name, justify="right")
        table.add_column(f"{direction} {self._metric}", justify="right")
        table.add_column("mean of confirmed", justify="right")
        for progress in self._studies.progress.values():
            table.add_row(*self._row(progress))
        return table

    def _row(self, progress: CellProgress) -> tuple[str, ...]:
        search, confirm = progress.search, progress.confirm
        failed = sum(
            counts.get(state, 0) for counts in (search, confirm) for state in ("failed", "diverged")
        )
        confirmed = progress.confirmed
        return (
            progress.cell.name,
            str(progress.running or ""),
            *((str(progress.resting or ""),) if self._studies.promotes else ()),
            f"{sum(search.values())}/{progress.cell.trials}",
            str(search.get("stopped", 0) or ""),
            str(failed or ""),
            f"{sum(confirm.values())}/{self._studies.plan.sweep.confirm.seeds}",
            "" if progress.best is None else f"{progress.best:.4g}",
            f"{sum(confirmed) / len(confirmed):.4g}" if confirmed else "",
        )

    def _ended(self) -> int:
        return sum(each.ended for each in self._studies.progress.values())

    def _total(self) -> int:
        return self._studies.runs

    def _time_left(self) -> str:
        """From this sitting's pace: runs that ended in it, and the time that they took."""
        ended = self._ended() - self._ended_before
        left = self._total() - self._ended()
        if left == 0:
            return "all done"
        if ended == 0:
            return f"{left} to go"
        seconds = (time.monotonic() - self._started) / ended * left
        return (
            f"about {seconds / 60:.0f} min left" if seconds > 90 else f"about {seconds:.0f} s left"
        )
