"""What all schedules share: the time they run on, and how their rate is turned into inputs.

Time i counts epochs from 0: whole ones with `update: epoch`, fractions too with `update: step`,
where the j-th of n steps of an epoch is at i = j / n.
"""

import abc
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator

from seqtune.config.errors import problem
from seqtune.config.spec import Spec
from seqtune.config.unions import ByKind

Granularity: TypeAlias = Literal["token", "step", "sequence"]
Probability: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class ArgmaxFeedback(Spec):
    """Feed back the most probable token."""

    kind: Literal["argmax"] = "argmax"


class SampledFeedback(Spec):
    """Feed back a token sampled from the model's distribution.

    Sampling inverts the distribution function at one uniform number per string and time step, drawn
    beforehand. So the token is a function of the logits, and both prediction modes give the same
    one.
    """

    kind: Literal["sample"] = "sample"
    temperature: float = Field(default=1.0, allow_inf_nan=False)
    """Divides the logits; above 0. Near 0 the most probable token is always sampled."""

    @field_validator("temperature")
    @classmethod
    def _check(cls, temperature: float) -> float:
        if not temperature > 0:
            raise problem(
                f"must be above 0, but got {temperature}; "
                "for the most probable token write feedback: argmax"
            )
        return temperature


FeedbackSpec: TypeAlias = Annotated[ArgmaxFeedback | SampledFeedback, ByKind()]


class Exact(Spec):
    """Predict one token at a time; ground-truth tokens in between are read in one call."""

    kind: Literal["exact"] = "exact"


class Parallel(Spec):
    """Predict all tokens in one pass, put the predictions in, and repeat on the new inputs.

    After n passes the first n predictions of a string are those of `exact`; the later ones were
    made after a beginning that is still partly ground truth. Repeated until nothing changes, the
    result is that of `exact`, after at most as many passes as there are predictions. A pass costs
    as much as the forward pass of a training step and uses the precision of the training; `exact`
    always uses single precision.

    Source: Mihaylova & Martins 2019 (one pass); Duckworth et al. 2019 (several).
    """

    kind: Literal["parallel"] = "parallel"
    passes: int | None = Field(default=1, ge=1)
    """Largest number of passes; null repeats until nothing changes."""


StageSpec: TypeAlias = Annotated[Exact | Parallel, ByKind(default="parallel")]


@dataclass(frozen=True)
class Horizon:
    """The range of indices over which a schedule is evaluated, counted from 0.

    Attributes:
        epochs: length of the training.
        per_epoch: indices per epoch: 1 with `update: epoch`, the number of steps with `update:
            step`.
    """

    epochs: int
    per_epoch: int = 1

    @property
    def last(self) -> int:
        """Last index."""
        return self.epochs * self.per_epoch - 1

    def time(self, index: int) -> float:
        """Return the time i of an index, in epochs."""
        return index / self.per_epoch

    def progress(self, index: int) -> float:
        """Return 0 at the first index, 1 at the last, and 0 if there is only one."""
        return index / max(self.last, 1)


class Forcing(Spec):
    """A schedule of the teacher-forcing rate, and how inputs are mixed at that rate."""

    update: Literal["epoch", "step"] = "epoch"
    """Whether the rate is constant within an epoch or changes with every step. The metric `forcing`
    is the rate of the epoch, or its mean over the epoch's steps."""
    granularity: Granularity = "token"
    """What one random draw decides on: one token of one string (as in the source), one time step of
    all strings in the batch, or one whole string."""
    feedback: FeedbackSpec = ArgmaxFeedback()
    """What is fed back: the model's most probable token, or one sampled from its distribution."""
    stage: StageSpec | None = None
    """How the model's predictions are found. Null: exactly for recurrent models, whose steps are
    cheap, and by one parallel pass for others."""

    @abc.abstractmethod
    def rate_at(self, index: int, *, horizon: Horizon) -> float:
        """Return the probability in [0, 1] of reading a ground-truth token."""

    def check(self, *, epochs: int, at: str) -> None:
        """Check that the schedule fits a training of `epochs` epochs.

        Args:
            epochs: length of the training.
            at: dotted path of the schedule, for the message.

        Raises:
            PydanticCustomError: if it does not fit.
        """

    def rates(self, epoch: int, *, epochs: int, steps: int) -> list[float]:
        """Return the teacher-forcing rate at every step of an epoch.

        Args:
            epoch: from 0.
            epochs: length of the training.
            steps: per epoch.
        """
        if self.update == "epoch":
            return [self.rate_at(epoch, horizon=Horizon(epochs))] * steps
        horizon = Horizon(epochs, per_epoch=steps)
        return [self.rate_at(epoch * steps + step, horizon=horizon) for step in range(steps)]

    def feeds_back(self, *, epochs: int, steps: int) -> bool:
        """Whether the model ever reads one of its own predictions."""
        return any(
            rate < 1
            for epoch in range(epochs)
            for rate in self.rates(epoch, epochs=epochs, steps=steps)
        )
