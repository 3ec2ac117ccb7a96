"""What a person sees while a sweep runs: a quiet table, or plain lines where there is no terminal."""

import time
from collections import deque
from contextlib import AbstractContextManager
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from seqtune.runs.directory import RunDirectory
from seqtune.sweep.display.table import progress_table
from seqtune.sweep.search.eta import TimeLeft
from seqtune.sweep.search.proposal import Proposal
from seqtune.sweep.search.studies import Studies

REFRESH_SECONDS = 0.5

NEWEST = 5
"""Runs that ended last, told beneath the table."""


class LiveTable(AbstractContextManager["LiveTable"]):
    """A line a cell, redrawn in place, and the runs that ended last beneath; failures are told above it."""

    def __init__(self, studies: Studies, *, console: Console) -> None:
        self._studies = studies
        self._console = console
        self._metric = studies.plan.sweep.metric
        self._drawn = time.monotonic()
        self._given_up: set[str] = set()
        self._newest: deque[str] = deque(maxlen=NEWEST)
        self._ending = ""
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

    def last_words(self, line: str) -> None:
        """Leaves the terminal as it was found, with a line of why."""
        if self._live is not None:
            self._live.stop()
        self._console.print(line, markup=False, soft_wrap=True)

    def tick(self) -> None:
        """Redraws now and then."""
        if self._live is not None and time.monotonic() - self._drawn >= REFRESH_SECONDS:
            self._draw()

    def interrupted(self) -> None:
        """Tells that no more is begun."""
        line = "interrupted: finishing what is being written; Ctrl-C again ends at once"
        if self._live is None:
            self._console.print(line, markup=False, soft_wrap=True)
            return
        self._ending = line
        self._draw()

    def ended(self, proposal: Proposal, state: str) -> None:
        """Tells of a run that ended: beneath the table, or in a line that stays where it went wrong."""
        self._tell_end(proposal, state)
        progress = self._studies.progress[proposal.cell.name]
        if progress.given_up is not None and proposal.cell.name not in self._given_up:
            self._given_up.add(proposal.cell.name)
            line = f"{proposal.cell.name}: no more runs are begun: {progress.given_up}"
            self._console.print(line, markup=False, soft_wrap=True)

    def _tell_end(self, proposal: Proposal, state: str) -> None:
        directory = self._studies.directory(proposal)
        wrong = state in ("failed", "diverged")
        what = f"{proposal.cell.name} {proposal.phase} {proposal.number}: {state}"
        line = f"{self._ended()}/{self._studies.runs} {what}"
        if wrong:
            line += f" ({directory.info()['reason']}), see {directory.path}"
        elif (value := self._value(directory)) is not None:
            # The table has the metric's name at its head.
            name = "" if self._live is not None else f"{self._metric} "
            line += f", {name}{value:.4g}"
        if self._live is not None and not wrong:
            self._newest.append(line)
            return
        left = "" if self._live is not None else f", {self._said(self._left())}"
        self._console.print(f"{line}{left}", markup=False, soft_wrap=True)

    def _value(self, directory: RunDirectory) -> float | None:
        measured = directory.measurements()
        return measured[-1].metrics.get(self._metric) if measured else None

    def _draw(self) -> None:
        assert self._live is not None
        self._drawn = time.monotonic()
        left = self._left()
        name = self._studies.plan.sweep.name
        title = f"{name}: {self._ended()} of {self._studies.runs} runs, {self._said(left)}"
        beneath = [*(_line(each, style="dim") for each in self._newest)]
        beneath += [_line(self._ending)] if self._ending else []
        table = progress_table(
            self._studies,
            left={} if left is None else left[0],
            console=self._console,
            height=self._console.height - len(beneath) - 1,
        )
        self._live.update(Group(_line(title, style="bold"), table, *beneath), refresh=True)

    def _ended(self) -> int:
        return sum(each.ended for each in self._studies.progress.values())

    def _left(self) -> tuple[dict[str, TimeLeft], TimeLeft] | None:
        studies = self._studies
        return studies.stopwatch.left(
            studies.progress.values(),
            seeds=studies.plan.sweep.confirm.seeds,
            unconfirmed=studies.unconfirmed,
        )

    def _said(self, left: tuple[dict[str, TimeLeft], TimeLeft] | None) -> str:
        to_go = self._studies.runs - self._ended()
        if self._studies.done or to_go == 0:
            return "all done"
        return f"{to_go} to go" if left is None else f"{left[1]} left"


def _line(text: str, *, style: str = "") -> Text:
    """One line, cut where the terminal ends."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
