"""Which text, in which units, and what of it is for validation."""

import functools
import math
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from seqtune.config.errors import problem
from seqtune.config.yaml_file import FileError
from seqtune.tasks.base import LanguageSpec
from seqtune.tasks.text.corpus import Encoding, open_corpus
from seqtune.tasks.text.encoding import divide
from seqtune.tasks.text.files import Text, find, measure
from seqtune.tasks.text.units import PLURALS, Unit, tokenize

if TYPE_CHECKING:
    from seqtune.tasks.text.task import TextTask

FREQUENT_WORDS = 10_000
"""Words in the vocabulary if the spec does not say how many."""


class TextSpec(LanguageSpec):
    """Windows of a text: any UTF-8 files, or Python's own documentation."""

    kind: Literal["text"] = "text"
    path: str | None = None
    """A file, or a glob (`data/**/*.txt`) whose files are joined in the order of their paths with nothing
    between; relative to the working directory. Null is Python's documentation, which needs no download."""
    unit: Unit = "char"
    length: int = Field(default=128, ge=1)
    """Units that are predicted in a window."""
    split: float = Field(default=0.1, gt=0, lt=1)
    """Share of the text, its end, that is for validation."""
    vocabulary: int | None = Field(default=None, ge=1)
    """How many units, the most frequent ones, are known; null is all characters, or 10,000 words."""

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
        """The text's units, or at least so many of them that a window fits into both parts."""
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
        """The metrics that not every task has: none, since no floor is known and nothing is judged."""
        return frozenset()

    def build(self) -> "TextTask":
        limit = FREQUENT_WORDS if self.unit == "word" else None
        encoding = Encoding(self.unit, share=self.split, limit=self.vocabulary or limit)
        from seqtune.tasks.text.task import TextTask

        return TextTask(open_corpus(find(self.path), encoding=encoding), length=self.length)


@functools.lru_cache(maxsize=64)
def _count_words(text: Text, *, up_to: float) -> int:
    count = 0
    for words in tokenize((piece for _, piece in text.pieces()), unit="word"):
        count += len(words)
        if count >= up_to:
            break
    return count
