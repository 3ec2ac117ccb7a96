"""The schedules of the teacher-forcing rate, and `ForcingSpec`, the union of them.

A parameter that is left out is chosen such that the schedule spans the training, whatever its
length.

Source: Bengio et al. 2015, section 2.4, for linear, exponential and inverse sigmoid decay.
"""

import math
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, Tag, field_serializer, field_validator, model_validator

from seqtune.config.errors import problem
from seqtune.config.spec import Spec
from seqtune.config.unions import ByKind, ByShape
from seqtune.training.forcing.base import Forcing, Horizon, Probability

FINAL_RATE = 0.01
"""Rate at which an exponential decay without `k` ends, unless its minimum is higher."""

MIXING_FIELDS = frozenset(Forcing.model_fields)


class Constant(Forcing):
    """The same rate throughout; 1 is plain teacher forcing."""

    kind: Literal["constant"] = "constant"
    rate: Probability = 1.0

    def rate_at(self, index: int, *, horizon: Horizon) -> float:
        return self.rate


class _Decay(Forcing):
    """A rate that decreases from near 1."""

    minimum: Probability = 0.0
    """Lower bound of the rate."""


class Linear(_Decay):
    """Linear decay: max(minimum, k - c i), clipped at 1.

    Source: Bengio et al. 2015, section 2.4, where the minimum is called epsilon.

    Example:
        `{kind: linear}` decreases from 1 in the first epoch to 0 in the last.
    """

    kind: Literal["linear"] = "linear"
    k: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """Value at i = 0. Above 1, the rate stays at 1 for a while."""
    c: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Decrease per epoch; null reaches the minimum at the last index."""

    @model_validator(mode="after")
    def _check(self) -> "Linear":
        if self.minimum > self.k:
            raise problem(
                f"minimum <= k must hold, but got (minimum={self.minimum:g}, k={self.k:g})"
            )
        return self

    def rate_at(self, index: int, *, horizon: Horizon) -> float:
        done = horizon.progress(index)
        value = (
            (1 - done) * self.k + done * self.minimum
            if self.c is None
            else self.k - self.c * horizon.time(index)
        )
        return min(1.0, max(self.minimum, value))


class Exponential(_Decay):
    """Exponential decay: max(minimum, k^i).

    Source: Bengio et al. 2015, section 2.4.

    Example:
        `{kind: exponential, k: 0.5}` is 1, 0.5, 0.25, 0.125 in its first four epochs.
    """

    kind: Literal["exponential"] = "exponential"
    k: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Factor per epoch; null reaches the minimum, or 1 % if that is higher, at the last index."""

    def rate_at(self, index: int, *, horizon: Horizon) -> float:
        if self.k is None:
            value = max(self.minimum, FINAL_RATE) ** horizon.progress(index)
        else:
            value = self.k ** horizon.time(index)
        return max(self.minimum, value)


class InverseSigmoid(_Decay):
    """Inverse sigmoid decay: max(minimum, k / (k + exp(x / k))) with x = i k ln k / half.

    In terms of x the formula is 1/2 at x = k ln k. Scaling time to i makes it 1/2 at i = `half`; it
    starts at k / (k + 1) and is 1 / (k + 1) at i = 2 `half`. So `k` is the steepness and `half` the
    position. The paper's own time scale is `half` = k ln k.

    Source: Bengio et al. 2015, section 2.4.

    Example:
        `{kind: inverse_sigmoid, k: 50}` decreases from .98 in the first epoch to .02 in the last.
    """

    kind: Literal["inverse_sigmoid"] = "inverse_sigmoid"
    k: float = Field(default=50.0, gt=1, allow_inf_nan=False)
    half: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Epoch i at which the rate is 1/2; null for the middle of the training."""

    def rate_at(self, index: int, *, horizon: Horizon) -> float:
        # k / (k + exp(x / k)) = 1 / (1 + exp(z)), written with tanh, which does not overflow.
        position = (
            2 * horizon.progress(index) if self.half is None else horizon.time(index) / self.half
        )
        z = (position - 1) * math.log(self.k)
        return max(self.minimum, (1 - math.tanh(z / 2)) / 2)


class Cosine(_Decay):
    """Half a cosine wave from 1 at the first index to the minimum at the last."""

    kind: Literal["cosine"] = "cosine"

    def rate_at(self, index: int, *, horizon: Horizon) -> float:
        done = (1 - math.cos(math.pi * horizon.progress(index))) / 2
        return (1 - done) + done * self.minimum


_Ramp: TypeAlias = Annotated[tuple[Probability, Probability], Field(strict=False)]


class Phase(Spec):
    """Some epochs at one rate, or on a line from the first rate to the second."""

    epochs: int = Field(ge=1)
    rate: Annotated[Annotated[Probability, Tag("value")] | Annotated[_Ramp, Tag("list")], ByShape]

    def rate_at(self, index: int, *, per_epoch: int) -> float:
        """Return the rate at an index of the phase; a line ends at the phase's last index."""
        if isinstance(self.rate, float | int):
            return float(self.rate)
        first, last = self.rate
        done = Horizon(self.epochs, per_epoch=per_epoch).progress(index)
        return (1 - done) * first + done * last


class Phased(Forcing):
    """Phases one after another, together as long as the training.

    Example:
        `{kind: phased, phases: [{epochs: 6, rate: 1.0}, {epochs: 20, rate: [0.7, 0.383]}]}`
    """

    kind: Literal["phased"] = "phased"
    phases: Annotated[tuple[Phase, ...], Field(strict=False, min_length=1)]

    @property
    def epochs(self) -> int:
        """Length of all phases together."""
        return sum(phase.epochs for phase in self.phases)

    def check(self, *, epochs: int, at: str) -> None:
        if self.epochs != epochs:
            raise problem(
                "the phases must last as long as the training, "
                f"but got (phases={self.epochs}, training.epochs={epochs}); "
                f"write phases that add up to {epochs}, or training.epochs: {self.epochs}",
                at=f"{at}.phases",
            )

    def rate_at(self, index: int, *, horizon: Horizon) -> float:
        for phase in self.phases:
            length = phase.epochs * horizon.per_epoch
            if index < length:
                return phase.rate_at(index, per_epoch=horizon.per_epoch)
            index -= length
        raise AssertionError("RunSpec checks that the phases last as long as the training")


class Reversed(Forcing):
    """Another schedule, backwards in time: of M indices, m has the inner rate at M - 1 - m.

    So the first epoch has the inner schedule's last rate, and a schedule reversed twice is itself.

    Example:
        `{kind: reversed, schedule: {kind: linear, minimum: 0.5}}` increases from .5 in the first
        epoch to 1 in the last.
    """

    kind: Literal["reversed"] = "reversed"
    schedule: "ForcingSpec"
    """The inner schedule: only its formula. `update`, `granularity`, `feedback` and `stage` are
    fields of the reversed schedule."""

    @field_validator("schedule")
    @classmethod
    def _check_formula_only(cls, schedule: Forcing) -> Forcing:
        for name in sorted(schedule.model_fields_set & MIXING_FIELDS):
            raise problem(
                "is not part of the schedule that is reversed: write it beside `kind: reversed`",
                at=name,
            )
        return schedule

    @field_serializer("schedule")
    def _to_data(self, schedule: Forcing) -> dict[str, Any]:
        return schedule.model_dump(mode="json", exclude=set(MIXING_FIELDS))

    def check(self, *, epochs: int, at: str) -> None:
        self.schedule.check(epochs=epochs, at=f"{at}.schedule")

    def rate_at(self, index: int, *, horizon: Horizon) -> float:
        return self.schedule.rate_at(horizon.last - index, horizon=horizon)


ForcingSpec: TypeAlias = Annotated[
    Constant | Linear | Exponential | InverseSigmoid | Cosine | Phased | Reversed,
    ByKind(default="constant"),
]
Reversed.model_rebuild()
