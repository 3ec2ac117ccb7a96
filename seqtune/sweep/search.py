"""The search inside one cell: an Optuna study, and the runs that its trials propose."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from seqtune import seeding
from seqtune.run import RunSpec
from seqtune.sweep.distributions import Choice, Distribution
from seqtune.sweep.plan import Cell, Plan
from seqtune.sweep.samplers import build_pruner, build_sampler
from seqtune.sweep.spec import Grid
from seqtune.sweep.tuned import active, first_point, grid_points
from seqtune.training.measurement import HIGHER_IS_BETTER


@dataclass(frozen=True, eq=False)
class Proposal:
    """A run to do next.

    Attributes:
        phase: `search` or `confirm`.
        number: the search trial's number in its cell, or the confirm run's.
        tuned: values of the tuned paths.
    """

    cell: Cell
    phase: str
    number: int
    tuned: Mapping[str, Any]
    spec: RunSpec

    @property
    def name(self) -> str:
        """Name of the run directory."""
        return f"{self.cell.key}-{self.phase}{self.number:03d}-{self.spec.hash()}"


class CellSearch:
    """One cell's study."""

    def __init__(self, cell: Cell, *, plan: Plan, storage: BaseStorage) -> None:
        self.cell = cell
        self.asked = 0
        search = plan.sweep.search
        if search is None or cell.trials == 0:
            self._study = None
            return
        higher = plan.sweep.metric in HIGHER_IS_BETTER
        epochs = cell.run(tuned=first_point(cell.tune), seed=0).training.epochs
        self._study = optuna.create_study(
            study_name=f"{plan.sweep.name}/{cell.name}",
            storage=storage,
            pruner=build_pruner(search.pruner, epochs=epochs),
            direction="maximize" if higher else "minimize",
            load_if_exists=True,
        )
        wanted = StudyDirection.MAXIMIZE if higher else StudyDirection.MINIMIZE
        assert self._study.direction == wanted, "a sweep's metric is checked against its runs first"
        self._points = grid_points(cell.tune) if isinstance(search.sampler, Grid) else None
        self.asked = sum(
            t.state != TrialState.WAITING for t in self._study.get_trials(deepcopy=False)
        )
        self._study.sampler = build_sampler(
            search.sampler,
            trials=cell.trials,
            # By name, so that a cell added before it in the file changes nothing here.
            seed=seeding.integer_seed(search.seed, "search", zlib.crc32(cell.name.encode())),
            restart=self.asked,
        )

    def ask(self) -> Trial:
        """A new trial."""
        assert self._study is not None
        if self._points is not None and not self._study.get_trials(states=(TrialState.WAITING,)):
            point = self._points[self.asked]
            self._study.enqueue_trial({p: _to_optuna(value) for p, value in point.items()})
        trial = self._study.ask()
        self.asked += 1
        return trial

    def proposal(self, trial: Trial) -> Proposal:
        """What a trial proposes: the same whenever it is asked again.

        Raises:
            SpecError: if its values cannot be combined.
        """
        tuned: dict[str, Any] = {}
        # A condition may hang on a value that is itself conditional, hence the repetition.
        while missing := [path for path in active(self.cell.tune, tuned) if path not in tuned]:
            for path in missing:
                tuned[path] = _suggest(trial, path, self.cell.tune[path])
        spec = self.cell.run(tuned=tuned, seed=trial.number)
        return Proposal(self.cell, "search", trial.number, tuned, spec)

    def trials(self) -> list[Trial]:
        """Every trial that an earlier sitting asked for, as an open one."""
        if self._study is None:
            return []
        frozen = self._study.get_trials(deepcopy=False)
        return [
            Trial(self._study, each._trial_id)
            for each in frozen
            if each.state != TrialState.WAITING
        ]

    def backfill(self, trial: Trial, *, measured: Mapping[int, float]) -> None:
        """Tells an open trial, by epoch, what its run measured that did not reach the study."""
        frozen = _frozen(trial)
        if frozen.state.is_finished():
            return
        for epoch, value in measured.items():
            if epoch not in frozen.intermediate_values:
                trial.report(value, epoch)

    def tell(self, trial: Trial, *, state: str, final: float | None, measured: bool) -> None:
        """Closes the trial in the study, unless an earlier sitting did.

        Args:
            trial: the trial.
            state: how its run ended.
            final: the metric after its last epoch, if it has that.
            measured: whether it has the metric after any epoch.
        """
        assert self._study is not None
        if _frozen(trial).state.is_finished():
            return
        if state == "finished" and final is not None:
            self._study.tell(trial, final)
        elif state == "stopped" or (state == "diverged" and measured):
            # A diverged trial is bad news that the sampler should hear; it has a curve to judge by.
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, state=TrialState.FAIL)

    def best(self) -> dict[str, Any] | None:
        """Tuned values of the best trial that ran to its end; None if none did."""
        assert self._study is not None
        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not complete:
            return None
        best = Trial(self._study, self._study.best_trial._trial_id)
        return dict(self.proposal(best).tuned)


def _frozen(trial: Trial) -> FrozenTrial:
    return trial.study._storage.get_trial(trial._trial_id)


def _suggest(trial: Trial, path: str, distribution: Distribution) -> Any:
    if isinstance(distribution, Choice):
        # Optuna's categories are plain values, so a block travels as its JSON text.
        coded = [_to_optuna(value) for value in distribution.values]
        return distribution.values[coded.index(trial.suggest_categorical(path, coded))]
    if distribution.whole:
        low, high = int(distribution.low), int(distribution.high)
        return trial.suggest_int(path, low, high, log=distribution.log)
    return trial.suggest_float(path, distribution.low, distribution.high, log=distribution.log)


def _to_optuna(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value
