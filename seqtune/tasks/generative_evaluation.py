"""Generative evaluation: the task gives prompts, the model completes them, the task checks the result.

A generative evaluation is a Python generator: it yields a prompt, is sent the completions, and so
on, as often as needed (a roll-out feeds every completion back); it returns scores, tables and
samples to look at. So a task does not depend on models, and needs only NumPy.
"""

import unicodedata
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from seqtune.tasks.score import Score

Cells: TypeAlias = npt.NDArray[np.int8]
"""A board [R, C] of cells; what each value stands for is in `CELLS`."""

CELLS = ("dead", "alive", "wrongly dead", "wrongly alive", "missing")
"""What the values 0 to 4 of a cell mean in a sample's panels."""

SEAM = "\N{MATHEMATICAL RIGHT DOUBLE ANGLE BRACKET}"
"""Separates the prompt from the completion in a sample's text."""

WRONG = "\N{MATHEMATICAL LEFT ANGLE BRACKET}wrong: {}\N{MATHEMATICAL RIGHT ANGLE BRACKET}"
"""Marks the place in a sample's text from which on it is wrong, with the reason."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """The tokens that generation starts from, and how completions are sampled.

    Attributes:
        tokens: int64 [B, P], read before the first token is sampled.
        longest: completions are cut after this many tokens.
        stop: the token that ends a completion; None if all are `longest` tokens long.
        temperature: sampling temperature; 0 takes the most probable token.
        note: a remark for the user, such as that no string begins like this; empty if there is
            none.
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
        title: a name that is unique within its evaluation: `glider`, `density 0.5`, `3`.
        text: prompt and completion as text.
        right: whether the completion is right; None if the task cannot check completions.
        panels: boards to show side by side, by caption; None if the text is enough.
        wrong_at: index of the first wrong character of `text`, or the length of the text if it ends
            too early; None if the completion is right or was not checked.
        reason: what is wrong there; empty if nothing is.
    """

    title: str
    text: str
    right: bool | None = None
    panels: Mapping[str, Cells] | None = None
    wrong_at: int | None = None
    reason: str = ""

    @property
    def marked(self) -> tuple[str, str, str]:
        """The text before the error, a mark with the reason, and the rest; the last two may be empty.

        Example:
            `3 1 `, `⟨wrong: only 2 can follow⟩`, ` 1 2`.
        """
        if self.wrong_at is None:
            return self.text, "", ""
        before, after = self.text[: self.wrong_at], self.text[self.wrong_at :]
        # A blank separates the mark from words; inside a word it stands between the characters.
        if not after:
            before += " " * bool(before)
        elif before[-1:] in ("", " "):
            after = " " + after
        return before, WRONG.format(self.reason), after

    def to_data(self) -> dict[str, Any]:
        """Return plain JSON data."""
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
    """Result of a generative evaluation.

    Attributes:
        scores: by metric name; shares are in [0, 1]. The units counted are completions or
        roll-outs.
        tables: rows by name of the table, such as scores by test set; all rows have the same keys.
        samples: a few completions.
    """

    scores: Mapping[str, Score]
    tables: Mapping[str, tuple[Mapping[str, str | float], ...]]
    samples: tuple[Sample, ...]

    def to_data(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "scores": {name: score.to_data() for name, score in self.scores.items()},
            "tables": {name: [dict(row) for row in rows] for name, rows in self.tables.items()},
            "samples": [sample.to_data() for sample in self.samples],
        }


GenerativeEvaluation: TypeAlias = Generator[Prompt, npt.NDArray[np.int64], GenerationResult]
"""Yields prompts; is sent completions int64 [B, N], filled with the stop token after their end."""


def run(
    evaluation: GenerativeEvaluation, *, complete: Callable[[Prompt], npt.NDArray[np.int64]]
) -> GenerationResult:
    """Run a generative evaluation; `complete` returns the completions of a prompt."""
    completions: npt.NDArray[np.int64] | None = None
    while True:
        try:
            prompt = next(evaluation) if completions is None else evaluation.send(completions)
        except StopIteration as end:
            return end.value
        completions = complete(prompt)


def visible(text: str) -> str:
    """Return text on one line; control characters become signs: ⏎ a line break, ␉ a tab.

    Other characters that cannot be seen, such as a change of the writing direction, become �.
    """
    return "".join(map(_visible, text.replace("\r\n", "\n")))


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    if character == "\n":
        return "\N{RETURN SYMBOL}"
    if ord(character) < 0x20:
        return chr(0x2400 + ord(character))  # Unicode's pictures of control characters
    return " " if unicodedata.category(character) == "Zs" else "\N{REPLACEMENT CHARACTER}"
