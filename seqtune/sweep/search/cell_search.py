"""The search inside one cell: an Optuna study, and the runs that its trials propose."""

import hashlib
import json
import zlib
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from seqtune import seeding
from seqtune.runs.decision_log import ChosenTrial
from seqtune.sweep.planning.distributions import Choice, Distribution
from seqtune.sweep.planning.plan import Cell, Plan
from seqtune.sweep.planning.search_points import active, first_point, grid_points
from seqtune.sweep.planning.spec import AshaSpec, GridSpec
from seqtune.sweep.search.promotion import Ladder, Standing
from seqtune.sweep.search.proposal import Proposal
from seqtune.sweep.search.samplers import build_pruner, build_sampler
from seqtune.training.measurement import HIGHER_IS_BETTER

CONFIRM_SEED = 1_000_000
"""First seed of the confirm runs; search trial k has seed k. The two never meet."""

NUMBER = "number"
"""Attribute of a trial whose number in its cell is not its number in the study, where trials are tried again."""

AUDITED = "audited"
"""Attribute of a trial that is stopped for the study while its run goes on: the epoch after which it was."""

LONGEST_NAME = 512
"""Letters of a study's name in Optuna's tables."""


class CellSearch:
    """One cell's study.

    Attributes:
        asked: trials begun.
        rungs: epochs after which trials are compared; empty where the pruner is not successive halving.
        ladder: which of the trials rest and which go on, where they are promoted; else None.
    """

    def __init__(self, cell: Cell, *, plan: Plan, storage: BaseStorage, name: str) -> None:
        """Opens or makes the study.

        Args:
            cell: what is searched.
            plan: the sweep that it is a cell of.
            storage: where the study is kept.
            name: what the names of the sweep's studies begin with.
        """
        self.cell = cell
        self.asked = 0
        self.rungs: list[int] = []
        self.ladder: Ladder | None = None
        search = plan.sweep.search
        if search is None or cell.trials == 0:
            self._study = None
            return
        higher = plan.sweep.metric in HIGHER_IS_BETTER
        epochs = cell.run(tuned=first_point(cell.tune), seed=0).training.epochs
        if isinstance(search.pruner, AshaSpec):
            ladder = Ladder.of(search.pruner, epochs=epochs, higher=higher)
            self.rungs = ladder.rungs
            self.ladder = ladder if search.pruner.type == "promotion" else None
        self._study = optuna.create_study(
            study_name=_study_name(cell, name=name),
            storage=storage,
            pruner=build_pruner(search.pruner, epochs=epochs),
            direction="maximize" if higher else "minimize",
            load_if_exists=True,
        )
        wanted = StudyDirection.MAXIMIZE if higher else StudyDirection.MINIMIZE
        assert self._study.direction == wanted, "a sweep's metric is checked against its runs first"
        self._points = grid_points(cell.tune) if isinstance(search.sampler, GridSpec) else None
        self._sampler = search.sampler
        self._seed = search.seed
        self.asked = len(self._latest())

    def ask(self) -> Trial:
        """A new trial."""
        assert self._study is not None
        known = self._study.get_trials(deepcopy=False)
        point = self._points[self.asked] if self._points is not None else {}
        shifted = len(known) != self.asked
        # What a killed driver had enqueued is taken up first.
        if (point or shifted) and all(each.state != TrialState.WAITING for each in known):
            fixed = {path: _to_optuna(value) for path, value in point.items()}
            self._study.enqueue_trial(fixed, user_attrs={NUMBER: self.asked} if shifted else None)
        self._study.sampler = self._sampler_of(self.asked)
        trial = self._study.ask()
        self.asked += 1
        return trial

    def _sampler_of(self, number: int) -> BaseSampler:
        # By the cell's name, so that a cell added before it in the file changes nothing here.
        cell = zlib.crc32(self.cell.name.encode())
        return build_sampler(
            self._sampler,
            trials=self.cell.trials,
            seed=seeding.integer_seed(self._seed, "search", cell),
            fresh=seeding.integer_seed(self._seed, "search", cell, number),
        )

    def proposal(self, trial: Trial) -> Proposal:
        """What a trial proposes: the same whenever it is asked again.

        Raises:
            SpecError: if its values cannot be combined.
        """
        tuned, number = self.tuned(trial), self.number(trial)
        spec = self.cell.run(tuned=tuned, seed=number)
        return Proposal(self.cell, "search", number, tuned, spec)

    def tuned(self, trial: Trial) -> dict[str, Any]:
        """The values that a trial proposes, by path, whether they can be combined or not."""
        tuned: dict[str, Any] = {}
        frozen = _frozen(trial)
        # A condition may hang on a value that is itself conditional, hence the repetition.
        while missing := [path for path in active(self.cell.tune, tuned) if path not in tuned]:
            for path in missing:
                distribution = self.cell.tune[path]
                # Optuna would write down a value again that it was given, even in a trial that was told.
                known = path in frozen.params
                value = frozen.params[path] if known else _suggest(trial, path, distribution)
                tuned[path] = _from_optuna(value, distribution)
        return tuned

    def number(self, trial: Trial) -> int:
        """A trial's number in the cell."""
        return _number(_frozen(trial))

    def trials(self) -> list[Trial]:
        """Every trial that an earlier sitting asked for, as an open one; of one tried again, the last."""
        if self._study is None:
            return []
        found = []
        for number, frozen in sorted(self._latest().items()):
            # Optuna draws when it opens a trial: for one that was told in vain, so that may be cheap.
            told = frozen.state.is_finished()
            self._study.sampler = RandomSampler() if told else self._sampler_of(number)
            found.append(Trial(self._study, frozen._trial_id))
        return found

    def _latest(self) -> dict[int, FrozenTrial]:
        """The last trial of every number, in no order."""
        assert self._study is not None
        frozen = self._study.get_trials(deepcopy=False)
        return {_number(each): each for each in frozen if each.state != TrialState.WAITING}

    def again(self, trial: Trial) -> Trial:
        """An open trial with the number and the values of one that was told; that one itself if it is open.

        A told trial cannot be opened again, but another can stand for it.
        """
        assert self._study is not None
        frozen = _frozen(trial)
        if not frozen.state.is_finished():
            return trial
        self._study.enqueue_trial(frozen.params, user_attrs={NUMBER: _number(frozen)})
        again = self._study.ask()
        # The values are the trial's own only once they have been asked for.
        self.proposal(again)
        return again

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

    def audit(self, trial: Trial, *, epoch: int) -> None:
        """Stops a trial whose run goes on; told again, for a driver that was killed meanwhile, it says no more."""
        if self.audited(trial) is None:
            trial.set_user_attr(AUDITED, epoch)
        self.tell(trial, state="stopped", final=None, measured=True)

    def audited(self, trial: Trial) -> int | None:
        """The epoch after which a trial was stopped whose run goes on; None of any other."""
        return _frozen(trial).user_attrs.get(AUDITED)

    def values(self, trial: Trial) -> dict[int, float]:
        """By epoch, what the study was told that a trial measured."""
        return dict(_frozen(trial).intermediate_values)

    def standing(self, trial: Trial, *, epoch: int) -> Standing:
        """Which place an open trial's value takes among all of the cell at an epoch."""
        assert self._study is not None
        known = [each.intermediate_values for each in self._study.get_trials(deepcopy=False)]
        values = [each[epoch] for each in known if epoch in each]
        own = _frozen(trial).intermediate_values[epoch]
        higher = self._study.direction == StudyDirection.MAXIMIZE
        better = [value for value in values if (value > own if higher else value < own)]
        passed = [rung for rung in self.rungs if rung <= epoch]
        return Standing(
            epoch=epoch,
            value=own,
            rank=len(better) + 1,
            among=len(values),
            rung=len(passed) - 1 if passed else None,
        )

    def chosen(self, seeds: int) -> ChosenTrial | None:
        """What the cell confirms on so many fresh seeds: the best values; None if no trial ran to its end."""
        if not self.cell.trials:
            return ChosenTrial(
                trial=None, tuned={}, value=None, seeds=seeds, reason="nothing is tuned"
            )
        assert self._study is not None
        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not complete:
            return None
        best = self._study.best_trial
        proposal = self.proposal(Trial(self._study, best._trial_id))
        return ChosenTrial(
            trial=proposal.number,
            tuned=dict(proposal.tuned),
            value=best.value,
            seeds=seeds,
            reason=f"best of {len(complete)} that finished",
        )

    def confirmations(self, chosen: ChosenTrial) -> list[Proposal]:
        """The runs of the values that the cell confirms."""
        tuned = chosen.tuned
        specs = [self.cell.run(tuned=tuned, seed=CONFIRM_SEED + k) for k in range(chosen.seeds)]
        return [Proposal(self.cell, "confirm", k, tuned, spec) for k, spec in enumerate(specs)]


def _study_name(cell: Cell, *, name: str) -> str:
    """What the cell's study is called, cut to what a database holds."""
    whole = f"{name}/{cell.name}"
    if len(whole) <= LONGEST_NAME:
        return whole
    end = hashlib.sha256(whole.encode()).hexdigest()[:10]
    return f"{whole[: LONGEST_NAME - len(end) - 1]}-{end}"


def _number(trial: FrozenTrial) -> int:
    """The trial's number in its cell, which one that is tried again keeps."""
    return int(trial.user_attrs.get(NUMBER, trial.number))


def _frozen(trial: Trial) -> FrozenTrial:
    return trial.study._storage.get_trial(trial._trial_id)


def _suggest(trial: Trial, path: str, distribution: Distribution) -> Any:
    if isinstance(distribution, Choice):
        return trial.suggest_categorical(path, [_to_optuna(each) for each in distribution.values])
    if distribution.whole:
        low, high = int(distribution.low), int(distribution.high)
        return trial.suggest_int(path, low, high, log=distribution.log)
    return trial.suggest_float(path, distribution.low, distribution.high, log=distribution.log)


def _to_optuna(value: Any) -> Any:
    """Optuna's categories are plain values, so a block travels as its JSON text."""
    return json.dumps(value) if isinstance(value, dict | list) else value


def _from_optuna(value: Any, distribution: Distribution) -> Any:
    if not isinstance(distribution, Choice):
        return value
    coded = [_to_optuna(each) for each in distribution.values]
    return distribution.values[coded.index(value)]
