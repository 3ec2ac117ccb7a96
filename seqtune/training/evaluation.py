"""Validation scores of a model: teacher forced, free running, and of what it generates.

Teacher forced, it is compared with the floor of the very same strings.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from seqtune import seeding
from seqtune.models.base import SequenceModel
from seqtune.tasks.base import Batch, Floor, Strings, Task
from seqtune.tasks.generative_evaluation import GenerationResult, Prompt, run
from seqtune.tasks.score import Score
from seqtune.training.forcing.inputs import free_running_inputs
from seqtune.training.generation import generate_in_parts
from seqtune.training.measurement import DivergedError
from seqtune.training.scoring import StringScores, floor_losses, score_batch
from seqtune.training.spec import EvaluationSpec

TOKENS_PER_BATCH = 32_768
"""Approximate size of a validation batch, which bounds the memory."""

CACHED_NUMBERS = 1 << 23
"""Most numbers of cached true distributions, 64 MiB; those of other batches are recomputed."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of a model.

    Attributes:
        scores: every `valid/`, `free/`, `generate/` and `rollout/` score, by the names of
            `METRICS`.
        generated: tables and samples of what the model generated; None if nothing was generated.
    """

    scores: dict[str, Score]
    generated: GenerationResult | None

    @property
    def metrics(self) -> dict[str, float]:
        """The values of the scores; what could not be measured is left out."""
        values = {name: score.value for name, score in self.scores.items()}
        return {name: value for name, value in values.items() if not math.isnan(value)}


class Evaluator:
    """Draws the validation strings once, computes their floor, and evaluates models on them.

    Attributes:
        strings: the validation strings.
        batches: the same as batches.
        scored: number of their scored tokens.
        read: number of tokens that a model reads for them, padding included.
        floor: of the strings; None if it is known for no token.
        references: loss of named predictors on the strings, in nats per scored token.
    """

    def __init__(self, spec: EvaluationSpec, *, task: Task) -> None:
        self.spec = spec
        self.task = task
        generator = seeding.generator(spec.seed, "valid")
        self.strings = task.draw(spec.strings, generator=generator, split="valid")
        self.batches = list(make_batches(self.strings, task=task))
        self.scored = sum(int(batch.scored.sum()) for batch in self.batches)
        self.read = sum(batch.tokens.size for batch in self.batches)
        self.floor = _sum_floors([task.floor(batch) for batch in self.batches])
        self.references = dict(task.references(self.strings))
        self._truths: dict[int, npt.NDArray[np.float64]] = {}
        self._floor_nats = np.concatenate(
            [self._floor_of_batch(number) for number in range(len(self.batches))]
        )

    def evaluate(self, model: SequenceModel, *, epoch: int) -> Evaluation:
        """Evaluate a model; its training or evaluation mode is restored.

        Args:
            model: the model.
            epoch: epochs done; sampled generation differs from epoch to epoch.

        Raises:
            DivergedError: if the loss is not finite; such a model cannot be sampled from.
        """
        training = model.training
        model.eval()
        try:
            forced = StringScores.concatenate(
                [
                    StringScores.of(
                        score_batch(model, batch, truth=self.truth(number)), batch=batch
                    )
                    for number, batch in enumerate(self.batches)
                ]
            )
            scores = self._forced(forced)
            loss = scores["valid/loss"].value
            if not math.isfinite(loss):
                raise DivergedError(f"valid/loss is {loss} after epoch {epoch}")
            scores |= self._free(model, forced=forced)
            generated = self._generate(model, epoch=epoch)
        finally:
            model.train(training)
        return Evaluation(scores | dict(generated.scores if generated else {}), generated=generated)

    @property
    def floor_data(self) -> dict[str, float] | None:
        """The floor as plain data.

        `loss` is in nats per scored token, `loss_string` in nats per string; `share` is the share
        of the scored tokens whose floor is known.
        """
        floor = self.floor
        if floor is None:
            return None
        return {
            "loss": floor.loss,
            "loss_string": floor.nats / floor.strings,
            "accuracy": floor.accuracy,
            "share": floor.scored / self.scored,
        }

    def truth(self, number: int) -> npt.NDArray[np.float64] | None:
        """Return the true distributions of a batch, as `Task.truth` does."""
        cached = self._truths.get(number)
        return self.task.true_distributions(self.batches[number]) if cached is None else cached

    def _floor_of_batch(self, number: int) -> npt.NDArray[np.float64]:
        """Return the floor of a batch's strings [B] in nats, and cache its true distributions."""
        batch = self.batches[number]
        truth = self.task.true_distributions(batch)
        if truth is not None:
            cached = sum(each.size for each in self._truths.values())
            if cached + truth.size <= CACHED_NUMBERS:
                self._truths[number] = truth
        return floor_losses(batch, truth=truth).sum(axis=1)

    def _forced(self, found: StringScores) -> dict[str, Score]:
        scores = found.scores("valid") | {"valid/exact": Score.mean(found.exact)}
        if self.floor is not None:
            excess = found.compared_nats - self._floor_nats
            scores["valid/excess"] = Score.ratio(excess, denominators=found.compared)
            scores["valid/excess_string"] = Score.mean(excess)
            if found.divergences is not None:
                scores["valid/kl"] = Score.ratio(found.divergences, denominators=found.compared)
        return scores

    def _free(self, model: SequenceModel, *, forced: StringScores) -> dict[str, Score]:
        """Score the first strings again, the model reading its predictions wherever it predicts."""
        count = min(self.spec.free, len(self.strings))
        if count == 0:
            return {}
        batches = list(_first(self.batches, count=count))
        found = StringScores.concatenate(
            [
                StringScores.of(score_batch(model, batch, tokens=tokens), batch=batch)
                for batch, tokens in free_running_inputs(model, batches)
            ]
        )
        gap = found.nats - forced.nats[:count]
        return found.scores("free") | {"free/gap": Score.ratio(gap, denominators=found.scored)}

    def _generate(self, model: SequenceModel, *, epoch: int) -> GenerationResult | None:
        if self.spec.generate == 0:
            return None
        # The prompts are the same after every epoch; what is sampled from the model is not.
        prompts = seeding.generator(self.spec.seed, "generate")
        exam = self.task.generative_evaluation(self.spec.generate, generator=prompts)
        if exam is None:
            return None
        generator = torch.Generator(model.device)
        generator.manual_seed(seeding.integer_seed(self.spec.seed, "generate", epoch))

        def complete(prompt: Prompt) -> np.ndarray:
            return generate_in_parts(model, prompt, generator=generator)

        return run(exam, complete=complete)


def make_batches(strings: Strings, *, task: Task) -> Iterator[Batch]:
    """Yield validation strings as batches of about `TOKENS_PER_BATCH` tokens."""
    size = max(1, TOKENS_PER_BATCH // max(task.max_length, 1))
    rows = np.arange(len(strings))
    for start in range(0, len(rows), size):
        yield task.batch(strings.take(rows[start : start + size]))


def _first(batches: list[Batch], *, count: int) -> Iterator[Batch]:
    """Yield batches of the first `count` strings."""
    for batch in batches:
        if count > 0:
            yield batch.rows(slice(count))
        count -= len(batch)


def _sum_floors(floors: list[Floor | None]) -> Floor | None:
    """Return the sum; None if a floor is missing, or none covers a token."""
    known = [floor for floor in floors if floor is not None]
    if len(known) < len(floors):
        return None
    total = sum(known[1:], start=known[0])
    return total if total.scored > 0 else None
