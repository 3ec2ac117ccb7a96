"""Generation: completions of prompts, token by token."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqtune.models.base import SequenceModel
from seqtune.tasks.generative_evaluation import Prompt

MIN_TEMPERATURE = 1e-30
"""Below this temperature the most probable token is taken: a smaller divisor overflows in
float32."""

TOKENS_AT_ONCE = 1 << 15
"""Tokens of prompts and completions that are generated together, which bounds the memory."""


def rows_at_once(prompt: Prompt) -> int:
    """Return how many prompts of this length, with their completions, fit into `TOKENS_AT_ONCE`."""
    return max(1, TOKENS_AT_ONCE // (prompt.tokens.shape[1] + prompt.longest))


def generate_in_parts(
    model: SequenceModel, prompt: Prompt, *, generator: torch.Generator
) -> npt.NDArray[np.int64]:
    """Return completions int64 [B, N] of all prompts, generated in parts of bounded memory."""
    rows = rows_at_once(prompt)
    parts = [
        generate(
            model, replace(prompt, tokens=prompt.tokens[first : first + rows]), generator=generator
        )
        .cpu()
        .numpy()
        for first in range(0, len(prompt.tokens), rows)
    ]
    longest = max(part.shape[1] for part in parts)
    # Shorter parts are padded with the stop token; without one, all parts have the same length.
    return np.concatenate(
        [
            np.pad(part, ((0, 0), (0, longest - part.shape[1])), constant_values=prompt.stop or 0)
            for part in parts
        ]
    )


@torch.no_grad()
def generate(
    model: SequenceModel, prompt: Prompt, *, generator: torch.Generator
) -> Int[Tensor, "B N"]:
    """Sample completions until each has ended or is `prompt.longest` tokens long.

    After its end a completion is padded with the stop token. At temperature 0 every token is the
    most probable one.
    """
    logits, state = model.prefill(torch.from_numpy(prompt.tokens).to(model.device))
    ended = torch.zeros(len(prompt.tokens), dtype=torch.bool, device=model.device)
    sampled: list[Tensor] = []
    while True:
        token = _sample(logits, temperature=prompt.temperature, generator=generator)
        if prompt.stop is not None:
            token = torch.where(ended, prompt.stop, token)
            ended |= token == prompt.stop
        sampled.append(token)
        if len(sampled) == prompt.longest or bool(ended.all()):
            return torch.stack(sampled, dim=1)
        logits, state = model.step(token, state=state)


def _sample(
    logits: Float[Tensor, "B V"], *, temperature: float, generator: torch.Generator
) -> Int[Tensor, " B"]:
    if temperature < MIN_TEMPERATURE:
        return logits.argmax(dim=-1)
    logits = logits.float()
    # Subtracting the maximum keeps a low temperature from overflowing.
    logits = (logits - logits.amax(dim=-1, keepdim=True)) / temperature
    probabilities = torch.softmax(logits, dim=-1)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(1)
