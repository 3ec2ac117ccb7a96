"""The scores of a model: on the truth, on its own predictions, and by what it generates.

Reading the truth (teacher forced) it is compared with the floor of the very same strings.
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
from seqtune.training.free_running import free_running_inputs
from seqtune.training.generation import completed
from seqtune.training.measurement import DivergedError
from seqtune.training.scoring import StringScores, read, true_losses
from seqtune.training.spec import EvaluationSpec

TOKENS_A_BATCH = 32_768
"""Validation strings are read in batches of about this many tokens, which bounds the memory."""

TRUTH_NUMBERS = 1 << 23
"""True distributions are kept as long as they are at most so many numbers, 64 MiB; the rest are found again."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was found of a model.

    Attributes:
        scores: every `valid/` and `free/` score, and those of the exam, by the names of `METRICS`.
        examination: the exam's tables and samples; None where nothing was generated.
    """

    scores: dict[str, Score]
    examination: GenerationResult | None

    @property
    def metrics(self) -> dict[str, float]:
        """The values of the scores; what could not be measured is left out."""
        values = {name: score.value for name, score in self.scores.items()}
        return {name: value for name, value in values.items() if not math.isnan(value)}


class Evaluator:
    """Draws the validation strings once, with their floor, and measures models on them.

    Attributes:
        strings: the validation strings.
        batches: those, laid out.
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
        self.batches = list(laid_out(self.strings, task=task))
        self.scored = sum(int(batch.scored.sum()) for batch in self.batches)
        self.read = sum(batch.tokens.size for batch in self.batches)
        self.floor = _total([task.floor(batch) for batch in self.batches])
        self.references = dict(task.references(self.strings))
        self._truths: dict[int, npt.NDArray[np.float64]] = {}
        self._true_nats = np.concatenate(
            [self._known(number) for number in range(len(self.batches))]
        )

    def evaluate(self, model: SequenceModel, *, epoch: int) -> Evaluation:
        """Measures a model; one in training mode is put back into it.

        Raises:
            DivergedError: if the loss is not finite; from such a model nothing can be sampled.
        """
        training = model.training
        model.eval()
        try:
            forced = StringScores.joined(
                [
                    StringScores.of(read(model, batch, truth=self.truth(number)), batch=batch)
                    for number, batch in enumerate(self.batches)
                ]
            )
            scores = self._forced(forced)
            loss = scores["valid/loss"].value
            if not math.isfinite(loss):
                raise DivergedError(f"valid/loss is {loss} after epoch {epoch}")
            scores |= self._free(model, forced=forced)
            found = self._examined(model, epoch=epoch)
        finally:
            model.train(training)
        return Evaluation(scores | dict(found.scores if found else {}), examination=found)

    @property
    def floor_data(self) -> dict[str, float] | None:
        """The floor as JSON data: nats a token and a string, accuracy, the share of the scored tokens it is of."""
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
        """The true distributions of a batch, as `Task.truth` gives them."""
        kept = self._truths.get(number)
        return self.task.true_distributions(self.batches[number]) if kept is None else kept

    def _known(self, number: int) -> npt.NDArray[np.float64]:
        """True nats of a batch's strings [B]; its true distributions are kept if there is room."""
        batch = self.batches[number]
        truth = self.task.true_distributions(batch)
        if truth is not None:
            kept = sum(each.size for each in self._truths.values())
            if kept + truth.size <= TRUTH_NUMBERS:
                self._truths[number] = truth
        return true_losses(batch, truth=truth).sum(axis=1)

    def _forced(self, found: StringScores) -> dict[str, Score]:
        scores = {
            "valid/loss": Score.ratio(found.nats, denominators=found.scored),
            "valid/accuracy": Score.ratio(found.hits, denominators=found.scored),
            "valid/exact": Score.mean(found.exact),
        }
        if self.floor is not None:
            excess = found.compared_nats - self._true_nats
            scores["valid/excess"] = Score.ratio(excess, denominators=found.compared)
            scores["valid/excess_string"] = Score.mean(excess)
            if found.divergences is not None:
                kl = Score.ratio(found.divergences, denominators=found.compared)
                scores["valid/kl"] = kl
        return scores

    def _free(self, model: SequenceModel, *, forced: StringScores) -> dict[str, Score]:
        """The first strings again, all that is predicted being read as it was predicted."""
        count = min(self.spec.free, len(self.strings))
        if count == 0:
            return {}
        batches = list(_first(self.batches, count=count))
        found = StringScores.joined(
            [
                StringScores.of(read(model, batch, tokens=tokens), batch=batch)
                for batch, tokens in free_running_inputs(model, batches)
            ]
        )
        gap = found.nats - forced.nats[:count]
        return {
            "free/loss": Score.ratio(found.nats, denominators=found.scored),
            "free/accuracy": Score.ratio(found.hits, denominators=found.scored),
            "free/gap": Score.ratio(gap, denominators=found.scored),
        }

    def _examined(self, model: SequenceModel, *, epoch: int) -> GenerationResult | None:
        if self.spec.generate == 0:
            return None
        # The prompts are the same after every epoch, what is sampled from the model is not.
        prompts = seeding.generator(self.spec.seed, "generate")
        exam = self.task.generative_evaluation(self.spec.generate, generator=prompts)
        if exam is None:
            return None
        generator = torch.Generator(model.device)
        generator.manual_seed(seeding.integer_seed(self.spec.seed, "generate", epoch))

        def complete(prompt: Prompt) -> np.ndarray:
            return completed(model, prompt, generator=generator)

        return run(exam, complete=complete)


def laid_out(strings: Strings, *, task: Task) -> Iterator[Batch]:
    """Validation strings as the batches that a model reads them in."""
    size = max(1, TOKENS_A_BATCH // max(task.max_length, 1))
    rows = np.arange(len(strings))
    for start in range(0, len(rows), size):
        yield task.batch(strings.take(rows[start : start + size]))


def _first(batches: list[Batch], *, count: int) -> Iterator[Batch]:
    """The first so many strings, laid out as they are in their batches."""
    for batch in batches:
        if count > 0:
            yield batch.rows(slice(count))
        count -= len(batch)


def _total(floors: list[Floor | None]) -> Floor | None:
    """Their sum; None if one is missing, or none covers a token."""
    known = [floor for floor in floors if floor is not None]
    if len(known) < len(floors):
        return None
    total = sum(known[1:], start=known[0])
    return total if total.scored > 0 else None
