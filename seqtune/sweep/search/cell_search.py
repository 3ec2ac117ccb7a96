"""The search inside one cell: an Optuna study, and the runs that its trials propose."""

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from seqtune import seeding
from seqtune.sweep.planning.cell import Cell
from seqtune.sweep.planning.distributions import (
    Choice,
    Distribution,
    active,
    first_point,
    grid_points,
)
from seqtune.sweep.planning.plan import Plan
from seqtune.sweep.planning.search_spec import AshaSpec, GridSpec
from seqtune.sweep.search.promotion import Ladder
from seqtune.sweep.search.proposal import Proposal, Standing
from seqtune.training.measurement import HIGHER_IS_BETTER

CONFIRM_SEED = 1_000_000
"""First seed of the confirm runs; search trial k has seed k. The two never meet."""

NUMBER = "number"
"""Attribute of a trial whose number in its cell differs from its number in the study, after a
retry."""

AUDITED = "audited"
"""Attribute of a trial that was stopped while its run trains on: the epoch of the stop."""

GIVEN_UP = "given_up"
"""Attribute of a study whose cell was given up: the reason."""

LONGEST_NAME = 512
"""Length of a study's name in Optuna's tables."""


@dataclass(frozen=True)
class ChosenTrial:
    """The values that a cell confirms.

    Attributes:
        trial: whose values they are; None if nothing is tuned.
        value: the sweep's metric at the end of that trial.
        seeds: number of fresh seeds that they get.
        reason: why these values.
    """

    trial: int | None
    tuned: Mapping[str, Any]
    value: float | None
    seeds: int
    reason: str


class CellSearch:
    """One cell's study.

    Attributes:
        asked: trials started.
        rungs: epochs after which trials are compared; empty unless the pruner is successive
            halving.
        ladder: which of the trials are paused, with ASHA by promotion; else None.
    """

    def __init__(self, cell: Cell, *, plan: Plan, storage: BaseStorage, name: str) -> None:
        """Open or create the study.

        Args:
            cell: the cell to search.
            plan: the sweep.
            storage: where the study is kept.
            name: prefix of the names of the sweep's studies.
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
            pruner=search.pruner.build(epochs=epochs),
            direction="maximize" if higher else "minimize",
            load_if_exists=True,
        )
        wanted = StudyDirection.MAXIMIZE if higher else StudyDirection.MINIMIZE
        assert self._study.direction == wanted, (
            "a sweep's metric cannot change once runs have started"
        )
        self._points = grid_points(cell.tune) if isinstance(search.sampler, GridSpec) else None
        self._sampler = search.sampler
        self._seed = search.seed
        self.asked = len(self._latest())

    @property
    def given_up(self) -> str | None:
        """Why an earlier session or this one gave the cell up, if so."""
        return None if self._study is None else self._study.user_attrs.get(GIVEN_UP)

    def give_up(self, reason: str | None) -> None:
        """Ask for no more trials, now and in later sessions; None takes that back."""
        if reason is not None:
            self.asked = max(self.asked, self.cell.trials)
        if self._study is not None and reason != self.given_up:
            self._study.set_user_attr(GIVEN_UP, reason)

    def ask(self) -> Trial:
        """Return a new trial."""
        assert self._study is not None
        known = self._study.get_trials(deepcopy=False)
        point = self._points[self.asked] if self._points is not None else {}
        shifted = len(known) != self.asked
        # A trial that a killed driver had enqueued comes first.
        if (point or shifted) and all(each.state != TrialState.WAITING for each in known):
            fixed = {path: _to_optuna(value) for path, value in point.items()}
            self._study.enqueue_trial(fixed, user_attrs={NUMBER: self.asked} if shifted else None)
        self._study.sampler = self._sampler_of(self.asked)
        trial = self._study.ask()
        self.asked += 1
        return trial

    def _sampler_of(self, number: int) -> BaseSampler:
        # By the cell's name, so that adding another cell to the file changes nothing.
        cell = zlib.crc32(self.cell.name.encode())
        return self._sampler.build(
            trials=self.cell.trials,
            cell_seed=seeding.integer_seed(self._seed, "search", cell) % 2**32,
            trial_seed=seeding.integer_seed(self._seed, "search", cell, number) % 2**32,
        )

    def proposal(self, trial: Trial) -> Proposal:
        """Return what a trial proposes: the same run every time.

        Raises:
            SpecError: if its values cannot be combined.
        """
        tuned, number = self.tuned(trial), self.number(trial)
        spec = self.cell.run(tuned=tuned, seed=number)
        return Proposal(self.cell, "search", number, tuned, spec)

    def tuned(self, trial: Trial) -> dict[str, Any]:
        """Return a trial's values by path, whether they can be combined or not."""
        tuned: dict[str, Any] = {}
        frozen = _frozen(trial)
        # A condition may depend on a value that is itself conditional, hence the loop.
        while missing := [path for path in active(self.cell.tune, tuned) if path not in tuned]:
            for path in missing:
                distribution = self.cell.tune[path]
                # Optuna would store a known value again, even in a finished trial.
                known = path in frozen.params
                value = frozen.params[path] if known else _suggest(trial, path, distribution)
                tuned[path] = _from_optuna(value, distribution)
        return tuned

    def number(self, trial: Trial) -> int:
        """Return a trial's number in the cell."""
        return _number(_frozen(trial))

    def trials(self) -> list[Trial]:
        """Return every trial of earlier sessions as an open one; of a retried trial, the last."""
        if self._study is None:
            return []
        found = []
        for number, frozen in sorted(self._latest().items()):
            # Optuna samples when it opens a trial; for a finished one that is wasted, so use a
            # cheap sampler.
            finished = frozen.state.is_finished()
            self._study.sampler = RandomSampler() if finished else self._sampler_of(number)
            found.append(Trial(self._study, frozen._trial_id))
        return found

    def _latest(self) -> dict[int, FrozenTrial]:
        """The last trial of every number, in no order."""
        assert self._study is not None
        frozen = self._study.get_trials(deepcopy=False)
        return {_number(each): each for each in frozen if each.state != TrialState.WAITING}

    def reopen(self, trial: Trial) -> Trial:
        """Return an open trial with the number and values of a finished one; an open trial itself.

        Optuna cannot reopen a finished trial, so another takes its place.
        """
        assert self._study is not None
        frozen = _frozen(trial)
        if not frozen.state.is_finished():
            return trial
        self._study.enqueue_trial(frozen.params, user_attrs={NUMBER: _number(frozen)})
        again = self._study.ask()
        # Optuna stores the values only once they have been suggested.
        self.proposal(again)
        return again

    @staticmethod
    def is_open(trial: Trial) -> bool:
        """Return whether the study does not know yet how a trial ended."""
        return not _frozen(trial).state.is_finished()

    def backfill(self, trial: Trial, *, measured: Mapping[int, float]) -> None:
        """Report to an open trial the measurements, by epoch, that did not reach the study."""
        frozen = _frozen(trial)
        if frozen.state.is_finished():
            return
        for epoch, value in measured.items():
            if epoch not in frozen.intermediate_values:
                trial.report(value, epoch)

    def tell(self, trial: Trial, *, state: str, final: float | None, measured: bool) -> bool:
        """Finish the trial in the study; return False if it was finished before.

        Args:
            trial: the trial.
            state: how its run ended.
            final: the metric after its last epoch, if it was measured.
            measured: whether the metric was measured after any epoch.
        """
        assert self._study is not None
        if not self.is_open(trial):
            return False
        if state == "finished" and final is not None:
            self._study.tell(trial, final)
        elif state == "stopped" or (state == "diverged" and measured):
            # The sampler should learn from a diverged trial; it has a curve to rank it by.
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, state=TrialState.FAIL)
        return True

    def audit(self, trial: Trial, *, epoch: int) -> None:
        """Stop a trial whose run trains on; may be repeated after a driver was killed."""
        if self.audited(trial) is None:
            trial.set_user_attr(AUDITED, epoch)
        self.tell(trial, state="stopped", final=None, measured=True)

    def audited(self, trial: Trial) -> int | None:
        """Return the epoch after which an audited trial was stopped; None for any other trial."""
        return _frozen(trial).user_attrs.get(AUDITED)

    def values(self, trial: Trial) -> dict[int, float]:
        """Return a trial's values by epoch, as far as the study knows them."""
        return dict(_frozen(trial).intermediate_values)

    def standing(self, trial: Trial, *, epoch: int) -> Standing:
        """Return the rank of an open trial's value among all of the cell at an epoch."""
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

    def choose(self, seeds: int) -> ChosenTrial | None:
        """Return the best values, to confirm on so many seeds; None if no trial finished."""
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
        """Return the confirm runs of the chosen values."""
        tuned = chosen.tuned
        specs = [self.cell.run(tuned=tuned, seed=CONFIRM_SEED + k) for k in range(chosen.seeds)]
        return [Proposal(self.cell, "confirm", k, tuned, spec) for k, spec in enumerate(specs)]


def _study_name(cell: Cell, *, name: str) -> str:
    """Name of the cell's study, cut to what a database can hold."""
    whole = f"{name}/{cell.name}"
    if len(whole) <= LONGEST_NAME:
        return whole
    end = hashlib.sha256(whole.encode()).hexdigest()[:10]
    return f"{whole[: LONGEST_NAME - len(end) - 1]}-{end}"


def _number(trial: FrozenTrial) -> int:
    """The trial's number in its cell, which a retried trial keeps."""
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
    """Optuna's categories are plain values, so a block becomes its JSON text."""
    return json.dumps(value) if isinstance(value, dict | list) else value


def _from_optuna(value: Any, distribution: Distribution) -> Any:
    if not isinstance(distribution, Choice):
        return value
    coded = [_to_optuna(each) for each in distribution.values]
    return distribution.values[coded.index(value)]
