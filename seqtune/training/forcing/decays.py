"""Schedules that fall from the truth to what the model says itself.

What is left out of one is chosen so that it fills the training, however long that is.

Source: Bengio et al. 2015, section 2.4, for linear, exponential and inverse sigmoid decay.
"""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from seqtune.config.errors import problem
from seqtune.training.forcing.schedule import Forcing, Horizon, Probability

LEFT = 0.01
"""What an exponential decay that has neither `k` nor a floor above this leaves of the truth at the end."""


class _Decay(Forcing):
    """What every decay has."""

    floor: Probability = 0.0
    """The least probability of reading the truth."""


class Linear(_Decay):
    """A line down to a floor: max(floor, k - c i), and at most 1.

    Source: Bengio et al. 2015, section 2.4, where the floor is called epsilon.

    Example:
        `{kind: linear}` falls from 1 in the first epoch to 0 in the last.
    """

    kind: Literal["linear"] = "linear"
    k: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """The value at i = 0; above 1 it takes a while to fall."""
    c: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """What is lost in an epoch; null for what leads to the floor at the last moment."""

    @model_validator(mode="after")
    def _check(self) -> "Linear":
        if self.floor > self.k:
            raise problem(f"floor <= k must hold, but got (floor={self.floor:g}, k={self.k:g})")
        return self

    def truth_at(self, moment: int, *, clock: Horizon) -> float:
        done = clock.progress(moment)
        value = (
            (1 - done) * self.k + done * self.floor
            if self.c is None
            else self.k - self.c * clock.time(moment)
        )
        return min(1.0, max(self.floor, value))


class Exponential(_Decay):
    """The truth is left by the same factor in every epoch: max(floor, k^i).

    Source: Bengio et al. 2015, section 2.4.

    Example:
        `{kind: exponential, k: 0.5}` has 1, 0.5, 0.25, 0.125 in its first four epochs.
    """

    kind: Literal["exponential"] = "exponential"
    k: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The factor; null for what leads to the floor, or to 1 % where the floor is lower, at the last moment."""

    def truth_at(self, moment: int, *, clock: Horizon) -> float:
        if self.k is None:
            value = max(self.floor, LEFT) ** clock.progress(moment)
        else:
            value = self.k ** clock.time(moment)
        return max(self.floor, value)


class InverseSigmoid(_Decay):
    """Slow, fast, slow: max(floor, k / (k + exp(x / k))), time x being i in units in which it is half at `half`.

    The formula is 1/2 at x = k ln k, so x = i k ln k / half. It starts at k / (k + 1), and at i = 2 half it
    is 1 / (k + 1): `k` says how steep it is, and `half` where. The paper's own time is that of
    `half` = k ln k.

    Source: Bengio et al. 2015, section 2.4.

    Example:
        `{kind: inverse_sigmoid, k: 50}` falls from .98 in the first epoch to .02 in the last.
    """

    kind: Literal["inverse_sigmoid"] = "inverse_sigmoid"
    k: float = Field(default=50.0, gt=1, allow_inf_nan=False)
    half: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """The epoch i in which it is 1/2; null for the middle of the training."""

    def truth_at(self, moment: int, *, clock: Horizon) -> float:
        # k / (k + exp(x / k)) = 1 / (1 + exp(z)), in a form that no large x overflows.
        position = (
            2 * clock.progress(moment) if self.half is None else clock.time(moment) / self.half
        )
        z = (position - 1) * math.log(self.k)
        return max(self.floor, (1 - math.tanh(z / 2)) / 2)


class Cosine(_Decay):
    """Half a cosine from 1 at the first moment to the floor at the last."""

    kind: Literal["cosine"] = "cosine"

    def truth_at(self, moment: int, *, clock: Horizon) -> float:
        done = (1 - math.cos(math.pi * clock.progress(moment))) / 2
        return (1 - done) + done * self.floor
