"""The `search` block of a sweep file: sampler, pruner, trials, audits and storage.

Specs of samplers and pruners build Optuna's objects. Optuna is imported only there, so that a wrong
file is reported without waiting for it.
"""

import warnings
import zlib
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, field_validator, model_validator

from seqtune import seeding
from seqtune.config.errors import problem
from seqtune.config.spec import Spec
from seqtune.config.unions import ByKind
from seqtune.sweep.planning.storage_url import FromEnvironment, StorageSpec, parse_storage

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

MOST_STARTUP_TRIALS = 10


class TpeSpec(Spec):
    """Tree-structured Parzen estimator. Source: Bergstra et al. 2011; Watanabe 2023."""

    kind: Literal["tpe"] = "tpe"
    startup_trials: int | None = Field(default=None, ge=1)
    """Random trials before the model is used; null for a third of the cell's trials, at most 10."""

    def build(self, *, trials: int, cell_seed: int, trial_seed: int) -> "BaseSampler":
        """Return the sampler of one trial of a cell's study.

        Args:
            trials: trials of the cell; model-based samplers start with a third of them at random.
            cell_seed: the same for all trials of the cell.
            trial_seed: of this trial. Its values depend only on this seed and on what the study
                holds when the trial is asked for, so a driver that is killed in between changes
                nothing.
        """
        from optuna.samplers import TPESampler

        startup = self.startup_trials or _startup_trials(trials)
        return TPESampler(n_startup_trials=startup, seed=trial_seed)


class RandomSpec(Spec):
    """Independent draws. Source: Bergstra & Bengio 2012."""

    kind: Literal["random"] = "random"

    def build(self, *, trials: int, cell_seed: int, trial_seed: int) -> "BaseSampler":
        from optuna.samplers import RandomSampler

        return RandomSampler(seed=trial_seed)


class GpSpec(Spec):
    """Gaussian process with expected improvement; takes about half a second per proposal."""

    kind: Literal["gp"] = "gp"
    startup_trials: int | None = Field(default=None, ge=1)
    """As in `tpe`."""

    def build(self, *, trials: int, cell_seed: int, trial_seed: int) -> "BaseSampler":
        from optuna.samplers import GPSampler

        startup = self.startup_trials or _startup_trials(trials)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna marks it as experimental
            return GPSampler(n_startup_trials=startup, seed=trial_seed)


class QmcSpec(Spec):
    """Scrambled Sobol points: more even than random ones. Source: Bousquet et al. 2017."""

    kind: Literal["qmc"] = "qmc"

    def build(self, *, trials: int, cell_seed: int, trial_seed: int) -> "BaseSampler":
        from optuna.samplers import QMCSampler

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna marks it as experimental
            # The study stores the position in the sequence, so every trial needs the same seed.
            return QMCSampler(scramble=True, seed=cell_seed)


class GridSpec(Spec):
    """Every combination of the tuned `choice` lists; the number of trials follows from them."""

    kind: Literal["grid"] = "grid"

    def build(self, *, trials: int, cell_seed: int, trial_seed: int) -> "BaseSampler":
        from optuna.samplers import RandomSampler

        return RandomSampler(seed=trial_seed)  # grid points are enqueued, so it samples nothing


SamplerSpec: TypeAlias = Annotated[
    TpeSpec | RandomSpec | GpSpec | QmcSpec | GridSpec, ByKind(default="tpe")
]


class AshaSpec(Spec):
    """Asynchronous successive halving: only the best pass a rung. Source: Li et al. 2018."""

    kind: Literal["asha"] = "asha"
    type: Literal["stopping", "promotion"] = "stopping"
    """`stopping` judges a trial as soon as it reaches a rung, against those that reached it before,
    so the first ones always pass. `promotion` (the paper's algorithm) pauses every trial at the
    rung, keeps its checkpoint, and resumes it once it is among the best of all that reached the
    rung."""
    grace_period: int = Field(default=2, ge=1)
    """Epochs of the first rung: no trial is stopped before."""
    reduction_factor: int = Field(default=3, ge=2)
    """One in this many continues; each rung is this many times later than the one before."""

    def build(self, *, epochs: int) -> "BasePruner":
        """Return the pruner of one cell's study; its steps are epochs."""
        from optuna.pruners import NopPruner, SuccessiveHalvingPruner

        if self.type == "promotion":
            return NopPruner()  # see `search.promotion`
        return SuccessiveHalvingPruner(
            min_resource=self.grace_period, reduction_factor=self.reduction_factor
        )


class HyperbandSpec(Spec):
    """Brackets of successive halving with different grace periods. Source: Li et al. 2017."""

    kind: Literal["hyperband"] = "hyperband"
    grace_period: int = Field(default=1, ge=1)
    reduction_factor: int = Field(default=3, ge=2)

    def build(self, *, epochs: int) -> "BasePruner":
        from optuna.pruners import HyperbandPruner

        return HyperbandPruner(
            min_resource=self.grace_period,
            max_resource=epochs,
            reduction_factor=self.reduction_factor,
        )


class MedianSpec(Spec):
    """Stops trials worse than the median at the same epoch. Source: Golovin et al. 2017."""

    kind: Literal["median"] = "median"
    grace_period: int = Field(default=2, ge=0)
    startup_trials: int = Field(default=3, ge=1)

    def build(self, *, epochs: int) -> "BasePruner":
        from optuna.pruners import MedianPruner

        return MedianPruner(n_startup_trials=self.startup_trials, n_warmup_steps=self.grace_period)


class NoPruner(Spec):
    """Every trial runs to its last epoch."""

    kind: Literal["none"] = "none"

    def build(self, *, epochs: int) -> "BasePruner":
        from optuna.pruners import NopPruner

        return NopPruner()


PrunerSpec: TypeAlias = Annotated[
    AshaSpec | HyperbandSpec | MedianSpec | NoPruner, ByKind(default="asha")
]


class SearchSpec(Spec):
    """The search inside each cell."""

    trials: int | None = Field(default=None, ge=1)
    """Trials per cell; left out only for the grid."""
    sampler: SamplerSpec = TpeSpec()
    pruner: PrunerSpec = AshaSpec()
    audit: float = Field(default=0.0, ge=0, lt=1)
    """Share of the trials, drawn by `seed`, that keep training to their last epoch when they are
    stopped, so that the report can say how often stopping was wrong. The study records them as
    stopped and they are not ranked, so the search is the same as without audits."""
    seed: int = Field(default=0, ge=0)
    storage: StorageSpec = Field(default="journal", repr=False)
    """Where the studies are kept: `journal` or `sqlite`, files beside the runs;
    `postgresql://USER@HOST/DATABASE`; or `{env: NAME}`, the URL in an environment variable, so that
    no file holds its password. It does not change what is run."""

    def audits(self, *, cell: str, trial: int) -> bool:
        """Return whether a trial keeps training if it is stopped: the same in every driver session.

        A larger share audits the same trials, and others.
        """
        if self.audit == 0:
            return False
        draw = seeding.generator(self.seed, "audit", zlib.crc32(cell.encode()), trial).random()
        return bool(draw < self.audit)

    @field_validator("storage", mode="before")
    @classmethod
    def _check_storage(cls, storage: Any) -> Any:
        match storage:
            case None:
                return "journal"
            case FromEnvironment():
                return storage
            case {"env": str(name)} if len(storage) == 1 and name.isascii() and name.isidentifier():
                return storage
            case str():
                try:
                    parse_storage(storage)
                except ValueError as error:
                    raise problem(str(error)) from None
                return storage
            case _:
                # The value may hold a password, so it is not shown.
                raise problem("must be journal, sqlite, a URL or {env: NAME}")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if isinstance(self.sampler, GridSpec) != (self.trials is None):
            raise problem(
                "follows from the grid; leave it out"
                if isinstance(self.sampler, GridSpec)
                else "is required, and is not given",
                at="trials",
            )
        if isinstance(self.pruner, NoPruner) and self.audit > 0:
            raise problem(
                f"must be 0 with pruner: none, which stops no trial, but got {self.audit:g}",
                at="audit",
            )
        return self


def _startup_trials(trials: int) -> int:
    return max(1, min(MOST_STARTUP_TRIALS, -(-trials // 3)))
