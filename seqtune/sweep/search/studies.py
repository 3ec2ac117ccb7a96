"""The cells' Optuna studies: what to run next, when to stop it, and what came of it.

Each cell has a study, all in one storage. Studies and run directories together are the sweep's only
state: a proposal is a pure function of its trial's number and parameters. A new driver session
therefore finds the run directory of every trial, reports to the study what it has missed, and
resumes the runs that have not ended.
"""

from collections import deque
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, TypeAlias

import optuna
from optuna.trial import Trial

from seqtune.runs.decision_log import DECISIONS
from seqtune.runs.directory import RunDirectory
from seqtune.storage.mirror import Mirror
from seqtune.sweep.planning.cell import Cell
from seqtune.sweep.planning.plan import Plan
from seqtune.sweep.search.cell_search import CellSearch, ChosenTrial
from seqtune.sweep.search.decisions import Decisions
from seqtune.sweep.search.directory import DriverFiles, studies_name
from seqtune.sweep.search.promotion import PausedRuns
from seqtune.sweep.search.proposal import Proposal
from seqtune.sweep.search.storage import open_storage
from seqtune.sweep.search.trial_tracker import TrialTracker
from seqtune.training.measurement import Measurement

Verdict: TypeAlias = Literal["continue", "stop", "pause"]
"""What becomes of a run after a measurement; a paused run may be promoted later."""


class Studies:
    """Every cell's study, and the runs that follow from them.

    Attributes:
        progress: of every cell, by its name.
        unconfirmed: by the name of each cell without confirm runs, why it has none.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        root: Path,
        files: DriverFiles | None = None,
        retry: Collection[str] = (),
    ) -> None:
        """Open or create the studies of a sweep and restore what earlier sessions left.

        The caller holds the sweep's lock.

        Args:
            plan: the cells.
            root: the sweep's directory, with the runs.
            files: where studies and decisions are written; in `root` by default.
            retry: run again what ended for one of these causes: see `runs.directory.cause`.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.plan = plan
        self.root = root
        self._files = (
            files if files is not None else DriverFiles(Mirror(root, local=root), lease=None)
        )
        self._decisions = Decisions(self._files.path / DECISIONS)
        storage = open_storage(plan.sweep.storage, root=self._files.path)
        name = studies_name(root, plan=plan)
        self._searches = {
            cell.name: CellSearch(cell, plan=plan, storage=storage, name=name)
            for cell in plan.cells
        }
        self._tracker = TrialTracker(
            plan, root=root, searches=self._searches, decisions=self._decisions
        )
        self.progress = self._tracker.progress
        self.unconfirmed: dict[str, str] = {}
        self._paused = PausedRuns(progress=self.progress, decisions=self._decisions)
        self._queue: deque[Proposal] = deque()
        self._open: dict[str, Proposal] = {}
        self._searching = {cell.name for cell in plan.cells}
        self._chosen: dict[str, ChosenTrial] = {}
        self._resumed_after: dict[str, int] = {}
        for cell in plan.cells:
            facts = {"trials": cell.trials, "seeds": plan.sweep.confirm.seeds}
            self._decisions.write("planned", cell=cell.name, **facts)
        for cell_name in self._tracker.reopen(retry):
            self._searches[cell_name].give_up(None)
        for search in self._searches.values():
            self._restore(search)
        self._confirm_ready()

    @property
    def done(self) -> bool:
        """Whether every search and every confirm run has ended."""
        return not (self._open or self._queue or self._searching)

    @property
    def runs(self) -> int:
        """Runs of the sweep in all; of a cell that was given up, those that started."""
        seeds = self.plan.sweep.confirm.seeds
        return sum(each.runs(seeds) for each in self.progress.values())

    def directory(self, proposal: Proposal) -> RunDirectory:
        """Return where a proposal's run is recorded."""
        return self._tracker.directory(proposal)

    def position(self, proposal: Proposal) -> dict[str, Any]:
        """Return the run's position in the sweep, for its run.json."""
        return proposal.position(self.plan.sweep)

    def next(self) -> Proposal | None:
        """Return the next run; None while there is none, though there may be after a `close`.

        Confirm runs come first, then paused runs that are promoted, then the cell with the fewest
        trials.
        """
        while not self._queue:
            if any(self._promote(each, last_call=False) for each in self._searches.values()):
                break
            waiting = [each for each in self._searches.values() if each.asked < each.cell.trials]
            if not waiting:
                return None
            self._ask(min(waiting, key=lambda each: each.asked))
            self._confirm_ready()
        proposal = self._queue.popleft()
        self._open[proposal.name] = proposal
        epoch = self._resumed_after.pop(proposal.name, None)
        self._tracker.start(proposal, epoch=epoch or 0)
        if epoch is not None:
            self._decisions.write_run("resumed", proposal, epoch=epoch)
        elif not self._tracker.is_audit(proposal):
            self._write_proposed(proposal)
        # A run must not exist anywhere before the trial that proposed it is stored.
        self._files.put_back()
        return proposal

    def on_measurement(self, run: str, measurement: Measurement) -> Verdict:
        """Take a measurement of an open run and return what becomes of the run."""
        proposal, epoch = self._open[run], measurement.epoch
        trial = self._tracker.on_measurement(proposal, measurement)
        if trial is None or epoch == proposal.spec.training.epochs:
            return "continue"
        value = measurement.metrics[self.plan.sweep.metric]
        search = self._searches[proposal.cell.name]
        if search.ladder is not None:
            at = {"ladder": search.ladder, "epoch": epoch, "value": value}
            return "pause" if self._paused.must_pause(proposal, **at) else "continue"
        if not trial.should_prune():
            return "continue"
        standing = search.standing(trial, epoch=epoch)
        if not self._tracker.audit(proposal, standing):
            pruner = self._tracker.pruner
            self._decisions.write_standing("stopped", proposal, standing, by=pruner)
            return "stop"
        # The stop must be stored before the run is measured any further.
        self._files.put_back()
        self._confirm_ready()
        return "continue"

    def pause(self, run: str) -> None:
        """Pause an open run after `on_measurement` said so; its checkpoint stays."""
        proposal = self._open.pop(run)
        self._tracker.leave(proposal)
        ladder = self._searches[proposal.cell.name].ladder
        assert ladder is not None, "runs pause only where they are promoted"
        self._paused.add(proposal, ladder=ladder)
        self._confirm_ready()

    def close(self, run: str) -> str:
        """Close an open run whose directory says how it ended; return that state."""
        proposal = self._open.pop(run)
        self._tracker.leave(proposal)
        state = self._tracker.close(proposal)
        self._give_up_if_hopeless(proposal.cell)
        self._confirm_ready()
        return state

    def _ask(self, search: CellSearch) -> None:
        trial = search.ask()
        proposal = self._tracker.proposal(search, trial)
        if proposal is not None:
            self._tracker.open(proposal, trial)
            self._queue.append(proposal)

    def _write_proposed(self, proposal: Proposal) -> None:
        search, number = self.plan.sweep.search, proposal.number
        chosen = self._chosen.get(proposal.cell.name)
        if proposal.phase == "search" and search is not None:
            kind = search.sampler.kind
            reason = f"point {number} of the grid" if kind == "grid" else f"drawn by {kind}"
        elif chosen is None or chosen.trial is None:
            reason = "nothing is tuned"
        else:
            reason = f"confirms the values of trial {chosen.trial}"
        facts = {"trial": number, "tuned": dict(proposal.tuned), "seed": proposal.spec.seed}
        self._decisions.write_run("proposed", proposal, **facts, reason=reason)

    def _restore(self, search: CellSearch) -> None:
        """Restore the trials of earlier sessions: tell those that ended, queue or pause others."""
        for trial in search.trials():
            proposal = self._tracker.proposal(search, trial)
            if proposal is None:
                continue
            audit = self._tracker.restore_audit(proposal, trial)
            if self._tracker.has_ended(proposal):
                if not audit:
                    self._tracker.open(proposal, trial)
                self._tracker.restore_ended(proposal)
            elif audit:
                self._enqueue(proposal)
            else:
                self._resume(proposal, trial=search.reopen(trial))
        self._give_up_if_hopeless(search.cell)

    def _resume(self, proposal: Proposal, *, trial: Trial) -> None:
        """Queue a run that was in flight, or pause it if it had reached a rung."""
        search = self._searches[proposal.cell.name]
        values, ladder = self._tracker.values(proposal), search.ladder
        self._tracker.open(proposal, trial)
        search.backfill(trial, measured=values)
        if ladder is None:
            self._enqueue(proposal)
            return
        last = max(values, default=0)
        ladder.add_values(proposal.number, values=values)
        if last in ladder.rungs:
            ladder.pause(proposal.number, rung=last)
            self._paused.add(proposal, ladder=ladder, restored=True)
        else:
            self._enqueue(proposal)

    def _enqueue(self, proposal: Proposal) -> None:
        """Queue a run that has not ended, whether it has started or not."""
        directory = self.directory(proposal)
        if directory.exists() or self._tracker.is_audit(proposal):
            # Without a checkpoint the run starts anew.
            measured = directory.measurements() if directory.checkpoint.exists() else []
            self._resumed_after[proposal.name] = measured[-1].epoch if measured else 0
        self._queue.append(proposal)

    def _promote(self, search: CellSearch, *, last_call: bool) -> bool:
        """Queue the cell's paused run that is promoted now; False if there is none."""
        if search.ladder is None:
            return False
        cell = search.cell.name
        proposal = self._paused.promote(cell, ladder=search.ladder, last_call=last_call)
        if proposal is None:
            return False
        self._enqueue(proposal)
        return True

    def _end_paused(self, search: CellSearch, *, given_up: bool) -> list[Proposal]:
        """End the cell's runs that will not be promoted; return those that train on as audits."""
        audits: list[Proposal] = []
        if search.ladder is None:
            return audits
        for proposal, standing in self._paused.remove_all(search.cell.name, ladder=search.ladder):
            if not given_up and self._tracker.audit(proposal, standing):
                audits.append(proposal)
            else:
                self.directory(proposal).end("stopped", reason="not promoted")
                self._tracker.close(proposal)
        return audits

    def _give_up_if_hopeless(self, cell: Cell) -> None:
        """Start no more runs of a cell whose runs all failed in the same way.

        Runs in flight continue. The cell stays given up until some of its runs are retried.
        """
        progress, search = self.progress[cell.name], self._searches[cell.name]
        reason = search.given_up or progress.reason_to_give_up()
        if reason is None or progress.given_up is not None:
            return
        progress.given_up = self.unconfirmed[cell.name] = reason
        search.give_up(reason)
        self._decisions.write("given up", cell=cell.name, reason=reason)
        kept: deque[Proposal] = deque()
        for each in self._queue:
            if each.cell is cell and not self.directory(each).exists():
                self._tracker.drop(each.name)
            else:
                kept.append(each)
        self._queue = kept

    def _confirm_ready(self) -> None:
        """Queue the confirm runs of every cell whose search has just ended."""
        for search in self._searches.values():
            cell = search.cell
            if cell.name not in self._searching or search.asked < cell.trials:
                continue
            in_flight = (*self._open.values(), *self._queue)
            if any(each.cell is cell and not self._tracker.is_audit(each) for each in in_flight):
                continue
            given_up = self.progress[cell.name].given_up is not None
            if not given_up and self._promote(search, last_call=True):
                continue
            audits = self._end_paused(search, given_up=given_up)
            self._searching.discard(cell.name)
            if not (given_up and cell.trials):
                self._confirm(search)
            for each in audits:
                self._enqueue(each)

    def _confirm(self, search: CellSearch) -> None:
        """Queue the confirm runs of a cell; those that have ended already are counted."""
        cell = search.cell
        chosen = search.choose(self.plan.sweep.confirm.seeds)
        if chosen is None:
            reason = self.unconfirmed[cell.name] = "no search trial finished"
            self._decisions.write("unconfirmed", cell=cell.name, reason=reason)
            return
        self._chosen[cell.name] = chosen
        facts = {"trial": chosen.trial, "tuned": dict(chosen.tuned), "value": chosen.value}
        why = {"seeds": chosen.seeds, "reason": chosen.reason}
        self._decisions.write("confirmed", cell=cell.name, **facts, **why)
        for proposal in search.confirmations(chosen):
            if self._tracker.has_ended(proposal):
                self._tracker.restore_ended(proposal)
            elif self.directory(proposal).exists() or self.progress[cell.name].given_up is None:
                self._enqueue(proposal)
        self._give_up_if_hopeless(cell)
