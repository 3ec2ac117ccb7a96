"""The choice of inputs: coins say where the model reads its own tokens, and a stage finds them."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from seqtune.tasks.base import Mask
from seqtune.training.forcing.options import Coin, Exact, StageSpec

if TYPE_CHECKING:
    from torch import Tensor

    from seqtune.models.base import SequenceModel


@dataclass(frozen=True, eq=False)
class Feedback:
    """Which of its own tokens a model reads.

    Attributes:
        temperature: what the logits are divided by before a token is drawn.
        uniforms: float32 [B, T] in [0, 1), on the model's device: the number at t draws the token that
            is read at t. None for the most probable token.
    """

    temperature: float = 1.0
    uniforms: "Tensor | None" = None

    def of(self, rows: slice) -> "Feedback":
        """That of some of the strings."""
        return self if self.uniforms is None else replace(self, uniforms=self.uniforms[rows])


ARGMAX = Feedback()
EXACT = Exact()


def draw_prediction_mask(
    coin: Coin, *, truth: float, scored: Mask, generator: np.random.Generator
) -> Mask:
    """Where the model reads its own token: bool [B, T], or [1, T] where all strings agree.

    Only a token that the model had to predict is ever replaced: never the first, none of a prompt, no
    padding.

    Args:
        coin: one a token, one a time step for all strings, or one a string.
        truth: probability of reading the truth.
        scored: bool [B, T], true where the next token is predicted.
        generator: of the coins.
    """
    strings, steps = scored.shape
    match coin:
        case "token":
            shape = (strings, steps)
        case "step":
            shape = (1, steps)
        case "sequence":
            shape = (strings, 1)
    own = np.tile(generator.random(shape) >= truth, (1, steps // shape[1]))
    own[:, :1] = False
    predicted = scored[:, :-1]
    if predicted.all():
        return own
    own = np.tile(own, (strings // len(own), 1))
    own[:, 1:] &= predicted
    return own


def mixed_inputs(
    model: "SequenceModel",
    tokens: "Tensor",
    *,
    own: Mask,
    stage: StageSpec = EXACT,
    feedback: Feedback = ARGMAX,
) -> "Tensor":
    """The tokens that the model reads, [B, T]: the truth, and where `own` says so its own.

    No gradient is recorded, no dropout applied, and the model stays in the mode that it is in.

    Args:
        model: what predicts.
        tokens: int64 [B, T], the truth.
        own: bool [B, T], or [1, T] for all strings alike: true where the model reads the token that it
            predicts from what it read before. Never in the prompt, and never the first.
        stage: how they are found.
        feedback: which token is its own.
    """
    assert not own[:, : max(model.prompt_length, 1)].any(), "a prompt is given, not predicted"
    if not own.any():
        return tokens
    from seqtune.training.forcing.inputs import choose_inputs

    return choose_inputs(model, tokens, own=own, stage=stage, feedback=feedback)
