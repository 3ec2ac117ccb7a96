"""Which tokens see which. Masks are true where a token may be seen; what a model does with them is its own."""

from typing import assert_never

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from seqtune.models.transformer_spec import Causal, Forgetful, MaskingSpec, Prefix, Window


def visible(
    masking: MaskingSpec, *, start: int, stop: int, prompt_length: int, device: torch.device
) -> Bool[Tensor, "Q K"]:
    """Which of the tokens 0 to `stop` those from `start` to `stop` see, when nothing is hidden at random.

    Args:
        masking: the rule.
        start: first token that sees.
        stop: one past the last.
        prompt_length: tokens that see one another under prefix masking.
        device: of the mask.
    """
    keys = torch.arange(stop, device=device)
    distances = keys[start:, None] - keys
    match masking:
        case Causal() | Forgetful():
            return distances >= 0
        case Window(length=length):
            return (distances >= 0) & (distances < length)
        case Prefix():
            return (distances >= 0) | (keys < prompt_length)
        case _:
            assert_never(masking)


def kept(tokens: Int[Tensor, "B T"], *, rate: float) -> Bool[Tensor, "B T"]:
    """What forgetful masking leaves to be seen: false at int(rate * T) places a string, never the first.

    It draws from torch's global generator of the tokens' device.
    """
    batch, length = tokens.shape
    hidden = min(int(rate * length), length - 1)
    draws = torch.rand(batch, length - 1, device=tokens.device)
    places = 1 + draws.topk(hidden, dim=1).indices
    return torch.ones_like(tokens, dtype=torch.bool).scatter(1, places, False)
