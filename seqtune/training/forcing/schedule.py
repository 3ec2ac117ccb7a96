"""What every schedule of the probability of reading the truth has.

Time i counts epochs from 0: whole ones with `by: epoch`, fractions too with `by: step`, where the j-th step
of n an epoch lies at i = j / n.
"""

import abc
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from seqtune.config.spec import Spec
from seqtune.training.forcing.options import ArgmaxFeedback, Coin, FeedbackSpec, StageSpec

Probability = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Horizon:
    """The moments at which a schedule is asked, counted from 0.

    Attributes:
        epochs: length of the training.
        per_epoch: moments an epoch: one with `by: epoch`, as many as steps with `by: step`.
    """

    epochs: int
    per_epoch: int = 1

    @property
    def last(self) -> int:
        """The last moment."""
        return self.epochs * self.per_epoch - 1

    def time(self, moment: int) -> float:
        """Time i of a moment, in epochs."""
        return moment / self.per_epoch

    def progress(self, moment: int) -> float:
        """From 0 at the first moment to 1 at the last; 0 if they are one."""
        return moment / max(self.last, 1)


class Forcing(Spec):
    """What every schedule has beside its formula: when it is asked, and how the inputs are mixed."""

    by: Literal["epoch", "step"] = "epoch"
    """Whether the probability stays through an epoch or changes with every step. The metric `forcing` is an
    epoch's value, or the mean over its steps."""
    coin: Coin = "token"
    """One coin for every token of every string (as in the source), one for a time step that all strings of
    the batch share, or one for a whole string."""
    feedback: FeedbackSpec = ArgmaxFeedback()
    """What is fed back: the model's most probable token, or one drawn from its distribution."""
    stage: StageSpec | None = None
    """How the model's own tokens are found. Null: exactly by recurrent models, whose steps are cheap, and by
    one parallel pass by others."""

    @abc.abstractmethod
    def truth_at(self, moment: int, *, clock: Horizon) -> float:
        """Probability of reading the true token, in [0, 1]."""

    def check(self, *, epochs: int, at: str) -> None:
        """Raises a problem at the dotted path `at` if it cannot be the schedule of so many epochs."""

    def truths(self, epoch: int, *, epochs: int, steps: int) -> list[float]:
        """That probability at every step of an epoch.

        Args:
            epoch: from 0.
            epochs: length of the training.
            steps: of an epoch.
        """
        if self.by == "epoch":
            return [self.truth_at(epoch, clock=Horizon(epochs))] * steps
        clock = Horizon(epochs, per_epoch=steps)
        return [self.truth_at(epoch * steps + step, clock=clock) for step in range(steps)]

    def feeds_back(self, *, epochs: int, steps: int) -> bool:
        """Whether the model ever reads a token of its own."""
        return any(
            truth < 1
            for epoch in range(epochs)
            for truth in self.truths(epoch, epochs=epochs, steps=steps)
        )
