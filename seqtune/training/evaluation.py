"""The scores of a model: teacher-forced, against the floor of the same strings, and by what it generates."""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from seqtune import seeding
from seqtune.models.model import SequenceModel
from seqtune.tasks.task import Batch, Floor, Prompt, Task
from seqtune.training.measurement import DivergedError
from seqtune.training.spec import EvaluationSpec

TOKENS_A_BATCH = 32_768
"""Validation strings are read in batches of about this many tokens, which bounds the memory."""


class Evaluator:
    """Draws the validation strings once, with their floor, and scores models on them."""

    def __init__(self, spec: EvaluationSpec, *, task: Task) -> None:
        self.spec = spec
        self.task = task
        generator = seeding.generator(spec.seed, "valid")
        strings = task.draw(spec.strings, generator=generator)
        size = max(1, TOKENS_A_BATCH // max(task.max_length, 1))
        rows = np.arange(len(strings))
        self.batches = [
            task.batch(strings.take(rows[start : start + size]))
            for start in range(0, len(rows), size)
        ]
        self.floor = _total([task.floor(batch) for batch in self.batches])

    def scores(self, model: SequenceModel, *, epoch: int) -> dict[str, float]:
        """Every `valid/` and `generate/` metric; a model in training mode is put back into it.

        Raises:
            DivergedError: if the loss is not finite; from such a model nothing can be sampled.
        """
        training = model.training
        model.eval()
        try:
            forced = self._forced(model)
            if not math.isfinite(forced["valid/loss"]):
                raise DivergedError(f"valid/loss is {forced['valid/loss']} after epoch {epoch}")
            return forced | self._generated(model, epoch=epoch)
        finally:
            model.train(training)

    @torch.no_grad()
    def _forced(self, model: SequenceModel) -> dict[str, float]:
        nats = correct = scored = exact = 0.0
        for batch in self.batches:
            tokens, targets, counts = on_device(batch, device=model.device)
            logits = model(tokens)
            losses, hits = token_scores(logits, targets=targets, scored=counts)
            nats += float(losses.double().sum())
            correct += int(hits.sum())
            scored += int(counts.sum())
            exact += int((hits | ~counts).all(dim=1).sum())
        scores = {
            "valid/loss": nats / scored,
            "valid/accuracy": correct / scored,
            "valid/exact": exact / self.spec.strings,
        }
        if self.floor is not None:
            scores["valid/excess"] = (nats - self.floor.nats) / scored
            scores["valid/excess_string"] = (nats - self.floor.nats) / self.spec.strings
        return scores

    def _generated(self, model: SequenceModel, *, epoch: int) -> dict[str, float]:
        prompt = self.task.prompt(self.spec.generate)
        if prompt is None or self.spec.generate == 0:
            return {}
        generator = torch.Generator(model.device)
        generator.manual_seed(seeding.integer_seed(self.spec.seed, "generate", epoch))
        completions = generate(model, prompt, generator=generator)
        return {"generate/valid": float(self.task.judge(completions.cpu().numpy()).mean())}


def on_device(
    batch: Batch, *, device: torch.device
) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"], Bool[Tensor, "B T"]]:
    """Tokens, targets and scored mask of a batch as tensors."""

    def move(array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(array)
        if device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(device, non_blocking=True)

    return move(batch.tokens), move(batch.targets), move(batch.scored)


def token_scores(
    logits: Float[Tensor, "B T V"],
    *,
    targets: Int[Tensor, "B T"],
    scored: Bool[Tensor, "B T"],
) -> tuple[Float[Tensor, "B T"], Bool[Tensor, "B T"]]:
    """Loss in nats and hit of every token; zero and false where a token is not scored."""
    # An index that is ignored gives zero loss and zero gradient whatever its logits are.
    ignored = torch.where(scored, targets, -100)
    losses = functional.cross_entropy(
        logits.float().transpose(1, 2), ignored, reduction="none", ignore_index=-100
    )
    return losses, (logits.detach().argmax(dim=-1) == targets) & scored


@torch.no_grad()
def generate(
    model: SequenceModel, prompt: Prompt, *, generator: torch.Generator
) -> Int[Tensor, "B N"]:
    """Samples completions at temperature 1 until each has ended or is `prompt.longest` tokens long.

    After its end a completion is filled up with the stop token.
    """
    logits, state = model.prefill(torch.from_numpy(prompt.tokens).to(model.device))
    ended = torch.zeros(len(prompt.tokens), dtype=torch.bool, device=model.device)
    sampled: list[Tensor] = []
    while True:
        probabilities = torch.softmax(logits.float(), dim=-1)
        token = torch.multinomial(probabilities, 1, generator=generator).squeeze(1)
        token = torch.where(ended, prompt.stop, token)
        sampled.append(token)
        ended |= token == prompt.stop
        if len(sampled) == prompt.longest or bool(ended.all()):
            return torch.stack(sampled, dim=1)
        logits, state = model.step(token, state=state)


def _total(floors: list[Floor | None]) -> Floor | None:
    known = [floor for floor in floors if floor is not None]
    if len(known) < len(floors):
        return None
    return sum(known[1:], start=known[0])
