"""What a trained run generates when a person asks: in batches of bounded memory, judged and counted."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.text import Text

from seqtune import seeding
from seqtune.cli.tables.samples import print_legend, print_sample
from seqtune.config.yaml_file import FileError
from seqtune.tasks import TASK_SPECS
from seqtune.tasks.generative_evaluation import CELLS, Prompt, Sample
from seqtune.tasks.score import Score, bound, finite, shown_bound
from seqtune.trained.load import TrainedRun
from seqtune.training.generation import generate, rows_at_once

COUNT = 20
"""Strings that are generated unless all would be alike."""

CHANGEABLE = ("task",)
"""What of a run's spec may be changed here."""

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
"""What of it would change nothing, and what to write instead."""

ONE_ANSWER = "at temperature 0 nothing is drawn, so that one prompt has one answer, given once"

WRONG_CELL = CELLS.index("wrongly dead")
"""Values of cells from this one on are wrong."""


@dataclass(frozen=True)
class GenerationRequest:
    """What a person asks for.

    Attributes:
        text: what is to be gone on with, as people write it; None for the task's own beginnings.
        count: how many strings; None for `COUNT`, and for one where all would be alike.
        temperature: None for the task's own.
        longest: tokens of a completion that has no end of its own; None for the task's own, as far as the
            model reads.
        seed: what prompts and tokens are drawn by.
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
                f"--temperature: must be a number from 0 up, but got {heat:g}; "
                "0 takes the most probable token, 1 samples as the model predicts"
            )


class Generation:
    """Samples to come.

    Attributes:
        note: what is to be known of the prompt, or of their number; empty if nothing is.
        count: how many samples there will be; one where all would be alike.
        alike: whether they would be, since neither prompts nor tokens are drawn.
    """

    def __init__(self, trained: TrainedRun, *, request: GenerationRequest) -> None:
        """Reads the prompt.

        Raises:
            FileError: if the task or the model cannot go on from it.
        """
        self._trained = trained
        self._request = request
        asked = self._asked(1, generator=self._prompt_generator())
        self._longest = _longest(asked, trained=trained, request=request)
        self._rows = rows_at_once(replace(asked, longest=self._longest))
        self.alike = self._temperature(asked) == 0 and self._one_prompt()
        self.count = 1 if self.alike else request.count or COUNT
        notes = [asked.note, ONE_ANSWER if (request.count or 1) > self.count else ""]
        self.note = "; ".join(note for note in notes if note)

    def samples(self) -> Iterator[Sample]:
        """Generates them, in batches of bounded memory; the same at every call."""
        model, seed = self._trained.model, self._request.seed
        prompts = self._prompt_generator()
        draws = torch.Generator(model.device)
        draws.manual_seed(seeding.integer_seed(seed, "generate"))
        for done in range(0, self.count, self._rows):
            asked = self._asked(min(self._rows, self.count - done), generator=prompts)
            prompt = replace(asked, longest=self._longest, temperature=self._temperature(asked))
            completions = generate(model, prompt, generator=draws).cpu().numpy()
            yield from self._trained.task.check_completions(prompt, completions=completions)

    def _asked(self, count: int, *, generator: np.random.Generator) -> Prompt:
        try:
            return self._trained.task.prompt(self._request.text, count=count, generator=generator)
        except ValueError as error:
            raise FileError(f"--prompt: {error}") from None

    def _one_prompt(self) -> bool:
        """Whether every string has the same beginning: the one that was given, or the task has only one."""
        if self._request.text is not None:
            return True
        drawn = self._asked(COUNT, generator=self._prompt_generator()).tokens
        return bool((drawn == drawn[0]).all())

    def _prompt_generator(self) -> np.random.Generator:
        return seeding.generator(self._request.seed, "generate")

    def _temperature(self, asked: Prompt) -> float:
        own = self._request.temperature
        return asked.temperature if own is None else own


def _longest(asked: Prompt, *, trained: TrainedRun, request: GenerationRequest) -> int:
    """Tokens that a completion may have; of them and the prompt's, the model reads all but the last."""
    model, read = trained.model, asked.tokens.shape[1]
    ends = asked.stop is not None
    if ends and request.longest is not None:
        raise FileError(
            "--longest: is for strings without an end of their own, such as texts; these have one, "
            "so leave it out"
        )
    longest = request.longest or asked.longest
    if not ends and request.longest is None:
        longest = _within_reach(longest, read=read, trained=trained)
    if model.longest is not None and read + longest - 1 > model.longest:
        raise FileError(
            f"{'--prompt' if request.longest is None else '--longest'}: the model learned a position for "
            f"each of {model.longest} tokens only, but would have to read {read + longest - 1}: {read} of "
            f"the prompt and {longest - 1} of its own; ask for less"
        )
    return longest


def _within_reach(longest: int, *, read: int, trained: TrainedRun) -> int:
    """So many tokens, or fewer where a model that has positions would go beyond those that it was taught."""
    model = trained.model
    if model.recurrent and model.longest is None:
        return longest
    room = (model.longest or trained.task.max_length) - read + 1
    if room < 1 and model.longest is None:
        raise FileError(
            f"--prompt: has {read} tokens, but the model was trained on strings of at most "
            f"{trained.task.max_length}; to go on all the same, say how far: --longest 100"
        )
    return max(1, min(longest, room))


class GenerationCounts:
    """Judged samples, added up.

    Attributes:
        alike: whether all would be the same, so that they tell of no others.
    """

    def __init__(self, *, alike: bool) -> None:
        self.alike = alike
        self._count = 0
        self._right: list[bool] = []
        self._cells: list[float] = []

    def add(self, sample: Sample) -> None:
        """Counts a sample."""
        self._count += 1
        if sample.right is not None:
            self._right.append(sample.right)
        if sample.panels is not None:
            *_, predicted = sample.panels.values()
            self._cells.append(float((predicted < WRONG_CELL).mean()))

    @property
    def right(self) -> Score:
        """Share of the judged samples that are right."""
        return self._score(self._right)

    @property
    def cells(self) -> Score:
        """Share of the cells that are right."""
        return self._score(self._cells)

    def to_data(self) -> dict[str, Any]:
        """Plain JSON data.

        Of a share that is exactly 0 or 1, `bound` is how much it is at most, or at least, at 95 % confidence,
        and its standard error is null; of others the bound is. So is `cells_bound` for `cells`.
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
        """A sentence; with a standard error where the samples differ, with a bound where all are alike by chance."""
        if not self._right:
            return f"{self._count} generated; nothing here is judged"
        text = f"{sum(self._right)} of {len(self._right)} right"
        if self.right.standard_error > 0:
            text += f": {_with_error(self.right)}"
        text += self._bound(self.right)
        if self._cells:
            text += f"; cells right: {_with_error(self.cells)}{self._bound(self.cells)}"
        return text

    def _bound(self, share: Score) -> str:
        """The end of a clause: how far a share of exactly 0 or 1 may be off."""
        shown = shown_bound(share)
        if shown is None or self.alike:
            return ""
        return f", {'at most' if share.value == 0 else 'at least'} {100 * shown:.10g} %"

    def _score(self, values: Sequence[float]) -> Score:
        return Score.mean(np.array(values))


def _with_error(score: Score) -> str:
    error = f" ± {score.standard_error:.2g}" if score.standard_error > 0 else ""
    return f"{score.value:.4g}{error}"


def to_data(generation: Generation) -> dict[str, Any]:
    """Plain JSON data: the samples, and what they come to."""
    tally = GenerationCounts(alike=generation.alike)
    samples: list[dict[str, Any]] = []
    for sample in generation.samples():
        tally.add(sample)
        # Titles number the samples of a batch.
        samples.append({name: each for name, each in sample.to_data().items() if name != "title"})
    return {"samples": samples, "summary": tally.to_data(), "note": generation.note}


def show(generation: Generation, *, console: Console) -> None:
    """Prints samples as they come, and what they come to."""
    tally = GenerationCounts(alike=generation.alike)
    with_boards = False
    for sample in generation.samples():
        tally.add(sample)
        print_sample(sample, console=console)
        with_boards = with_boards or sample.panels is not None
    if with_boards:
        print_legend(console)
    console.print()
    console.print(Text(tally.line()), soft_wrap=True)
