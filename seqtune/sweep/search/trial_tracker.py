"""Tracks each run: reports it to its trial, counts it in its cell, writes it to the log.

A run of a search has an open trial in its cell's study until it ends, or until it is stopped and
trains on as an audit; what it measures from then on is not reported to the study.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from optuna.trial import Trial

from seqtune.config.errors import SpecError
from seqtune.runs.directory import RunDirectory, cause, run_directories
from seqtune.sweep.planning.plan import Plan
from seqtune.sweep.search.cell_progress import CellProgress
from seqtune.sweep.search.cell_search import CellSearch
from seqtune.sweep.search.decisions import Decisions, log
from seqtune.sweep.search.proposal import Proposal, Standing
from seqtune.training.measurement import HIGHER_IS_BETTER, Measurement


class TrialTracker:
    """All runs of a sweep.

    Attributes:
        progress: by the name of each cell.
    """

    def __init__(
        self, plan: Plan, *, root: Path, searches: Mapping[str, CellSearch], decisions: Decisions
    ) -> None:
        """Start with no run.

        Args:
            plan: the cells.
            root: the sweep's directory, with the runs.
            searches: by the name of their cell.
            decisions: the log.
        """
        self.progress = {cell.name: CellProgress(cell) for cell in plan.cells}
        self._search = plan.sweep.search
        self._metric = plan.sweep.metric
        self._runs = root / "runs"
        self._searches = searches
        self._decisions = decisions
        self._trials: dict[str, Trial] = {}
        self._audits: dict[str, int] = {}

    @property
    def pruner(self) -> str:
        """The kind of the pruner."""
        return self._search.pruner.kind if self._search is not None else "none"

    def directory(self, proposal: Proposal) -> RunDirectory:
        """Return where a proposal's run is recorded."""
        return RunDirectory(self._runs / proposal.name)

    def has_ended(self, proposal: Proposal) -> bool:
        """Return whether the run's directory says that it has ended."""
        directory = self.directory(proposal)
        return directory.exists() and directory.info()["state"] != "running"

    def values(self, proposal: Proposal) -> dict[int, float]:
        """Return the run's values of the sweep's metric by epoch."""
        return _by_epoch(self.directory(proposal).measurements(), metric=self._metric)

    def reopen(self, causes: Collection[str]) -> set[str]:
        """Reopen the runs that ended for one of these causes; return the names of their cells."""
        cells = set()
        for directory in run_directories(self._runs) if causes else ():
            info = directory.info()
            if cause(info) in causes:
                position = info["sweep"]
                about = {"run": directory.name, "phase": position["phase"]}
                end = {"state": info["state"], "reason": info["reason"]}
                self._decisions.write("retried", cell=position["cell"], **about, **end)
                directory.reopen()
                cells.add(position["cell"])
        return cells

    def proposal(self, search: CellSearch, trial: Trial) -> Proposal | None:
        """Return what a trial proposes; None if its values cannot be combined: then it has failed.

        A plan is checked for many combinations before it runs, but it cannot try all.
        """
        try:
            return search.proposal(trial)
        except SpecError as error:
            cell, number = search.cell.name, search.number(trial)
            self.progress[cell].refuse()
            if search.tell(trial, state="failed", final=None, measured=False):
                facts = {"trial": number, "tuned": search.tuned(trial), "reason": str(error)}
                self._decisions.write("refused", cell=cell, **facts)
                log.warning("%s: trial %d cannot be run: %s", cell, number, error)
            return None

    def open(self, proposal: Proposal, trial: Trial) -> None:
        """Record which trial a run belongs to."""
        self._trials[proposal.name] = trial

    def drop(self, run: str) -> None:
        """Forget a run that will not start."""
        self._trials.pop(run, None)

    def start(self, proposal: Proposal, *, epoch: int) -> None:
        """Count a run that a worker starts, or resumes after an epoch."""
        self._count(proposal, 1)
        self.progress[proposal.cell.name].reached[proposal.name] = epoch

    def leave(self, proposal: Proposal) -> None:
        """Count a run that its worker has let go of, for now or for good."""
        self._count(proposal, -1)
        self.progress[proposal.cell.name].reached.pop(proposal.name, None)

    def on_measurement(self, proposal: Proposal, measurement: Measurement) -> Trial | None:
        """Report a measurement to the run's trial; return the trial if it may stop the run."""
        epoch, value = measurement.epoch, measurement.metrics.get(self._metric)
        progress = self.progress[proposal.cell.name]
        progress.reached[proposal.name] = epoch
        progress.epoch_seconds[proposal.name] = measurement.seconds / epoch
        trial = self._trials.get(proposal.name)
        if trial is None or value is None:
            return None
        self._update_best(proposal, value)
        trial.report(value, epoch)
        return trial

    def is_audit(self, proposal: Proposal) -> bool:
        """Return whether a run was stopped for its study and trains on, or has done so."""
        return proposal.name in self._audits

    def audit(self, proposal: Proposal, standing: Standing) -> bool:
        """Let a search run train on that is stopped, if it is audited; return whether it is.

        Args:
            proposal: an open run.
            standing: its rank when it is stopped.
        """
        cell, number = proposal.cell.name, proposal.number
        if self._search is None or not self._search.audits(cell=cell, trial=number):
            return False
        trial = self._trials.pop(proposal.name)
        self._searches[cell].audit(trial, epoch=standing.epoch)
        self._add_audit(proposal, epoch=standing.epoch)
        self._decisions.write_standing("audited", proposal, standing, by=self.pruner)
        return True

    def restore_audit(self, proposal: Proposal, trial: Trial) -> bool:
        """Restore an audit of an earlier session, ended or not; return whether the run is one."""
        search = self._searches[proposal.cell.name]
        epoch = search.audited(trial)
        if epoch is None:
            return False
        # The directory may hold more than the study: what was measured after the stop.
        values = search.values(trial)
        search.audit(trial, epoch=epoch)
        self._update_best(proposal, *values.values())
        if search.ladder is not None:
            search.ladder.add_values(proposal.number, values=values)
        self._add_audit(proposal, epoch=epoch)
        return True

    def close(self, proposal: Proposal) -> str:
        """Count a run that has ended, and tell its trial if still open; return its state."""
        return self._close(proposal, news=True)

    def restore_ended(self, proposal: Proposal) -> None:
        """Count a run that an earlier session has ended; its trial is told now if still open."""
        trial = self._trials.get(proposal.name)
        self._close(proposal, news=trial is not None and CellSearch.is_open(trial))

    def _close(self, proposal: Proposal, *, news: bool) -> str:
        directory, audited = self.directory(proposal), self._audits.get(proposal.name)
        if audited is not None:
            _end_audit(directory, epoch=audited)
        info, measured = directory.info(), directory.measurements()
        values = _by_epoch(measured, metric=self._metric)
        state: str = info["state"]
        progress = self.progress[proposal.cell.name]
        progress.end(info, phase=proposal.phase, audited=audited is not None)
        if measured:
            progress.epoch_seconds[proposal.name] = measured[-1].seconds / measured[-1].epoch
        final = values.get(proposal.spec.training.epochs)
        if proposal.phase == "confirm":
            progress.confirmed += [final] if state == "finished" and final is not None else []
        elif audited is None:
            progress.trial_epochs += [measured[-1].epoch] if measured else []
            self._tell(proposal, state=state, values=values, final=final)
        if news:
            last = values[max(values)] if values else None
            end = {"state": state, "reason": info["reason"], "value": last}
            self._decisions.write_run("ended", proposal, **end)
        return state

    def _tell(
        self, proposal: Proposal, *, state: str, values: Mapping[int, float], final: float | None
    ) -> None:
        self._update_best(proposal, *values.values())
        trial = self._trials.pop(proposal.name)
        search = self._searches[proposal.cell.name]
        if search.ladder is not None:
            search.ladder.add_values(proposal.number, values=values)
        search.backfill(trial, measured=values)
        search.tell(trial, state=state, final=final, measured=bool(values))

    def _count(self, proposal: Proposal, change: int) -> None:
        progress = self.progress[proposal.cell.name]
        progress.running += change
        progress.confirming += change if proposal.phase == "confirm" else 0

    def _add_audit(self, proposal: Proposal, *, epoch: int) -> None:
        self._audits[proposal.name] = epoch
        self.progress[proposal.cell.name].audit()

    def _update_best(self, proposal: Proposal, *values: float) -> None:
        progress = self.progress[proposal.cell.name]
        known = [*values, *([] if progress.best is None else [progress.best])]
        best = max if self._metric in HIGHER_IS_BETTER else min
        progress.best = best(known, default=None)


def _by_epoch(measured: Iterable[Measurement], *, metric: str) -> dict[int, float]:
    return {each.epoch: each.metrics[metric] for each in measured if metric in each.metrics}


def _end_audit(directory: RunDirectory, *, epoch: int) -> None:
    """Mark an audited run that has ended as stopped, so that it is not ranked.

    Its run.json says in `audit` after which epoch it was stopped, and in which state it ended. A
    run that failed stays failed: it gave no answer, and can be run again.
    """
    info = directory.info()
    if info["state"] != "stopped":
        directory.update({"audit": {"epoch": epoch, "state": info["state"]}})
    if info["state"] in ("finished", "diverged"):
        reason = f": {info['reason']}" if info["reason"] else ""
        directory.end("stopped", reason=f"audited: {info['state']}{reason}")
