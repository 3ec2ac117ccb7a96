"""The sweep file: a question, with a role for every hyperparameter.

Each is fixed (`base`), compared (`compare`: every combination is a cell) or tuned (`tune`: searched
in each cell with the same number of trials). Source: Godbole et al. 2023, Deep Learning Tuning
Playbook (scientific, nuisance and fixed hyperparameters).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, TypeAlias

from pydantic import ConfigDict, Field, field_validator, model_validator

from seqtune.config.errors import nearest, problem
from seqtune.config.spec import Spec
from seqtune.runs.spec import Keep, Limits, RunSpec
from seqtune.sweep.planning.distributions import Distribution
from seqtune.sweep.planning.resources import Resources
from seqtune.sweep.planning.search_spec import SearchSpec
from seqtune.sweep.planning.storage_url import StorageSpec
from seqtune.training.measurement import OBJECTIVES

Amount: TypeAlias = Literal["parameters", "flops"]


class MatchSpec(Spec):
    """The quantity that is the same in every cell, and the model field that is solved for it."""

    parameters: int | None = Field(default=None, ge=1)
    """Trainable parameters."""
    flops: float | None = Field(default=None, gt=0)
    """FLOPs per scored token, forward and backward: `flops_per_token` of run.json."""
    by: str = "model.width"
    tolerance: float = Field(default=0.02, gt=0, lt=1)
    """Largest relative mismatch of a cell."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.parameters is None) == (self.flops is None):
            given = "neither" if self.parameters is None else "both"
            raise problem(f"needs one of parameters: N and flops: N, but got {given}")
        return self

    @property
    def amount(self) -> Amount:
        """The quantity to match."""
        return "flops" if self.parameters is None else "parameters"

    @property
    def target(self) -> float:
        """The value to match."""
        found = self.flops if self.parameters is None else self.parameters
        assert found is not None, "checked above"
        return found


class ConfirmSpec(Spec):
    """Repeats the best trial of each cell on seeds that the search has not seen."""

    seeds: int = Field(default=3, ge=0)


class ArmSpec(Spec):
    """Blocks of a run merged over `base`, with its own `compare` and `tune`."""

    model_config = ConfigDict(extra="allow")

    compare: dict[str, Any] = Field(default_factory=dict)
    tune: dict[str, Distribution] = Field(default_factory=dict)
    match: MatchSpec | None = None
    """Replaces the sweep's own."""

    @property
    def blocks(self) -> dict[str, Any]:
        """The arm's part of the run, as written."""
        return dict(self.model_extra or {})


class SweepSpec(Spec):
    """A question and the runs that answer it."""

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
    """Equalises parameters or FLOPs across cells by solving for a model field."""
    search: SearchSpec | None = None
    confirm: ConfirmSpec = ConfirmSpec()
    resources: Resources = Resources()
    limits: Limits = Limits()
    keep: Keep = "best"
    """Which weights of a run are kept: the best by the metric, the last, or none."""

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, metric: str) -> str:
        if metric not in OBJECTIVES:
            raise problem(f"no run has the metric {metric}{nearest(metric, OBJECTIVES)}")
        return metric

    @property
    def storage(self) -> StorageSpec:
        """Where the studies are kept."""
        return self.search.storage if self.search is not None else "journal"

    @model_validator(mode="after")
    def _check(self) -> Self:
        tuned = bool(self.tune) or any(arm.tune for arm in self.arms.values())
        if tuned and self.search is None:
            raise problem("is required when something is tuned: {trials: N}", at="search")
        if self.search is not None and not tuned:
            raise problem("has nothing to search: tune is empty; leave search out", at="search")
        if self.search is None and self.confirm.seeds == 0:
            raise problem("must be at least 1 when nothing is tuned, but got 0", at="confirm.seeds")
        return self
