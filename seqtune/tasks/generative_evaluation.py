"""Generative scores: a task prompts, a model completes, the task judges.

An exam is a generator: it yields a prompt, is sent the completions, and so on, as often as it needs to
(a roll-out feeds every completion back); what it returns are scores, tables and samples to look at.
So neither side knows the other, and a task stays NumPy.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from seqtune.tasks.score import Score

Cells: TypeAlias = npt.NDArray[np.int8]
"""A board [R, C] of cells; what each value stands for is in `CELLS`."""

CELLS = ("dead", "alive", "wrongly dead", "wrongly alive", "missing")
"""The meaning of a cell's value, 0 to 4, in a sample's panels."""

SEAM = "\N{MATHEMATICAL RIGHT DOUBLE ANGLE BRACKET}"
"""Stands in a sample's text between the prompt and what the model made of it."""

WRONG = "\N{MATHEMATICAL LEFT ANGLE BRACKET}wrong: {}\N{MATHEMATICAL RIGHT ANGLE BRACKET}"
"""Is put into a sample's text where it goes wrong, with the reason."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """What generation starts from.

    Attributes:
        tokens: int64 [B, P], read before the first token is sampled.
        longest: completions are cut after this many tokens.
        stop: the token that ends a completion; None if all are `longest` tokens long.
        temperature: of the samples; 0 takes the most probable token.
        note: what whoever asked should know of it, such as that no string begins like this.
    """

    tokens: npt.NDArray[np.int64]
    longest: int
    stop: int | None = None
    temperature: float = 1.0
    note: str = ""


@dataclass(frozen=True, eq=False)
class Sample:
    """A completion to look at.

    Attributes:
        title: what it is, unique in its exam: `glider`, `density 0.5`, `3`.
        text: prompt and completion as people read them.
        right: whether it is; None where nothing is judged.
        panels: boards to be shown side by side, by caption; none where text says it all.
        wrong_at: index of the character of `text` from which on it is wrong; None where it is right or
            nothing is judged, and the length of the text where it should go on.
        reason: what is wrong there.
    """

    title: str
    text: str
    right: bool | None = None
    panels: Mapping[str, Cells] | None = None
    wrong_at: int | None = None
    reason: str = ""

    @property
    def marked(self) -> tuple[str, str, str]:
        """The text before it goes wrong, a mark with the reason, and the rest; the last two may be empty.

        Example:
            `3 1 `, `⟨wrong: only 2 can follow⟩`, ` 1 2`.
        """
        if self.wrong_at is None:
            return self.text, "", ""
        before, after = self.text[: self.wrong_at], self.text[self.wrong_at :]
        # Words stay apart from the mark; within a word it stands between the characters.
        if not after:
            before += " " * bool(before)
        elif before[-1:] in ("", " "):
            after = " " + after
        return before, WRONG.format(self.reason), after

    def to_data(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {
            "title": self.title,
            "text": self.text,
            "right": self.right,
            "wrong_at": self.wrong_at,
            "reason": self.reason,
            "panels": {name: board.tolist() for name, board in (self.panels or {}).items()},
        }


@dataclass(frozen=True, eq=False)
class GenerationResult:
    """What an exam found.

    Attributes:
        scores: by the names of `METRICS`, in [0, 1] where they are shares; what they count are completions,
            or roll-outs.
        tables: rows by the name of the table, such as scores by test set; all rows have the same keys.
        samples: a few completions.
    """

    scores: Mapping[str, Score]
    tables: Mapping[str, tuple[Mapping[str, str | float], ...]]
    samples: tuple[Sample, ...]

    def to_data(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {
            "scores": {name: score.to_data() for name, score in self.scores.items()},
            "tables": {name: [dict(row) for row in rows] for name, rows in self.tables.items()},
            "samples": [sample.to_data() for sample in self.samples],
        }


Exam: TypeAlias = Generator[Prompt, npt.NDArray[np.int64], GenerationResult]
"""Yields prompts, is sent completions int64 [B, N] that hold the stop from where they end."""


def run(exam: Exam, *, complete: Callable[[Prompt], npt.NDArray[np.int64]]) -> GenerationResult:
    """Takes an exam: `complete` answers every prompt."""
    completions: npt.NDArray[np.int64] | None = None
    while True:
        try:
            prompt = next(exam) if completions is None else exam.send(completions)
        except StopIteration as end:
            return end.value
        completions = complete(prompt)
