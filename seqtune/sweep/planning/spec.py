"""The sweep file: a question, with a role for every hyperparameter.

Fixed (`base`), compared (`compare`: every combination is a cell) or tuned (`tune`: searched inside each
cell with the same number of trials). Source: Godbole et al. 2023, Deep Learning Tuning Playbook
(scientific, nuisance and fixed hyperparameters).
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import ConfigDict, Field, field_validator, model_validator

from seqtune.config.errors import nearest, problem
from seqtune.config.spec import Spec
from seqtune.config.unions import ByKind
from seqtune.runs.spec import Keep, Limits, RunSpec
from seqtune.sweep.planning.distributions import Distribution
from seqtune.sweep.planning.match import MatchSpec
from seqtune.sweep.planning.resources import Resources
from seqtune.sweep.planning.storage_url import FromEnvironment, StorageSpec, parse_place
from seqtune.training.measurement import OBJECTIVES


class TpeSpec(Spec):
    """Tree-structured Parzen estimator. Source: Bergstra et al. 2011; Watanabe 2023."""

    kind: Literal["tpe"] = "tpe"
    startup_trials: int | None = Field(default=None, ge=1)
    """RandomSpec trials before the model is used; null for a third of the cell's trials, at most 10."""


class RandomSpec(Spec):
    """Independent draws. Source: Bergstra & Bengio 2012."""

    kind: Literal["random"] = "random"


class GpSpec(Spec):
    """Gaussian process with expected improvement; takes about half a second a proposal."""

    kind: Literal["gp"] = "gp"
    startup_trials: int | None = Field(default=None, ge=1)
    """As in `tpe`."""


class QmcSpec(Spec):
    """Scrambled Sobol points: more even than random ones. Source: Bousquet et al. 2017."""

    kind: Literal["qmc"] = "qmc"


class GridSpec(Spec):
    """Every combination of the tuned `choice` lists; the number of trials follows from them."""

    kind: Literal["grid"] = "grid"


SamplerSpec: TypeAlias = Annotated[
    TpeSpec | RandomSpec | GpSpec | QmcSpec | GridSpec, ByKind(default="tpe")
]


class AshaSpec(Spec):
    """Asynchronous successive halving: at each rung only the best go on. Source: Li et al. 2018."""

    kind: Literal["asha"] = "asha"
    type: Literal["stopping", "promotion"] = "stopping"
    """`stopping` judges a trial when it comes to a rung, against those that came before it: the first ones
    pass. `promotion` (the paper's own) lets every trial rest there, with its checkpoint, and goes on with it
    once it is among the best of all that came; so early luck decides nothing."""
    grace: int = Field(default=2, ge=1)
    """Epochs of the first rung: no trial is stopped before."""
    reduction_factor: int = Field(default=3, ge=2)
    """One in this many goes on; each rung is this many times later than the one before."""


class HyperbandSpec(Spec):
    """Brackets of successive halving with differing grace. Source: Li et al. 2017."""

    kind: Literal["hyperband"] = "hyperband"
    grace: int = Field(default=1, ge=1)
    reduction_factor: int = Field(default=3, ge=2)


class MedianSpec(Spec):
    """Stops what is worse than the median of earlier trials at the same epoch. Source: Golovin et al. 2017."""

    kind: Literal["median"] = "median"
    grace: int = Field(default=2, ge=0)
    startup_trials: int = Field(default=3, ge=1)


class NoPruner(Spec):
    """Every trial runs to its end."""

    kind: Literal["none"] = "none"


PrunerSpec: TypeAlias = Annotated[
    AshaSpec | HyperbandSpec | MedianSpec | NoPruner, ByKind(default="asha")
]


class SearchSpec(Spec):
    """The search inside each cell."""

    trials: int | None = Field(default=None, ge=1)
    """Trials a cell; left out only for the grid."""
    sampler: SamplerSpec = TpeSpec()
    pruner: PrunerSpec = AshaSpec()
    audit: float = Field(default=0.0, ge=0, lt=1)
    """Share of the trials, drawn by `seed`, that run on to their last epoch if they are stopped, so that the
    report can say how often stopping was wrong. They are ranked nowhere, and change nothing in the search."""
    seed: int = Field(default=0, ge=0)
    storage: StorageSpec = Field(default="journal", repr=False)
    """Where the studies are kept: `journal` or `sqlite`, files beside the runs; `postgresql://USER@HOST/DATABASE`;
    `grpc://HOST:PORT`, a proxy server of Optuna's; or `{env: NAME}`, the URL in an environment variable, so
    that no file holds its password. It is no part of what runs are."""

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
                    parse_place(storage)
                except ValueError as error:
                    raise problem(str(error)) from None
                return storage
            case _:
                # What was given may hold a password, so it is not shown.
                raise problem("must be journal, sqlite, a URL or {env: NAME}")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if isinstance(self.sampler, GridSpec) != (self.trials is None):
            raise problem(
                "follows from the grid, and must be left out"
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


class ConfirmSpec(Spec):
    """The best of each cell again, on seeds that the search has not seen."""

    seeds: int = Field(default=3, ge=0)


class ArmSpec(Spec):
    """Blocks of a run laid over `base`, with what is compared and tuned in this arm alone."""

    model_config = ConfigDict(extra="allow")

    compare: dict[str, Any] = Field(default_factory=dict)
    tune: dict[str, Distribution] = Field(default_factory=dict)
    match: MatchSpec | None = None
    """In place of the sweep's own."""

    @property
    def blocks(self) -> dict[str, Any]:
        """The arm's part of the run, as written."""
        return dict(self.model_extra or {})


class SweepSpec(Spec):
    """A question, and how it is answered."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        field: f"base.{field}" for field in RunSpec.model_fields
    }

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)
    question: str = ""
    metric: str = "valid/excess"
    base: dict[str, Any]
    arms: dict[str, ArmSpec] = Field(default_factory=dict)
    compare: dict[str, Any] = Field(default_factory=dict)
    tune: dict[str, Distribution] = Field(default_factory=dict)
    match: MatchSpec | None = None
    """What every cell has as much of, by a field of the model that is solved for it."""
    search: SearchSpec | None = None
    confirm: ConfirmSpec = ConfirmSpec()
    resources: Resources = Resources()
    limits: Limits = Limits()
    keep: Keep = "best"
    """Which weights of a run stay: the best by the metric, the last, or none."""

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, metric: str) -> str:
        if metric not in OBJECTIVES:
            raise problem(f"no run has the metric {metric}{nearest(metric, OBJECTIVES)}")
        return metric

    @property
    def storage(self) -> StorageSpec:
        """Where its studies are kept."""
        return self.search.storage if self.search is not None else "journal"

    @model_validator(mode="after")
    def _check(self) -> Self:
        tuned = bool(self.tune) or any(arm.tune for arm in self.arms.values())
        if tuned and self.search is None:
            raise problem("is required where something is tuned: {trials: N}", at="search")
        if self.search is not None and not tuned:
            raise problem("searches nothing: tune is empty, so leave search out", at="search")
        if self.search is None and self.confirm.seeds == 0:
            raise problem(
                "must be at least 1 where nothing is tuned, but got 0", at="confirm.seeds"
            )
        return self
