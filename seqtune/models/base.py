"""The contract of a sequence model: a parallel pass, and the same function step by step."""

import abc
from typing import ClassVar, Generic, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

StateT = TypeVar("StateT")


class SequenceModel(nn.Module, abc.ABC, Generic[StateT]):
    """A causal model: the logits at t depend on the tokens up to and including t.

    `prefill` and `step` return the logits of `forward` in evaluation mode. They record no gradient,
    apply no dropout, and may overwrite the state that they are given. They use the precision of the
    weights and are called outside autocast, since a state has one precision.

    Attributes:
        recurrent: whether the cost of a step is independent of the number of tokens read.
        longest: largest number of tokens that it can read; None if unlimited.
        prompt_length: number of tokens at the beginning that attend to one another; the first call
            of `prefill` has to read them all. 0 for a model that is causal throughout.
    """

    recurrent: ClassVar[bool]
    longest: int | None = None
    prompt_length: int = 0

    @abc.abstractmethod
    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Return the logits of the next token after each token."""

    @abc.abstractmethod
    def prefill(
        self, tokens: Int[Tensor, "B T"], *, state: StateT | None = None
    ) -> tuple[Float[Tensor, "B V"], StateT]:
        """Read T >= 1 tokens after those in `state`; return the last logits and the state."""

    @abc.abstractmethod
    def step(
        self, token: Int[Tensor, " B"], *, state: StateT
    ) -> tuple[Float[Tensor, "B V"], StateT]:
        """Read one more token."""

    @abc.abstractmethod
    def hidden_states(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "L B T D"]:
        """Return the output of every layer, bottom up, in evaluation mode and without gradients."""

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device


def trainable_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
