"""Runs in flight in this driver session: between the studies and Ray Tune, without Ray.

A run is open from its proposal until its directory says how it ended. If its worker or node dies, a
run that is still `running` resumes from its checkpoint with another worker, as often as
`limits.restarts` allows.
"""

import logging
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from seqtune.config.errors import Path
from seqtune.config.yaml_file import FileError
from seqtune.runs.directory import RunDirectory, run_directories
from seqtune.storage.full_disk import find_full_disk
from seqtune.sweep.execution.capacity import Capacity, CapacityError
from seqtune.sweep.planning.resources import AMOUNTS, ResourceRequest, gpu_share, values_of
from seqtune.sweep.search.proposal import Proposal
from seqtune.sweep.search.studies import Studies
from seqtune.training.measurement import Measurement

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Events:
    """Callbacks of the live table.

    Attributes:
        on_end: called with every run that ended and its state.
        on_tick: called about ten times a second.
        on_interrupt: called once when the session is interrupted.
    """

    on_end: Callable[[Proposal, str], None]
    on_tick: Callable[[], None]
    on_interrupt: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Work:
    """A run to start, its resources, and where in the file each amount is written."""

    proposal: Proposal
    request: ResourceRequest
    origins: dict[str, Path]


class OpenRuns:
    """Runs in flight, by the id of the Ray Tune trial that does each.

    Attributes:
        interrupted: whether no more runs are started, and those in flight are left to another
            session.
        halted: whether that is because the first run failed.
        no_capacity: why a run has no node, if no more runs are started for that reason.
        write_error: why nothing more can be written, if for that reason: a full disk, or another
            driver.
    """

    def __init__(
        self, studies: Studies, *, events: Events, capacity: Capacity, fail_fast: bool
    ) -> None:
        self.studies = studies
        self.events = events
        self.interrupted = self.halted = self._interrupt_unreported = False
        self.no_capacity: CapacityError | None = None
        self.write_error: FileError | None = None
        self._capacity = capacity
        self._fail_fast = fail_fast
        self._open: dict[str, Work] = {}
        self._to_restart: deque[Proposal] = deque()
        self._worker_failures: Counter[str] = Counter()
        self._low_on_memory: set[str] = set()
        self._stopping: set[str] = set()
        self._pausing: set[str] = set()
        self._packing = GpuPacking(studies)

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Ray pickles the whole experiment to restore it, which never happens."""
        return {}

    @property
    def over(self) -> bool:
        """Whether no more runs are started."""
        return self.interrupted or self.studies.done

    @property
    def open(self) -> tuple[str, ...]:
        """Ids of the trials in flight."""
        return tuple(self._open)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let SIGINT and SIGTERM end the session in order; a second one ends it at once."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def interrupt(number: int, frame: FrameType | None) -> None:
            self.interrupted = self._interrupt_unreported = True
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
        """Notify the live table, also of an interruption: a signal handler must not print."""
        if self._interrupt_unreported:
            self._interrupt_unreported = False
            self.events.on_interrupt()
        self.events.on_tick()

    def start(self, trial_id: str) -> Work | None:
        """Start the next run as a Ray Tune trial; None if there is none, or no capacity."""
        self.check_capacity()
        held = [work.request for work in self._open.values()]
        if self.over or not self._capacity.has_room(held):
            return None
        with self._catch_write_errors():
            proposal = self._to_restart.popleft() if self._to_restart else self.studies.next()
            if proposal is None:
                return None
            work = self._open[trial_id] = self._work(proposal)
            self._capacity.add(work.request, origins=work.origins)
            return work
        return None

    def check_capacity(self) -> None:
        """End the session if there is no longer a node for a run in flight."""
        try:
            self._capacity.check(work.request for work in self._open.values())
        except CapacityError as error:
            self.no_capacity = error
            self.interrupted = True

    def on_measurement(self, trial_id: str, measurement: Measurement) -> bool:
        """Take a measurement of a run; return whether its worker has to stop."""
        proposal = self._open[trial_id].proposal
        if self.write_error is not None:
            return True
        with self._catch_write_errors():
            self._packing.update(proposal)
            match self.studies.on_measurement(proposal.name, measurement):
                case "continue":
                    return False
                case "stop":
                    self._stopping.add(trial_id)
                case "pause":
                    self._pausing.add(trial_id)
        return True

    def on_end(self, trial_id: str, *, error: bool, raised: BaseException | None = None) -> None:
        """Take a run back whose worker has ended it, or is lost.

        Args:
            trial_id: of the Ray Tune trial.
            error: whether the trial failed.
            raised: what the worker raised, if known. A full disk there ends the session; the run is
                not to blame.
        """
        proposal = self._open.pop(trial_id).proposal
        if self.write_error is not None:
            return  # the next session finds the run by its directory
        with self._catch_write_errors():
            disk = None if raised is None else find_full_disk(raised, root=self.studies.root)
            if disk is not None:
                raise disk
            self._close(trial_id, proposal=proposal, error=error)

    def _close(self, trial_id: str, *, proposal: Proposal, error: bool) -> None:
        directory = self.studies.directory(proposal)
        running = _is_running(directory)
        if running and self.interrupted:
            return  # the next session resumes it
        if running and trial_id in self._pausing:
            self.studies.pause(proposal.name)
            return
        if running and trial_id in self._stopping:
            directory.end("stopped", reason="pruned")
        elif running and error:
            self._on_worker_failure(proposal)
            return
        elif running:
            reason = (
                f"lost: its worker ended, but {directory.path} does not say how; "
                "do all nodes share that directory?"
            )
            self._fail(proposal, reason=reason)
        self._report_end(proposal)

    def on_experiment_failure(self, failed: set[str], *, low_on_memory: bool) -> None:
        """Take every run in flight back after Ray Tune gave up the whole experiment.

        Args:
            failed: the trials whose workers were the reason; empty if unknown.
            low_on_memory: whether Ray killed their workers because the node was low on memory.
        """
        if low_on_memory:
            with self._catch_write_errors():
                self._halve_micro_batch(self._open[trial_id].proposal for trial_id in failed)
        for trial_id in self.open:
            proposal = self._open[trial_id].proposal
            blameless = failed and trial_id not in failed | self._stopping | self._pausing
            if blameless and _is_running(self.studies.directory(proposal)):
                del self._open[trial_id]
                self._to_restart.append(proposal)
            else:
                self.on_end(trial_id, error=True)

    def _halve_micro_batch(self, proposals: Iterable[Proposal]) -> None:
        """Mark runs so that they resume with smaller micro-batches."""
        for proposal in proposals:
            self._low_on_memory.add(proposal.name)
            directory = self.studies.directory(proposal)
            if directory.exists() and _is_running(directory):
                directory.update({"low_on_memory": True})

    @contextmanager
    def _catch_write_errors(self) -> Iterator[None]:
        """End the session if something cannot be written; another one resumes from what is stored.

        An exception would end it too, but Ray Tune would wrap it in messages of its own.
        """
        try:
            yield
        except FileError as error:
            self.write_error = error
        except Exception as error:
            self.write_error = find_full_disk(error, root=self.studies.root)
            if self.write_error is None:
                raise
        self.interrupted = self.interrupted or self.write_error is not None

    def _work(self, proposal: Proposal) -> Work:
        resources = self.studies.plan.sweep.resources
        values = values_of(proposal.spec, arm=proposal.cell.arm)
        share = self._packing.share(proposal.cell.name)
        origins = {name: resources.origin(name, values) for name in AMOUNTS}
        return Work(proposal, resources.request(values, share=share), origins)

    def _on_worker_failure(self, proposal: Proposal) -> None:
        """Restart a run whose worker died, unless too many did."""
        self._worker_failures[proposal.name] += 1
        times = self._worker_failures[proposal.name]
        if times <= self.studies.plan.sweep.limits.restarts:
            log.warning("%s: its worker failed or died; another resumes the run", proposal.name)
            self._to_restart.append(proposal)
            return
        reason = f"lost: its worker failed or died {times} times"
        if proposal.name in self._low_on_memory:
            reason = f"oom: its worker was lost {times} times; its node was low on memory"
        self._fail(proposal, reason=reason)
        self._report_end(proposal)

    def _fail(self, proposal: Proposal, *, reason: str) -> None:
        directory = self.studies.directory(proposal)
        if not directory.exists():
            spec = proposal.spec
            position = self.studies.position(proposal)
            directory.create({"hash": spec.hash(), "spec": spec.to_data(), "sweep": position})
        directory.end("failed", reason=reason)

    def _report_end(self, proposal: Proposal) -> None:
        state = self.studies.close(proposal.name)
        self.events.on_end(proposal, state)
        if self._fail_fast and state in ("failed", "diverged"):
            self.interrupted = self.halted = True


class GpuPacking:
    """Share of a GPU that the runs of each cell take: that of its run which held most memory."""

    def __init__(self, studies: Studies) -> None:
        """Read what earlier sessions measured, if the sweep has `gpu: auto`."""
        self._enabled = studies.plan.sweep.resources.packs
        self._directory = studies.directory
        self._shares: dict[str, float] = {}
        if self._enabled:
            for directory in run_directories(studies.root / "runs"):
                info = directory.info()
                self._read(info, cell=info["sweep"]["cell"])

    def share(self, cell: str) -> float | None:
        """Return the share of a cell's runs; None before one was measured."""
        return self._shares.get(cell)

    def update(self, proposal: Proposal) -> None:
        """Read what a run in flight has measured."""
        if self._enabled:
            self._read(self._directory(proposal).info(), cell=proposal.cell.name)

    def _read(self, info: Mapping[str, Any], *, cell: str) -> None:
        found = info.get("gpu_memory")
        if found is not None:
            share = gpu_share(found["held_bytes"], found["total_bytes"])
            self._shares[cell] = max(share, self._shares.get(cell, 0.0))


def _is_running(directory: RunDirectory) -> bool:
    return not directory.exists() or directory.info()["state"] == "running"
