"""What becomes of each run: told to the trial that it stands for, counted in its cell, written to the log.

A run of a search has an open trial in its cell's study until it ends, or until it is stopped and goes on as
an audit: what it measures from then on is told to nobody here.
"""

from collections.abc import Mapping
from pathlib import Path

from optuna.trial import Trial

from seqtune.config.errors import SpecError
from seqtune.runs.directory import RunDirectory
from seqtune.sweep.planning.audit import end_audit, is_audited
from seqtune.sweep.planning.plan import Plan
from seqtune.sweep.search.cell_progress import CellProgress
from seqtune.sweep.search.cell_search import CellSearch
from seqtune.sweep.search.decisions import Decisions
from seqtune.sweep.search.promotion import Standing
from seqtune.sweep.search.proposal import Proposal
from seqtune.sweep.search.resume import last_of, values_in, values_of
from seqtune.sweep.search.run_timing import RunTiming
from seqtune.training.measurement import HIGHER_IS_BETTER, Measurement


class TrialTracker:
    """Of all runs of a sweep.

    Attributes:
        progress: how far each cell has come, by its name.
        stopwatch: how fast its runs are.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        root: Path,
        searches: Mapping[str, CellSearch],
        decisions: Decisions,
    ) -> None:
        """Opens an empty one.

        Args:
            plan: the cells.
            root: the sweep's directory, with the runs.
            searches: by the name of their cell.
            decisions: the log.
        """
        self.progress = {cell.name: CellProgress(cell) for cell in plan.cells}
        self.stopwatch = RunTiming(plan.cells)
        self._search = plan.sweep.search
        self._metric = plan.sweep.metric
        self._runs = root / "runs"
        self._searches = searches
        self._decisions = decisions
        self._trials: dict[str, Trial] = {}
        self._audits: dict[str, int] = {}

    @property
    def pruner(self) -> str:
        """Which kind stops trials."""
        return self._search.pruner.kind if self._search is not None else "none"

    def directory(self, proposal: Proposal) -> RunDirectory:
        """Where a proposal's run is recorded."""
        return RunDirectory(self._runs / proposal.name)

    def values(self, proposal: Proposal) -> dict[int, float]:
        """By epoch, the metric as far as the run was measured."""
        return values_of(self.directory(proposal), metric=self._metric)

    def proposal(self, search: CellSearch, trial: Trial) -> Proposal | None:
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

    def open(self, proposal: Proposal, trial: Trial) -> None:
        """Notes which trial a run stands for."""
        self._trials[proposal.name] = trial

    def drop(self, run: str) -> None:
        """Forgets a run that will not begin."""
        self._trials.pop(run, None)

    def begins(self, proposal: Proposal, *, epoch: int) -> None:
        """Counts a run that a worker takes up after an epoch."""
        stoppable = proposal.phase == "search" and not self.is_audit(proposal)
        self.stopwatch.begins(proposal, epoch=epoch, stoppable=stoppable)
        self._count(proposal, 1)

    def leaves(self, proposal: Proposal) -> None:
        """Counts a run that its worker is through with, for now or for good."""
        self.stopwatch.leaves(proposal)
        self._count(proposal, -1)

    def _count(self, proposal: Proposal, change: int) -> None:
        progress = self.progress[proposal.cell.name]
        progress.running += change
        progress.confirming += change if proposal.phase == "confirm" else 0

    def measured(self, proposal: Proposal, measurement: Measurement) -> Trial | None:
        """Tells what a run measured to its trial, to be judged; None if nobody judges the run by it."""
        epoch, value = measurement.epoch, measurement.metrics.get(self._metric)
        self.stopwatch.measured(proposal, measurement)
        trial = self._trials.get(proposal.name)
        if trial is None or value is None:
            return None
        self._note_best(proposal, value)
        trial.report(value, epoch)
        return trial

    def is_audit(self, proposal: Proposal) -> bool:
        """Whether a run was stopped, and goes on all the same or has done so."""
        return proposal.name in self._audits

    def audit(self, proposal: Proposal, standing: Standing) -> bool:
        """Stops a search run for its study and lets it go on, if it is one of those; returns whether it is.

        Args:
            proposal: an open one.
            standing: where it is to be stopped.
        """
        cell, number = proposal.cell.name, proposal.number
        if self._search is None or not is_audited(self._search, cell=cell, trial=number):
            return False
        trial = self._trials.pop(proposal.name)
        self._searches[cell].audit(trial, epoch=standing.epoch)
        self._note_audit(proposal, epoch=standing.epoch)
        self._decisions.audited(proposal, standing, by=self.pruner)
        return True

    def found_audit(self, proposal: Proposal, trial: Trial) -> bool:
        """Takes up a run that an earlier sitting audits, ended or not; returns whether it is one."""
        search = self._searches[proposal.cell.name]
        epoch = search.audited(trial)
        if epoch is None:
            return False
        # What the directory holds beyond the rung is none of the study's business.
        values = search.values(trial)
        search.audit(trial, epoch=epoch)
        self._note_best(proposal, *values.values())
        if search.ladder is not None:
            search.ladder.arrive(proposal.number, values=values)
        self._note_audit(proposal, epoch=epoch)
        self._decisions.audited_before(proposal, epoch=epoch)
        return True

    def close(self, proposal: Proposal) -> str:
        """Counts a run that has ended, and tells its trial if that is still open; returns its state."""
        directory, audited = self.directory(proposal), self._audits.get(proposal.name)
        if audited is not None:
            end_audit(directory, epoch=audited)
        info, measured = directory.info(), directory.measurements()
        values = values_in(measured, metric=self._metric)
        if measured:
            stoppable = proposal.phase == "search" and audited is None
            self.stopwatch.found(proposal, measured[-1], stoppable=stoppable)
        state: str = info["state"]
        progress = self.progress[proposal.cell.name]
        progress.end(info, phase=proposal.phase, audited=audited is not None)
        final = values.get(proposal.spec.training.epochs)
        if proposal.phase == "confirm":
            progress.confirmed += [final] if state == "finished" and final is not None else []
        elif audited is None:
            self._tell(proposal, state=state, values=values, final=final)
        self._decisions.ended(proposal, info, value=last_of(values))
        return state

    def _tell(
        self, proposal: Proposal, *, state: str, values: Mapping[int, float], final: float | None
    ) -> None:
        self._note_best(proposal, *values.values())
        trial = self._trials.pop(proposal.name)
        search = self._searches[proposal.cell.name]
        if search.ladder is not None:
            search.ladder.arrive(proposal.number, values=values)
        search.backfill(trial, measured=values)
        search.tell(trial, state=state, final=final, measured=bool(values))

    def _note_audit(self, proposal: Proposal, *, epoch: int) -> None:
        self._audits[proposal.name] = epoch
        self.stopwatch.runs_on(proposal)
        self.progress[proposal.cell.name].audit()

    def _note_best(self, proposal: Proposal, *values: float) -> None:
        progress = self.progress[proposal.cell.name]
        known = [*values, *([] if progress.best is None else [progress.best])]
        best = max if self._metric in HIGHER_IS_BETTER else min
        progress.best = best(known, default=None)
