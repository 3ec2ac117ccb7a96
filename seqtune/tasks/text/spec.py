"""Spec of a text: the files, their units, and the share for validation."""

import functools
import math
from typing import Literal, Self

from pydantic import Field, model_validator

from seqtune.config.errors import problem
from seqtune.config.yaml_file import FileError
from seqtune.tasks.base import LanguageSpec
from seqtune.tasks.text.corpus import Encoding, divide
from seqtune.tasks.text.files import Text, find, measure
from seqtune.tasks.text.units import PLURALS, Unit, tokenize

FREQUENT_WORDS = 10_000
"""Words in the vocabulary unless the spec says otherwise."""


class TextSpec(LanguageSpec):
    """Windows of a text: UTF-8 files, or Python's own documentation."""

    kind: Literal["text"] = "text"
    path: str | None = None
    """A file, or a glob (`data/**/*.txt`) whose files are joined in the order of their paths with
    nothing between; relative to the working directory. Null is Python's documentation."""
    unit: Unit = "char"
    length: int = Field(default=128, ge=1)
    """Units predicted in a window."""
    split: float = Field(default=0.1, gt=0, lt=1)
    """Share of the text, at its end, for validation."""
    vocabulary: int | None = Field(default=None, ge=1)
    """Number of most frequent units in the vocabulary; null is all characters, or 10,000 words."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.unit == "byte" and self.vocabulary is not None:
            raise problem(
                f"all 256 bytes are known; leave it out, but got {self.vocabulary}", at="vocabulary"
            )
        try:
            units = self._count_units()
        except FileError as error:
            raise problem(str(error), at="path") from None
        self._check_size(units)
        return self

    def _count_units(self) -> int:
        """Count the units; of words at most as many as are needed to fit a window into both parts."""
        text = find(self.path)
        measures = measure(text)
        match self.unit:
            case "byte":
                return measures.size
            case "char":
                return measures.characters
            case "word":
                share = min(self.split, 1.0 - self.split)
                return _count_words(text, up_to=(self.length + 2) / share)

    def _check_size(self, units: int) -> None:
        window, plural = self.length + 1, PLURALS[self.unit]
        train, valid = divide(units, share=self.split)
        if min(train, valid) >= window:
            return
        if units < 2 * window:
            hint = f"; write at most {units // 2 - 1}" if units >= 4 else ""
            raise problem(
                f"a window is length + 1 = {window} {plural}, and one must fit into the training and one "
                f"into the validation part, but the text has {units}{hint}",
                at="length",
            )
        part, size = ("training", train) if train < window else ("validation", valid)
        least = math.ceil(1000 * window / units) / 1000
        bound = f"at most {1 - least:g}" if train < window else f"at least {least:g}"
        raise problem(
            f"a window is length + 1 = {window} {plural}, but the {part} part has {size} of the text's "
            f"{units}; write {bound}",
            at="split",
        )

    @property
    def longest(self) -> int:
        return self.length

    @property
    def scores(self) -> frozenset[str]:
        """None: the floor is unknown and completions cannot be checked."""
        return frozenset()

    @property
    def encoding(self) -> Encoding:
        """How the text is read."""
        limit = FREQUENT_WORDS if self.unit == "word" else None
        return Encoding(self.unit, share=self.split, limit=self.vocabulary or limit)


@functools.lru_cache(maxsize=64)
def _count_words(text: Text, *, up_to: float) -> int:
    count = 0
    for words in tokenize((piece for _, piece in text.pieces()), unit="word"):
        count += len(words)
        if count >= up_to:
            break
    return count
