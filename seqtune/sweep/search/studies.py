"""The cells' Optuna studies: what to run next, when to stop it, what came of it. Knows no Ray.

A study a cell, all in one storage. A study and its run directories together are the sweep's memory: a
proposal is a pure function of its trial's number and parameters, so on a fresh start every trial that was
running is found again by its directory, what it measured meanwhile is told, and it goes on.
"""

from collections import deque
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, TypeAlias

import optuna
from optuna.trial import Trial

from seqtune.runs.directory import RunDirectory
from seqtune.runs.replay import DECISIONS
from seqtune.storage.mirror import Mirror
from seqtune.sweep.planning.plan import Cell, Plan
from seqtune.sweep.search.cell_search import CellSearch
from seqtune.sweep.search.decisions import Decisions
from seqtune.sweep.search.directory import studies_name
from seqtune.sweep.search.driver_files import DriverFiles
from seqtune.sweep.search.paused import PausedRuns
from seqtune.sweep.search.proposal import Proposal
from seqtune.sweep.search.resume import drop_unbegun, epoch_left, reopen
from seqtune.sweep.search.storage import open_storage
from seqtune.sweep.search.trial_tracker import TrialTracker
from seqtune.training.measurement import Measurement

Verdict: TypeAlias = Literal["go on", "stop", "rest"]
"""What becomes of a run that has been measured: it is stopped for good, or laid aside at its rung."""


class Studies:
    """Every cell's study, and the runs that follow from them."""

    def __init__(
        self,
        plan: Plan,
        *,
        root: Path,
        desk: DriverFiles | None = None,
        retry: Collection[str] = (),
    ) -> None:
        """Opens or makes the studies of a sweep and takes up what an earlier sitting left.

        The caller holds the sweep's lock.

        Args:
            plan: the cells.
            root: the sweep's directory, with the runs.
            desk: where studies and decisions are written; in `root` by default.
            retry: runs that ended so are done again: words of `rundir.cause`.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.plan = plan
        self.root = root
        self._desk = desk if desk is not None else DriverFiles(Mirror(root, local=root), lease=None)
        self._decisions = Decisions(self._desk.path / DECISIONS)
        storage = open_storage(plan.sweep.storage, root=self._desk.path)
        name = studies_name(root, plan=plan)
        self._searches = [
            CellSearch(cell, plan=plan, storage=storage, name=name) for cell in plan.cells
        ]
        self._search_of = {search.cell.name: search for search in self._searches}
        self._ledger = TrialTracker(
            plan, root=root, searches=self._search_of, decisions=self._decisions
        )
        self.progress = self._ledger.progress
        self.stopwatch = self._ledger.stopwatch
        self._resting = PausedRuns(progress=self.progress, decisions=self._decisions)
        self._queue: deque[Proposal] = deque()
        self._open: dict[str, Proposal] = {}
        self._unconfirmed = {cell.name for cell in plan.cells}
        self.unconfirmed: dict[str, str] = {}
        self._left: dict[str, int] = {}
        for cell in plan.cells:
            self._decisions.planned(cell, seeds=plan.sweep.confirm.seeds)
        reopen(root / "runs", decisions=self._decisions, metric=plan.sweep.metric, retry=retry)
        for search in self._searches:
            self._take_up(search)
        self._confirm_ready()
        queued = {each.name for each in self._queue}
        drop_unbegun(root / "runs", decisions=self._decisions, queued=queued)

    @property
    def done(self) -> bool:
        """Whether every search is over and every confirm run has ended."""
        return not (self._open or self._queue or self._unconfirmed)

    @property
    def promotes(self) -> bool:
        """Whether trials rest at rungs until they are promoted."""
        return any(search.ladder is not None for search in self._searches)

    @property
    def runs(self) -> int:
        """How many runs the sweep has in all: those of a cell that was given up are the ones begun."""
        seeds = self.plan.sweep.confirm.seeds
        return sum(each.runs(seeds) for each in self.progress.values())

    def directory(self, proposal: Proposal) -> RunDirectory:
        """Where a proposal's run is recorded."""
        return self._ledger.directory(proposal)

    def place(self, proposal: Proposal) -> dict[str, Any]:
        """The run's place in the sweep, for its run.json."""
        return proposal.place(self.plan.sweep)

    def next(self) -> Proposal | None:
        """The next run, or None while there is none (though there may be after a `tell`).

        Confirm runs go first, then runs that rest and are promoted; then the cell with the fewest trials
        so far.
        """
        while not self._queue:
            if any(self._promote(search, last_call=False) for search in self._searches):
                break
            waiting = [search for search in self._searches if search.asked < search.cell.trials]
            if not waiting:
                return None
            self._ask(min(waiting, key=lambda each: each.asked))
            self._confirm_ready()
        proposal = self._queue.popleft()
        self._open[proposal.name] = proposal
        self._ledger.begins(proposal, epoch=self._left.get(proposal.name, 0))
        if proposal.name in self._left:
            self._decisions.resumed(proposal, epoch=self._left.pop(proposal.name))
        elif not self._ledger.is_audit(proposal):
            search = self.plan.sweep.search
            self._decisions.proposed(proposal, sampler=search.sampler.kind if search else None)
        # A run must not exist anywhere before what proposed it does.
        self._desk.put_back()
        return proposal

    def judge(self, run: str, measurement: Measurement) -> Verdict:
        """Takes a measurement of an open run, and says what becomes of the run."""
        proposal, epoch = self._open[run], measurement.epoch
        trial = self._ledger.measured(proposal, measurement)
        if trial is None or epoch == proposal.spec.training.epochs:
            return "go on"
        value = measurement.metrics[self.plan.sweep.metric]
        search = self._search_of[proposal.cell.name]
        if search.ladder is not None:
            at = {"ladder": search.ladder, "epoch": epoch, "value": value}
            return "rest" if self._resting.rests(proposal, **at) else "go on"
        if not trial.should_prune():
            return "go on"
        standing = search.standing(trial, epoch=epoch)
        if not self._ledger.audit(proposal, standing):
            self._decisions.stopped(proposal, standing, by=self._ledger.pruner)
            return "stop"
        # The run must not be measured any further before what stopped it is kept.
        self._desk.put_back()
        self._confirm_ready()
        return "go on"

    def rest(self, run: str) -> None:
        """Lays aside an open run that was told to rest; its checkpoint keeps where it is."""
        proposal = self._open.pop(run)
        self._ledger.leaves(proposal)
        self._resting.lay_aside(proposal, search=self._search_of[proposal.cell.name])
        self._confirm_ready()

    def tell(self, run: str) -> str:
        """Closes an open run whose directory says how it ended; returns that state."""
        proposal = self._open.pop(run)
        self._ledger.leaves(proposal)
        state = self._ledger.close(proposal)
        self._give_up(proposal.cell)
        self._confirm_ready()
        return state

    def _ask(self, search: CellSearch) -> None:
        """Queues what a new trial proposes."""
        trial = search.ask()
        proposal = self._ledger.proposal(search, trial)
        if proposal is not None:
            self._ledger.open(proposal, trial)
            self._queue.append(proposal)

    def _take_up(self, search: CellSearch) -> None:
        """Finds every trial of an earlier sitting: tells those that ended, queues the rest."""
        for trial in search.trials():
            proposal = self._ledger.proposal(search, trial)
            if proposal is None:
                continue
            audit = self._ledger.found_audit(proposal, trial)
            if self._has_ended(proposal):
                if not audit:
                    self._ledger.open(proposal, trial)
                self._ledger.close(proposal)
            elif audit:
                self._go_on(proposal)
            else:
                self._resume(proposal, trial=search.again(trial))
        self._give_up(search.cell)

    def _has_ended(self, proposal: Proposal) -> bool:
        directory = self.directory(proposal)
        return directory.exists() and directory.info()["state"] != "running"

    def _resume(self, proposal: Proposal, *, trial: Trial) -> None:
        """Queues a run that was under way, or lays it aside where it had come to a rung."""
        search = self._search_of[proposal.cell.name]
        values, ladder = self._ledger.values(proposal), search.ladder
        self._ledger.open(proposal, trial)
        search.backfill(trial, measured=values)
        last = max(values, default=0)
        if ladder is not None:
            ladder.arrive(proposal.number, values=values)
        if ladder is not None and last in ladder.rungs:
            ladder.rest(proposal.number, rung=last)
            self._resting.lay_aside(proposal, search=search)
        else:
            self._go_on(proposal)

    def _go_on(self, proposal: Proposal) -> None:
        """Queues a run that has not ended, be it begun or not."""
        directory = self.directory(proposal)
        self._decisions.moved_on(proposal)
        if directory.exists() or self._ledger.is_audit(proposal):
            self._left[proposal.name] = epoch_left(directory)
        self._queue.append(proposal)

    def _promote(self, search: CellSearch, *, last_call: bool) -> bool:
        """Queues the cell's run that rests and goes on now; false if there is none."""
        proposal = self._resting.promoted(search, last_call=last_call)
        self._queue.extend([] if proposal is None else [proposal])
        return proposal is not None

    def _end_resting(self, search: CellSearch, *, given_up: bool) -> list[Proposal]:
        """Ends the cell's runs that will not be promoted; returns those that go on as audits."""
        audits: list[Proposal] = []
        for proposal, standing in self._resting.dismissed(search):
            if not given_up and self._ledger.audit(proposal, standing):
                audits.append(proposal)
            else:
                self.directory(proposal).end("stopped", reason="not promoted")
                self._ledger.close(proposal)
        return audits

    def _give_up(self, cell: Cell) -> None:
        """Begins no more runs of a cell whose first ones all failed in the same way.

        Those that have begun go on. What was given up stays so until some of it is done again.
        """
        progress = self.progress[cell.name]
        reason = self._decisions.given_up_for(cell) or progress.hopeless()
        if reason is None or progress.given_up is not None:
            return
        progress.given_up = self.unconfirmed[cell.name] = reason
        search = self._search_of[cell.name]
        search.asked = max(search.asked, cell.trials)
        self._decisions.given_up(cell, reason=reason)
        unbegun = {
            each.name
            for each in self._queue
            if each.cell is cell and not self.directory(each).exists()
        }
        self._queue = deque(each for each in self._queue if each.name not in unbegun)
        for name in unbegun:
            self._ledger.drop(name)
            self._decisions.dropped(name, reason="its cell is given up")

    def _confirm_ready(self) -> None:
        """Queues the confirm runs of every cell whose search has just ended."""
        for search in self._searches:
            cell = search.cell
            if cell.name not in self._unconfirmed or search.asked < cell.trials:
                continue
            under_way = (*self._open.values(), *self._queue)
            if any(each.cell is cell and not self._ledger.is_audit(each) for each in under_way):
                continue
            given_up = self.progress[cell.name].given_up is not None
            if not given_up and self._promote(search, last_call=True):
                continue
            audits = self._end_resting(search, given_up=given_up)
            self._unconfirmed.discard(cell.name)
            if not (given_up and cell.trials):
                self._confirm(search)
            self._queue.extend(audits)

    def _confirm(self, search: CellSearch) -> None:
        """Queues the confirm runs of a cell; those that have ended already are counted."""
        cell = search.cell
        chosen = search.chosen(self.plan.sweep.confirm.seeds)
        if chosen is None:
            reason = self.unconfirmed[cell.name] = "no search trial finished"
            self._decisions.unconfirmed(cell, reason=reason)
            return
        self._decisions.confirmed(cell, chosen)
        for proposal in search.confirmations(chosen):
            begun = self.directory(proposal).exists()
            if self._has_ended(proposal):
                self._ledger.close(proposal)
            elif begun or self.progress[cell.name].given_up is None:
                self._go_on(proposal)
        self._give_up(cell)
