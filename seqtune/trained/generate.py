"""Generate strings with a trained run on request: in batches of bounded memory, judged, counted."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from seqtune import seeding
from seqtune.config.yaml_file import FileError
from seqtune.tasks import TASK_SPECS
from seqtune.tasks.generative_evaluation import CELLS, Prompt, Sample
from seqtune.tasks.score import Score, bound, finite, shown_bound
from seqtune.trained.load import TrainedRun
from seqtune.training.generation import generate, rows_at_once

COUNT = 20
"""Default number of strings."""

CHANGEABLE = ("task",)
"""Paths of a run's spec that may be changed for generation."""

UNUSED = {
    "evaluation": "write --count NUMBER, or --seed NUMBER",
    "evaluation.strings": "write --count NUMBER",
    "evaluation.generate": "write --count NUMBER",
    "evaluation.free": "leave it out",
    "evaluation.seed": "write --seed NUMBER",
    **{
        f"task.{field}": hint
        for spec in TASK_SPECS
        for field, hint in spec.generation_ignores.items()
    },
}
"""Paths whose change would have no effect, and what to write instead."""

ONE_CONTINUATION = "at temperature 0 a prompt has only one continuation, so it is generated once"

WRONG_CELL = CELLS.index("wrongly dead")
"""Cell values from this one on are wrong."""


@dataclass(frozen=True)
class GenerationRequest:
    """What to generate.

    Attributes:
        text: the prompt as the user wrote it; None for prompts that the task draws.
        count: number of strings; None for `COUNT`.
        temperature: sampling temperature; None for the task's default.
        longest: maximum number of tokens of a completion without an end token; None for the task's
            default, as far as the model can read.
        seed: seed of the drawn prompts and tokens.

    Raises:
        FileError: if a value is out of range.
    """

    text: str | None = None
    count: int | None = None
    temperature: float | None = None
    longest: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for option, value, least in (
            ("--count", self.count, 1),
            ("--longest", self.longest, 1),
            ("--seed", self.seed, 0),
        ):
            if value is not None and value < least:
                raise FileError(f"{option}: must be at least {least}, but got {value}")
        heat = self.temperature
        if heat is not None and not (math.isfinite(heat) and heat >= 0):
            raise FileError(
                f"--temperature: must be finite and at least 0, but got {heat:g}; "
                "0 takes the most probable token, 1 samples from the model's distribution"
            )


class Generation:
    """Samples to be generated.

    Attributes:
        note: a note on the prompt or the number of samples; may be empty.
        count: number of samples; 1 if all would be alike.
        alike: whether all samples would be alike, since neither prompts nor tokens are drawn.
    """

    def __init__(self, trained: TrainedRun, *, request: GenerationRequest) -> None:
        """Read the prompt.

        Raises:
            FileError: if the task or the model cannot continue it.
        """
        self._trained = trained
        self._request = request
        prompt = self._prompt(1, generator=self._prompt_generator())
        self._longest = _longest(prompt, trained=trained, request=request)
        self._rows = rows_at_once(replace(prompt, longest=self._longest))
        self.alike = self._temperature(prompt) == 0 and self._has_one_prompt()
        self.count = 1 if self.alike else request.count or COUNT
        notes = [prompt.note, ONE_CONTINUATION if (request.count or 1) > self.count else ""]
        self.note = "; ".join(note for note in notes if note)

    def samples(self) -> Iterator[Sample]:
        """Generate the samples, in batches of bounded memory; the same ones at every call."""
        model, seed = self._trained.model, self._request.seed
        prompts = self._prompt_generator()
        draws = torch.Generator(model.device)
        draws.manual_seed(seeding.integer_seed(seed, "generate"))
        for done in range(0, self.count, self._rows):
            prompt = self._prompt(min(self._rows, self.count - done), generator=prompts)
            temperature = self._temperature(prompt)
            prompt = replace(prompt, longest=self._longest, temperature=temperature)
            completions = generate(model, prompt, generator=draws).cpu().numpy()
            yield from self._trained.task.check_completions(prompt, completions=completions)

    def to_data(self) -> dict[str, Any]:
        """Generate the samples and return them as plain JSON data, with a summary."""
        counts = GenerationCounts(alike=self.alike)
        samples: list[dict[str, Any]] = []
        for sample in self.samples():
            counts.add(sample)
            # Titles only number the samples of a batch.
            data = sample.to_data()
            samples.append({name: value for name, value in data.items() if name != "title"})
        return {"samples": samples, "summary": counts.to_data(), "note": self.note}

    def _prompt(self, count: int, *, generator: np.random.Generator) -> Prompt:
        try:
            return self._trained.task.prompt(self._request.text, count=count, generator=generator)
        except ValueError as error:
            raise FileError(f"--prompt: {error}") from None

    def _has_one_prompt(self) -> bool:
        """Return whether all strings start alike: from the given prompt, or the task's only one."""
        if self._request.text is not None:
            return True
        drawn = self._prompt(COUNT, generator=self._prompt_generator()).tokens
        return bool((drawn == drawn[0]).all())

    def _prompt_generator(self) -> np.random.Generator:
        return seeding.generator(self._request.seed, "generate")

    def _temperature(self, prompt: Prompt) -> float:
        requested = self._request.temperature
        return prompt.temperature if requested is None else requested


def _longest(prompt: Prompt, *, trained: TrainedRun, request: GenerationRequest) -> int:
    """Return the maximum length of a completion, in tokens.

    Raises:
        FileError: if the model cannot read the prompt and the completion except its last token.
    """
    model, read = trained.model, prompt.tokens.shape[1]
    ends = prompt.stop is not None
    if ends and request.longest is not None:
        raise FileError(
            "--longest: is for texts and other strings without an end token; these have one, "
            "so leave it out"
        )
    longest = request.longest or prompt.longest
    if not ends and request.longest is None:
        longest = _limit_to_positions(longest, read=read, trained=trained)
    if model.longest is not None and read + longest - 1 > model.longest:
        raise FileError(
            f"{'--prompt' if request.longest is None else '--longest'}: the model learned only "
            f"{model.longest} positions, but would have to read {read + longest - 1} tokens: "
            f"{read} "
            f"of the prompt and {longest - 1} generated ones; ask for fewer"
        )
    return longest


def _limit_to_positions(longest: int, *, read: int, trained: TrainedRun) -> int:
    """Limit a default length to the positions that a model with positions was trained on."""
    model = trained.model
    if model.recurrent and model.longest is None:
        return longest
    room = (model.longest or trained.task.max_length) - read + 1
    if room < 1 and model.longest is None:
        raise FileError(
            f"--prompt: has {read} tokens, but the model was trained on strings of at most "
            f"{trained.task.max_length}; to continue anyway, give a length: --longest 100"
        )
    return max(1, min(longest, room))


class GenerationCounts:
    """Running counts of judged samples.

    Attributes:
        alike: whether all samples would be alike, so that scores get no bounds.
    """

    def __init__(self, *, alike: bool) -> None:
        self.alike = alike
        self._count = 0
        self._right: list[bool] = []
        self._cells: list[float] = []

    def add(self, sample: Sample) -> None:
        """Count a sample."""
        self._count += 1
        if sample.right is not None:
            self._right.append(sample.right)
        if sample.panels is not None:
            *_, predicted = sample.panels.values()
            self._cells.append(float((predicted < WRONG_CELL).mean()))

    @property
    def right(self) -> Score:
        """Share of correct samples among those judged."""
        return self._score(self._right)

    @property
    def cells(self) -> Score:
        """Share of correct cells."""
        return self._score(self._cells)

    def to_data(self) -> dict[str, Any]:
        """Return plain JSON data.

        A share of exactly 0 or 1 has a 95 % `bound`, and null as its standard error; for other
        shares `bound` is null. `cells_bound` is that of `cells`.
        """
        data: dict[str, Any] = {"count": self._count, "judged": len(self._right)}
        if self._right:
            error = None if self.right.value in (0, 1) else finite(self.right.standard_error)
            data |= {"right": sum(self._right), "share": self.right.value}
            data |= {"standard_error": error, "bound": None if self.alike else bound(self.right)}
        if self._cells:
            data["cells"] = self.cells.value
            data["cells_bound"] = None if self.alike else bound(self.cells)
        return data

    def line(self) -> str:
        """Return a summary; a share of exactly 0 or 1 has a bound in place of a standard error."""
        if not self._right:
            return f"{self._count} generated; this task judges no strings"
        text = f"{sum(self._right)} of {len(self._right)} right"
        if self.right.standard_error > 0:
            text += f": {_with_error(self.right)}"
        text += self._bound(self.right)
        if self._cells:
            text += f"; cells right: {_with_error(self.cells)}{self._bound(self.cells)}"
        return text

    def _bound(self, share: Score) -> str:
        """Return the 95 % bound of a share of exactly 0 or 1, as the end of a clause."""
        shown = shown_bound(share)
        if shown is None or self.alike:
            return ""
        return f", {'at most' if share.value == 0 else 'at least'} {100 * shown:.10g} %"

    def _score(self, values: Sequence[float]) -> Score:
        return Score.mean(np.array(values))


def _with_error(score: Score) -> str:
    error = f" ± {score.standard_error:.2g}" if score.standard_error > 0 else ""
    return f"{score.value:.4g}{error}"
