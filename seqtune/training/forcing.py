"""Teacher forcing: with which probability the model reads the truth, and the inputs that follow.

Scheduled sampling is a choice of inputs, not another training loop. First the tokens that the model
reads are decided without gradients (true ones, or its own predictions); then one ordinary parallel pass
over them gives loss and gradient. No gradient flows through a token that was fed back, so with dropout
off this is the gradient of the step-by-step loop, at the speed of the fused kernels. With dropout on,
the predictions are made without it, as they are when the model is used.

Source: Bengio et al. 2015 (scheduled sampling); Goodfellow et al. 2016, section 10.2.1 (teacher forcing).
"""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import numpy as np
from pydantic import Field, Tag

from seqtune.spec import ByKind, ByShape, Spec

if TYPE_CHECKING:
    from torch import Tensor

    from seqtune.models.model import SequenceModel

Probability = Annotated[float, Field(ge=0, le=1)]
Line = Annotated[tuple[Probability, Probability], Field(strict=False)]


class _Forcing(Spec):
    """What every schedule has."""

    coin: Literal["step"] = "step"
    """One coin a time step, shared by the batch."""
    feedback: Literal["argmax"] = "argmax"
    """What is fed back: the model's most probable token."""


class Constant(_Forcing):
    """The same probability of reading the truth in every epoch; 1 is plain teacher forcing."""

    kind: Literal["constant"] = "constant"
    truth: Probability = 1.0

    def truth_at(self, epoch: int) -> float:
        """Probability of reading the true token; epochs count from 0."""
        return self.truth


class Phase(Spec):
    """Some epochs at one probability, or along a line from the first value to the second."""

    epochs: int = Field(ge=1)
    truth: Annotated[Annotated[Probability, Tag("value")] | Annotated[Line, Tag("list")], ByShape]

    def truth_at(self, epoch: int) -> float:
        """The line reaches its second value in the phase's last epoch."""
        if isinstance(self.truth, float | int):
            return float(self.truth)
        first, last = self.truth
        return first + (last - first) * epoch / max(self.epochs - 1, 1)


class Phased(_Forcing):
    """Phases one after the other; together they last as long as the training.

    Example:
        `{kind: phased, phases: [{epochs: 6, truth: 1.0}, {epochs: 20, truth: [0.7, 0.383]}, {epochs: 4, truth: 0.0}]}`
    """

    kind: Literal["phased"] = "phased"
    phases: Annotated[tuple[Phase, ...], Field(strict=False, min_length=1)]

    @property
    def epochs(self) -> int:
        """Length of all phases together."""
        return sum(phase.epochs for phase in self.phases)

    def truth_at(self, epoch: int) -> float:
        """Probability of reading the true token; epochs count from 0."""
        for phase in self.phases:
            if epoch < phase.epochs:
                return phase.truth_at(epoch)
            epoch -= phase.epochs
        raise AssertionError("RunSpec checks that the phases last as long as the training")


ForcingSpec: TypeAlias = Annotated[Constant | Phased, ByKind(default="constant")]


def draw_coins(
    steps: int, *, truth: float, generator: np.random.Generator
) -> np.typing.NDArray[np.bool_]:
    """Bool [T], true where the model reads the truth; the first token is always the true one."""
    coins = generator.random(steps) < truth
    coins[:1] = True
    return coins


def mixed_inputs(
    model: "SequenceModel", tokens: "Tensor", *, coins: np.typing.NDArray[np.bool_]
) -> "Tensor":
    """The tokens that the model reads, [B, T]: the truth where the coin says so, else its own argmax.

    A run of true tokens is read by one call; the network steps only where its own token is next.
    """
    own_steps = np.flatnonzero(~coins).tolist()
    if not own_steps:
        return tokens
    inputs = tokens.clone()
    state = None
    start = 0
    for stop in own_steps:
        if state is not None and stop - start == 1:
            logits, state = model.step(inputs[:, start], state=state)
        else:
            logits, state = model.prefill(inputs[:, start:stop], state=state)
        inputs[:, stop] = logits.argmax(dim=-1)
        start = stop
    return inputs
