"""What every run of a sweep has measured of its own speed: what `pace` needs to know."""

import time
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, replace
from statistics import median

from seqtune.sweep.planning.cell import Cell
from seqtune.sweep.planning.search_points import first_point
from seqtune.sweep.search.cell_progress import CellProgress
from seqtune.sweep.search.eta import CellWork, RunPace, TimeLeft, time_left
from seqtune.sweep.search.proposal import Proposal
from seqtune.training.measurement import Measurement


@dataclass(frozen=True)
class _Turn:
    """A run's turn with a worker, from its beginning in this sitting."""

    began: float
    before: float


class RunTiming:
    """Of all cells."""

    def __init__(
        self, cells: Iterable[Cell], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Starts with nothing measured.

        Args:
            cells: of the sweep.
            clock: seconds.
        """
        self._clock = clock
        self._epochs = {
            cell.name: cell.run(tuned=first_point(cell.tune), seed=0).training.epochs
            for cell in cells
        }
        self._runs: dict[str, dict[str, RunPace]] = {name: {} for name in self._epochs}
        self._turns: dict[str, _Turn] = {}
        self._open: set[str] = set()
        self._beside: list[float] = []
        self._at_once = 0

    def begins(self, proposal: Proposal, *, epoch: int, stoppable: bool) -> None:
        """Takes a run that a worker has now, and that has come to an epoch before."""
        known = self._runs[proposal.cell.name].get(proposal.name)
        # Of what an earlier sitting did the seconds come with the first measurement of this one.
        seconds = known.seconds if known is not None else 0.0
        if known is not None or epoch == 0:
            self._turns[proposal.name] = _Turn(began=self._clock(), before=seconds)
        self._note(
            proposal,
            RunPace(
                epochs=proposal.spec.training.epochs,
                epoch=known.epoch if known is not None else 0,
                seconds=seconds,
                stoppable=stoppable,
                under_way=True,
            ),
        )
        self._open.add(proposal.name)
        self._at_once = max(self._at_once, len(self._open))

    def measured(self, proposal: Proposal, measurement: Measurement) -> None:
        """Takes how far an open run has come, and the seconds that it took so far."""
        known = self._runs[proposal.cell.name][proposal.name]
        self._note(proposal, replace(known, epoch=measurement.epoch, seconds=measurement.seconds))

    def runs_on(self, proposal: Proposal) -> None:
        """Notes that nobody will stop a run any more."""
        known = self._runs[proposal.cell.name].get(proposal.name)
        if known is not None:
            self._note(proposal, replace(known, stoppable=False))

    def leaves(self, proposal: Proposal) -> None:
        """Takes a run that its worker is through with: it has ended, or rests."""
        known = self._runs[proposal.cell.name][proposal.name]
        self._note(proposal, replace(known, under_way=False))
        self._open.discard(proposal.name)
        turn = self._turns.pop(proposal.name, None)
        if turn is not None:
            trained = known.seconds - turn.before
            self._beside.append(max(0.0, self._clock() - turn.began - trained))

    def found(self, proposal: Proposal, measurement: Measurement, *, stoppable: bool) -> None:
        """Takes a run that has ended, as its directory has it; what is known of it already stays."""
        if proposal.name not in self._runs[proposal.cell.name]:
            epochs = proposal.spec.training.epochs
            epoch, seconds = measurement.epoch, measurement.seconds
            self._note(proposal, RunPace(epochs, epoch, seconds, stoppable, under_way=False))

    def left(
        self, cells: Iterable[CellProgress], *, seeds: int, unconfirmed: Container[str]
    ) -> tuple[dict[str, TimeLeft], TimeLeft] | None:
        """What every cell still takes, and the sweep; None before anything was measured.

        Args:
            cells: how far they have come.
            seeds: confirm runs of a cell.
            unconfirmed: names of the cells that will have none.
        """
        works = {
            each.cell.name: self._work(each, seeds=0 if each.cell.name in unconfirmed else seeds)
            for each in cells
        }
        beside = median(self._beside) if self._beside else 0.0
        return time_left(works, at_once=self._at_once, beside=beside)

    def _work(self, progress: CellProgress, *, seeds: int) -> CellWork:
        trials, confirms = progress.unbegun(seeds)
        return CellWork(
            epochs=self._epochs[progress.cell.name],
            runs=tuple(self._runs[progress.cell.name].values()),
            trials=trials,
            confirms=confirms,
            resting=progress.resting,
        )

    def _note(self, proposal: Proposal, pace: RunPace) -> None:
        self._runs[proposal.cell.name][proposal.name] = pace
