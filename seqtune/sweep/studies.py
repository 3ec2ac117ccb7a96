"""The cells' Optuna studies: what to run next, when to stop it, what came of it. Knows no Ray.

A study a cell, all in one storage. A study and its run directories together are the sweep's memory: a
proposal is a pure function of its trial's number and parameters, so on a fresh start every trial that was
running is found again by its directory, what it measured meanwhile is told, and it goes on.
"""

import logging
from collections import deque
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import optuna
from optuna.trial import Trial

from seqtune.replay import DECISIONS
from seqtune.rundir import RunDirectory
from seqtune.spec import SpecError
from seqtune.sweep.decisions import Decisions
from seqtune.sweep.desk import Desk
from seqtune.sweep.directory import studies_name
from seqtune.sweep.earlier import drop_unbegun, epoch_left, last_of, reopen, values_of
from seqtune.sweep.plan import Cell, Plan
from seqtune.sweep.resting import Resting
from seqtune.sweep.search import CellSearch, Proposal
from seqtune.sweep.storage import open_storage
from seqtune.sweep.tally import CellProgress
from seqtune.training.measurement import HIGHER_IS_BETTER, Measurement
from seqtune.working_copy import WorkingCopy

log = logging.getLogger(__name__)

Verdict: TypeAlias = Literal["go on", "stop", "rest"]
"""What becomes of a run that has been measured: it is stopped for good, or laid aside at its rung."""


class Studies:
    """Every cell's study, and the runs that follow from them."""

    def __init__(
        self,
        plan: Plan,
        *,
        root: Path,
        desk: Desk | None = None,
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
        self.progress = {cell.name: CellProgress(cell) for cell in plan.cells}
        self._desk = desk if desk is not None else Desk(WorkingCopy(root, local=root), lease=None)
        self._decisions = Decisions(self._desk.path / DECISIONS)
        storage = open_storage(plan.sweep.storage, root=self._desk.path)
        name = studies_name(root, plan=plan)
        self._searches = [
            CellSearch(cell, plan=plan, storage=storage, name=name) for cell in plan.cells
        ]
        self._search_of = {search.cell.name: search for search in self._searches}
        self._resting = Resting()
        self._queue: deque[Proposal] = deque()
        self._open: dict[str, Proposal] = {}
        self._trials: dict[str, Trial] = {}
        self._unconfirmed = {cell.name for cell in plan.cells}
        self.unconfirmed: dict[str, str] = {}
        self._left: dict[str, int] = {}
        for cell in plan.cells:
            self._decisions.planned(cell, seeds=plan.sweep.confirm.seeds)
        metric = plan.sweep.metric
        reopen(root / "runs", decisions=self._decisions, metric=metric, retry=retry)
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
        return sum(
            each.cell.trials + seeds if each.given_up is None else each.running + each.ended
            for each in self.progress.values()
        )

    def directory(self, proposal: Proposal) -> RunDirectory:
        """Where a proposal's run is recorded."""
        return RunDirectory(self.root / "runs" / proposal.name)

    def place(self, proposal: Proposal) -> dict[str, Any]:
        """The run's place in the sweep, for its run.json."""
        sweep = self.plan.sweep
        return {
            "name": sweep.name,
            "question": sweep.question,
            "metric": sweep.metric,
            "arm": proposal.cell.arm,
            "cell": proposal.cell.name,
            "phase": proposal.phase,
            "trial": proposal.number,
            "compared": proposal.cell.compared,
            "tuned": dict(proposal.tuned),
        }

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
        self.progress[proposal.cell.name].running += 1
        if proposal.name in self._left:
            self._decisions.resumed(proposal, epoch=self._left.pop(proposal.name))
        else:
            search_spec = self.plan.sweep.search
            self._decisions.proposed(
                proposal, sampler=search_spec.sampler.kind if search_spec else None
            )
        # A run must not exist anywhere before what proposed it does.
        self._desk.put_back()
        return proposal

    def judge(self, run: str, measurement: Measurement) -> Verdict:
        """Takes a measurement of an open run, and says what becomes of the run."""
        proposal = self._open[run]
        value = measurement.metrics.get(self.plan.sweep.metric)
        if value is None:
            return "go on"
        progress = self.progress[proposal.cell.name]
        if proposal.phase == "search":
            progress.best = self._better(progress.best, value)
        trial = self._trials.get(run)
        if trial is None:
            return "go on"
        epoch = measurement.epoch
        trial.report(value, epoch)
        if epoch == proposal.spec.training.epochs:
            return "go on"
        search = self._search_of[proposal.cell.name]
        if search.ladder is not None:
            rests = search.ladder.rests(proposal.number, epoch=epoch, value=value)
            if not rests and epoch in search.ladder.rungs:
                standing = search.ladder.standing(proposal.number, rung=epoch)
                self._decisions.promoted(proposal, standing, last_call=False)
            return "rest" if rests else "go on"
        if not trial.should_prune():
            return "go on"
        kind = self.plan.sweep.search.pruner.kind if self.plan.sweep.search else "none"
        self._decisions.stopped(proposal, search.standing(trial, epoch=epoch), by=kind)
        return "stop"

    def rest(self, run: str) -> None:
        """Lays aside an open run that was told to rest; its checkpoint keeps where it is."""
        proposal = self._open.pop(run)
        self.progress[proposal.cell.name].running -= 1
        self._lay_aside(proposal)
        self._confirm_ready()

    def tell(self, run: str) -> str:
        """Closes an open run whose directory says how it ended; returns that state."""
        proposal = self._open.pop(run)
        self.progress[proposal.cell.name].running -= 1
        state = self._close(proposal)
        self._give_up(proposal.cell)
        self._confirm_ready()
        return state

    def _ask(self, search: CellSearch) -> None:
        """Queues what a new trial proposes."""
        trial = search.ask()
        proposal = self._proposal(search, trial)
        if proposal is not None:
            self._trials[proposal.name] = trial
            self._queue.append(proposal)

    def _proposal(self, search: CellSearch, trial: Trial) -> Proposal | None:
        """What a trial proposes; None if its values cannot be combined, and then it has failed.

        A plan is refused for the combinations that it tries, but it cannot try all.
        """
        try:
            return search.proposal(trial)
        except SpecError as error:
            search.tell(trial, state="failed", final=None, measured=False)
            self.progress[search.cell.name].refuse()
            tuned, number = search.tuned(trial), search.number(trial)
            self._decisions.refused(search.cell, trial=number, tuned=tuned, why=error)
            return None

    def _take_up(self, search: CellSearch) -> None:
        """Finds every trial of an earlier sitting: tells those that ended, queues the rest."""
        for trial in search.trials():
            proposal = self._proposal(search, trial)
            if proposal is None:
                continue
            directory = self.directory(proposal)
            if directory.exists() and directory.info()["state"] != "running":
                self._trials[proposal.name] = trial
                self._close(proposal)
            else:
                self._trials[proposal.name] = again = search.again(trial)
                values = values_of(directory, metric=self.plan.sweep.metric)
                search.backfill(again, measured=values)
                self._resume(proposal, values=values)
        self._give_up(search.cell)

    def _resume(self, proposal: Proposal, *, values: Mapping[int, float]) -> None:
        """Queues a run that was under way, or lays it aside where it had come to a rung."""
        ladder = self._search_of[proposal.cell.name].ladder
        last = max(values, default=0)
        if ladder is not None:
            ladder.arrive(proposal.number, values=values)
        if ladder is not None and last in ladder.rungs:
            ladder.rest(proposal.number, rung=last)
            self._lay_aside(proposal)
        else:
            self._go_on(proposal)

    def _go_on(self, proposal: Proposal) -> None:
        """Queues a run that has not ended, be it begun or not."""
        directory = self.directory(proposal)
        self._decisions.moved_on(proposal)
        if directory.exists():
            self._left[proposal.name] = epoch_left(directory)
        self._queue.append(proposal)

    def _close(self, proposal: Proposal) -> str:
        """Counts an ended run and tells its trial, if that is still open."""
        directory = self.directory(proposal)
        info = directory.info()
        state: str = info["state"]
        progress = self.progress[proposal.cell.name]
        progress.end(info, phase=proposal.phase)
        values = values_of(directory, metric=self.plan.sweep.metric)
        final = values.get(proposal.spec.training.epochs)
        if proposal.phase == "confirm":
            progress.confirmed += [final] if state == "finished" and final is not None else []
        else:
            progress.best = self._better(progress.best, *values.values())
            trial = self._trials.pop(proposal.name)
            search = self._search_of[proposal.cell.name]
            if search.ladder is not None:
                search.ladder.arrive(proposal.number, values=values)
            search.backfill(trial, measured=values)
            search.tell(trial, state=state, final=final, measured=bool(values))
        self._decisions.ended(proposal, info, value=last_of(values))
        return state

    def _lay_aside(self, proposal: Proposal) -> None:
        self._resting.lay_aside(proposal)
        self.progress[proposal.cell.name].resting += 1
        ladder = self._search_of[proposal.cell.name].ladder
        assert ladder is not None, "a run rests only where others are promoted"
        standing = ladder.standing(proposal.number, rung=ladder.resting[proposal.number])
        self._decisions.rests(proposal, standing)

    def _promote(self, search: CellSearch, *, last_call: bool) -> bool:
        """Queues the cell's run that rests and goes on now; false if there is none."""
        found = self._resting.promoted(search, last_call=last_call)
        if found is None:
            return False
        proposal, standing = found
        self.progress[search.cell.name].resting -= 1
        self._decisions.promoted(proposal, standing, last_call=last_call)
        self._queue.append(proposal)
        return True

    def _end_resting(self, search: CellSearch) -> None:
        """Ends the cell's runs that will not go on."""
        for proposal in self._resting.dismissed(search):
            self.progress[search.cell.name].resting -= 1
            self.directory(proposal).end("stopped", reason="not promoted")
            self._close(proposal)

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
            self._trials.pop(name, None)
            self._decisions.dropped(name, reason="its cell is given up")

    def _confirm_ready(self) -> None:
        """Queues the confirm runs of every cell whose search has just ended."""
        for search in self._searches:
            cell = search.cell
            if cell.name not in self._unconfirmed or search.asked < cell.trials:
                continue
            if any(each.cell is cell for each in (*self._open.values(), *self._queue)):
                continue
            given_up = self.progress[cell.name].given_up is not None
            if not given_up and self._promote(search, last_call=True):
                continue
            self._end_resting(search)
            self._unconfirmed.discard(cell.name)
            if not (given_up and cell.trials):
                self._confirm(search)

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
            directory = self.directory(proposal)
            begun = directory.exists()
            if begun and directory.info()["state"] != "running":
                self._close(proposal)
            elif begun or self.progress[cell.name].given_up is None:
                self._go_on(proposal)
        self._give_up(cell)

    def _better(self, *values: float | None) -> float | None:
        known = [value for value in values if value is not None]
        best = max if self.plan.sweep.metric in HIGHER_IS_BETTER else min
        return best(known) if known else None
