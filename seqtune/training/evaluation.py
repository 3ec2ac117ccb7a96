"""The scores of a model: teacher-forced, against the floor of the same strings, and by what it generates."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from seqtune import seeding
from seqtune.models.model import SequenceModel
from seqtune.tasks.exam import Examination, Prompt, sit
from seqtune.tasks.task import Batch, Floor, Task
from seqtune.training.generation import generate
from seqtune.training.measurement import DivergedError
from seqtune.training.spec import EvaluationSpec

TOKENS_A_BATCH = 32_768
"""Validation strings are read in batches of about this many tokens, which bounds the memory."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was found of a model.

    Attributes:
        metrics: every `valid/` metric, and the scores of the exam.
        examination: the exam's tables and samples; None where nothing was generated.
    """

    metrics: dict[str, float]
    examination: Examination | None


class Evaluator:
    """Draws the validation strings once, with their floor, and measures models on them.

    Attributes:
        strings: the validation strings.
        scored: number of their scored tokens.
        read: number of tokens that a model reads for them, padding included.
        floor: theirs, None where it is not known for a single token.
        references: what named predictors score on them, in nats a scored token.
    """

    def __init__(self, spec: EvaluationSpec, *, task: Task) -> None:
        self.spec = spec
        self.task = task
        generator = seeding.generator(spec.seed, "valid")
        self.strings = task.draw(spec.strings, generator=generator, split="valid")
        self.batches = list(self._laid_out())
        self.scored = sum(int(batch.scored.sum()) for batch in self.batches)
        self.read = sum(batch.tokens.size for batch in self.batches)
        self.floor = _total([task.floor(batch) for batch in self.batches])
        self.references = dict(task.references(self.strings))

    def evaluate(self, model: SequenceModel, *, epoch: int) -> Evaluation:
        """Measures a model; one in training mode is put back into it.

        Raises:
            DivergedError: if the loss is not finite; from such a model nothing can be sampled.
        """
        training = model.training
        model.eval()
        try:
            forced = self._forced(model)
            if not math.isfinite(forced["valid/loss"]):
                raise DivergedError(f"valid/loss is {forced['valid/loss']} after epoch {epoch}")
            found = self._examined(model, epoch=epoch)
        finally:
            model.train(training)
        return Evaluation(forced | dict(found.scores if found else {}), examination=found)

    @torch.no_grad()
    def _forced(self, model: SequenceModel) -> dict[str, float]:
        nats = compared = correct = scored = exact = 0.0
        for batch in self.batches:
            tokens, targets, counts = on_device(batch, device=model.device)
            losses, hits = token_scores(model(tokens), targets=targets, scored=counts)
            losses = losses.double()
            nats += float(losses.sum())
            if batch.known is not None:
                losses = losses[torch.from_numpy(batch.compared).to(model.device)]
            compared += float(losses.sum())
            correct += int(hits.sum())
            scored += int(counts.sum())
            exact += int((hits | ~counts).all(dim=1).sum())
        scores = {
            "valid/loss": nats / scored,
            "valid/accuracy": correct / scored,
            "valid/exact": exact / self.spec.strings,
        }
        if self.floor is not None:
            excess = compared - self.floor.nats
            scores["valid/excess"] = excess / self.floor.scored
            scores["valid/excess_string"] = excess / self.spec.strings
        return scores

    def _examined(self, model: SequenceModel, *, epoch: int) -> Examination | None:
        if self.spec.generate == 0:
            return None
        # The prompts are the same after every epoch, what is sampled from the model is not.
        prompts = seeding.generator(self.spec.seed, "generate")
        exam = self.task.exam(self.spec.generate, generator=prompts)
        if exam is None:
            return None
        generator = torch.Generator(model.device)
        generator.manual_seed(seeding.integer_seed(self.spec.seed, "generate", epoch))

        def complete(prompt: Prompt) -> np.ndarray:
            return generate(model, prompt, generator=generator).cpu().numpy()

        return sit(exam, complete=complete)

    def _laid_out(self) -> Iterator[Batch]:
        size = max(1, TOKENS_A_BATCH // max(self.task.max_length, 1))
        rows = np.arange(len(self.strings))
        for start in range(0, len(rows), size):
            yield self.task.batch(self.strings.take(rows[start : start + size]))


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


def _total(floors: list[Floor | None]) -> Floor | None:
    """Their sum; None if one is missing, or none covers a token."""
    known = [floor for floor in floors if floor is not None]
    if len(known) < len(floors):
        return None
    total = sum(known[1:], start=known[0])
    return total if total.scored > 0 else None
