"""What a sequence model is: one parallel pass for learning, and the same function a step at a time."""

import abc
from typing import ClassVar, Generic, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

StateT = TypeVar("StateT")


class SequenceModel(nn.Module, abc.ABC, Generic[StateT]):
    """A causal model: the logits at t depend on the tokens up to and including t.

    `prefill` and `step` give the logits that `forward` gives in evaluation mode. They record no
    gradient, apply no dropout, and may overwrite the state that they are given. They are in the precision
    of the weights and are called outside autocast, since a state has one precision.

    Attributes:
        recurrent: whether a step costs the same however much has been read.
        longest: the most tokens that it can read; None if there is no end.
        prompt_length: so many tokens at the beginning see one another, and the first call of
            `prefill` has to read them all; 0 for a model that is causal throughout.
    """

    recurrent: ClassVar[bool]
    longest: int | None = None
    prompt_length: int = 0

    @abc.abstractmethod
    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Logits of the next token after each token."""

    @abc.abstractmethod
    def prefill(
        self, tokens: Int[Tensor, "B T"], *, state: StateT | None = None
    ) -> tuple[Float[Tensor, "B V"], StateT]:
        """Reads T >= 1 tokens, after those that `state` has read; the logits after the last."""

    @abc.abstractmethod
    def step(
        self, token: Int[Tensor, " B"], *, state: StateT
    ) -> tuple[Float[Tensor, "B V"], StateT]:
        """Reads one token more."""

    @abc.abstractmethod
    def hidden_states(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "L B T D"]:
        """What every layer hands on, bottom up, for probes; in evaluation mode and without gradients."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device


def trainable_parameters(model: nn.Module) -> int:
    """Number of weights that training changes."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
