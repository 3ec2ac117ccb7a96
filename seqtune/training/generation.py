"""What a model generates: completions of a prompt, token by token."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqtune.models.model import SequenceModel
from seqtune.tasks.exam import Prompt


@torch.no_grad()
def generate(
    model: SequenceModel, prompt: Prompt, *, generator: torch.Generator
) -> Int[Tensor, "B N"]:
    """Samples completions until each has ended or is `prompt.longest` tokens long.

    After its end a completion is filled up with the stop token. At temperature 0 every token is the
    most probable one.
    """
    logits, state = model.prefill(torch.from_numpy(prompt.tokens).to(model.device))
    ended = torch.zeros(len(prompt.tokens), dtype=torch.bool, device=model.device)
    sampled: list[Tensor] = []
    while True:
        token = _sampled(logits, temperature=prompt.temperature, generator=generator)
        if prompt.stop is not None:
            token = torch.where(ended, prompt.stop, token)
            ended |= token == prompt.stop
        sampled.append(token)
        if len(sampled) == prompt.longest or bool(ended.all()):
            return torch.stack(sampled, dim=1)
        logits, state = model.step(token, state=state)


def _sampled(
    logits: Float[Tensor, "B V"], *, temperature: float, generator: torch.Generator
) -> Int[Tensor, " B"]:
    if temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = torch.softmax(logits.float() / temperature, dim=-1)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(1)
