"""A sitting's open runs, between the studies that propose them and Ray that places them. Knows no Ray.

A run is open from its proposal until its directory says how it ended. Whatever becomes of its worker or
its node, a run that is still `running` goes on from its checkpoint with another worker, so often as
`limits.restarts` allows.
"""

import logging
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from seqtune.config.errors import Path
from seqtune.config.yaml_file import FileError
from seqtune.runs.directory import RunDirectory
from seqtune.storage.full_disk import find_full_disk
from seqtune.sweep.execution.capacity import Capacity, CapacityError
from seqtune.sweep.execution.gpu_packing import GpuPacking
from seqtune.sweep.planning.resource_request import ResourceRequest
from seqtune.sweep.planning.resources import AMOUNTS, values_of
from seqtune.sweep.search.proposal import Proposal
from seqtune.sweep.search.studies import Studies
from seqtune.training.measurement import Measurement

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Events:
    """What the live table wants to know.

    Attributes:
        ended: called with every run that ended and its state.
        tick: called about ten times a second.
        interrupted: called once when somebody interrupts the sitting.
    """

    ended: Callable[[Proposal, str], None]
    tick: Callable[[], None]
    interrupted: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Work:
    """A run that a worker is to do now, and what it holds meanwhile."""

    proposal: Proposal
    request: ResourceRequest
    origins: dict[str, Path]


class OpenRuns:
    """The runs that are under way, by the number of the trial in which Ray does each.

    Attributes:
        interrupted: whether no more runs are begun, and those under way are left to another sitting.
        halted: whether that is for the first run that failed.
        stuck: why there is no room for a run, if that is why no more are begun.
        wrong: why nothing more can be written down, if that is why: a full disk, or another driver.
    """

    def __init__(
        self, studies: Studies, *, events: Events, room: Capacity, fail_fast: bool
    ) -> None:
        self.studies = studies
        self.events = events
        self.interrupted = self.halted = self._untold = False
        self.stuck: CapacityError | None = None
        self.wrong: FileError | None = None
        self._room = room
        self._fail_fast = fail_fast
        self._open: dict[str, Work] = {}
        self._again: deque[Proposal] = deque()
        self._losses: Counter[str] = Counter()
        self._starved: set[str] = set()
        self._stopped: set[str] = set()
        self._resting: set[str] = set()
        self._shares = GpuPacking(studies)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray pickles the whole experiment for a restore that is never made."""
        return {}

    @property
    def over(self) -> bool:
        """Whether there is nothing to begin any more."""
        return self.interrupted or self.studies.done

    @property
    def open(self) -> tuple[str, ...]:
        """The trials under way."""
        return tuple(self._open)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the sitting in order: a second one at once."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def interrupt(number: int, frame: FrameType | None) -> None:
            self.interrupted = self._untold = True
            for each, handler in before.items():
                signal.signal(each, handler)

        for number in before:
            signal.signal(number, interrupt)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def tick(self) -> None:
        """Lets the table know that time goes by, and of an interruption: a signal's handler prints nothing."""
        if self._untold:
            self._untold = False
            self.events.interrupted()
        self.events.tick()

    def begin(self, trial_id: str) -> Work | None:
        """The next run, to be done in a trial of Ray's; None while there is none, or no room for it."""
        self.check()
        if self.over or not self._room.left([work.request for work in self._open.values()]):
            return None
        with self._in_order():
            proposal = self._again.popleft() if self._again else self.studies.next()
            if proposal is None:
                return None
            work = self._open[trial_id] = self._work(proposal)
            self._room.add(work.request, origins=work.origins)
            return work
        return None

    def check(self) -> None:
        """Ends the sitting if there is no node any more for a run that is open."""
        try:
            self._room.check(work.request for work in self._open.values())
        except CapacityError as error:
            self.stuck = error
            self.interrupted = True

    def judge(self, trial_id: str, measurement: Measurement) -> bool:
        """Takes a measurement of a run; returns whether its worker is to stop."""
        proposal = self._open[trial_id].proposal
        if self.wrong is not None:
            return True
        with self._in_order():
            self._shares.look(proposal)
            match self.studies.judge(proposal.name, measurement):
                case "go on":
                    return False
                case "stop":
                    self._stopped.add(trial_id)
                case "rest":
                    self._resting.add(trial_id)
        return True

    def ended(self, trial_id: str, *, error: bool, raised: BaseException | None = None) -> None:
        """Settles a run whose worker is through with it, or is lost.

        Args:
            trial_id: the trial in which it was done.
            error: whether that failed.
            raised: what the worker raised, as far as that is known. A disk that is full there is no loss of
                the run: it ends the sitting.
        """
        proposal = self._open.pop(trial_id).proposal
        if self.wrong is not None:
            return  # another sitting takes up what its directory says
        with self._in_order():
            told = None if raised is None else find_full_disk(raised, root=self.studies.root)
            if told is not None:
                raise told
            self._settle(trial_id, proposal=proposal, error=error)

    def _settle(self, trial_id: str, *, proposal: Proposal, error: bool) -> None:
        directory = self.studies.directory(proposal)
        running = _is_running(directory)
        if running and self.interrupted:
            return  # it stays open, and another sitting goes on with it
        if running and trial_id in self._resting:
            self.studies.rest(proposal.name)
            return
        if running and trial_id in self._stopped:
            directory.end("stopped", reason="pruned")
        elif running and error:
            self._lost(proposal)
            return
        elif running:
            self._fail(
                proposal,
                reason=f"lost: its worker ended, but {directory.path} does not say how; is it shared?",
            )
        self._tell(proposal)

    def broke(self, lost: set[str], *, low_on_memory: bool) -> None:
        """Takes every open run back after Ray gave up all of them.

        Args:
            lost: the trials whose workers were the reason; empty if nobody knows.
            low_on_memory: whether Ray ended these for their node's sake. They go on in smaller parts.
        """
        if low_on_memory:
            with self._in_order():
                self._starve(self._open[trial_id].proposal for trial_id in lost)
        for trial_id in self.open:
            proposal = self._open[trial_id].proposal
            goes_on = lost and trial_id not in lost | self._stopped | self._resting
            if goes_on and _is_running(self.studies.directory(proposal)):
                del self._open[trial_id]
                self._again.append(proposal)
            else:
                self.ended(trial_id, error=True)

    def _starve(self, proposals: Iterable[Proposal]) -> None:
        """Has runs go on in smaller parts."""
        for proposal in proposals:
            self._starved.add(proposal.name)
            directory = self.studies.directory(proposal)
            if directory.exists() and _is_running(directory):
                directory.update({"low_on_memory": True})

    @contextmanager
    def _in_order(self) -> Iterator[None]:
        """Ends the sitting if something cannot be written down; another one goes on from what is there.

        An exception would end it too, but with Tune's own words for it.
        """
        try:
            yield
        except FileError as error:
            self.wrong = error
        except Exception as error:
            self.wrong = find_full_disk(error, root=self.studies.root)
            if self.wrong is None:
                raise
        self.interrupted = self.interrupted or self.wrong is not None

    def _work(self, proposal: Proposal) -> Work:
        resources = self.studies.plan.sweep.resources
        values = values_of(proposal.spec, arm=proposal.cell.arm)
        share = self._shares.of(proposal.cell.name)
        origins = {name: resources.origin(name, values) for name in AMOUNTS}
        return Work(proposal, resources.request(values, share=share), origins)

    def _lost(self, proposal: Proposal) -> None:
        """Lets a run go on whose worker died, unless too many did."""
        self._losses[proposal.name] += 1
        times = self._losses[proposal.name]
        if times <= self.studies.plan.sweep.limits.restarts:
            log.warning("%s: its worker failed or died; it goes on with another", proposal.name)
            self._again.append(proposal)
            return
        reason = f"lost: its worker failed or died {times} times"
        if proposal.name in self._starved:
            reason = f"oom: its worker was lost {times} times; its node was low on memory"
        self._fail(proposal, reason=reason)
        self._tell(proposal)

    def _fail(self, proposal: Proposal, *, reason: str) -> None:
        directory = self.studies.directory(proposal)
        if not directory.exists():
            spec = proposal.spec
            place = self.studies.place(proposal)
            directory.create({"hash": spec.hash(), "spec": spec.to_data(), "sweep": place})
        directory.end("failed", reason=reason)

    def _tell(self, proposal: Proposal) -> None:
        state = self.studies.tell(proposal.name)
        self.events.ended(proposal, state)
        if self._fail_fast and state in ("failed", "diverged"):
            self.interrupted = self.halted = True


def _is_running(directory: RunDirectory) -> bool:
    return not directory.exists() or directory.info()["state"] == "running"
