"""Units of a text (bytes, characters or words) and their vocabularies.

A word is a run of letters, digits and underscores, a run of white space, or any other single
character. So words joined give the text again, and only words outside the vocabulary are lost.
"""

import abc
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Unit: TypeAlias = Literal["byte", "char", "word"]
Identifiers = npt.NDArray[np.int64]

PLURALS: dict[Unit, str] = {"byte": "bytes", "char": "characters", "word": "words"}

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
"""Shown for a unit outside the vocabulary."""

WORD = re.compile(r"\w+|\s+|[^\w\s]")


def tokenize(texts: Iterable[str], *, unit: Literal["char", "word"]) -> Iterator[list[str]]:
    """Yield the units of a text that comes in pieces, wherever these are cut."""
    rest = ""
    for text in texts:
        if unit == "char":
            yield list(text)
            continue
        words = WORD.findall(rest + text)
        # The last word may continue in the next piece.
        rest = words.pop() if words else ""
        yield words
    if rest:
        yield [rest]


class Vocabulary(abc.ABC):
    """Maps units to tokens.

    Attributes:
        size: number of tokens, that of the unknown unit included.
    """

    size: int

    @abc.abstractmethod
    def encode(self, text: str) -> Identifiers:
        """Return the tokens of a text, int64."""

    @abc.abstractmethod
    def decode(self, tokens: Sequence[int] | npt.NDArray[np.integer]) -> str:
        """Return the text of tokens; the unknown unit is U+FFFD."""

    @abc.abstractmethod
    def show(self, token: int) -> str:
        """Return a unit in quotes, unprintable characters escaped."""


class ByteVocabulary(Vocabulary):
    """All 256 bytes; none is unknown. Bytes that are not UTF-8 decode to U+FFFD."""

    size = 256

    def encode(self, text: str) -> Identifiers:
        return np.frombuffer(text.encode(errors="replace"), dtype=np.uint8).astype(np.int64)

    def decode(self, tokens: Sequence[int] | npt.NDArray[np.integer]) -> str:
        return bytes(np.asarray(tokens, dtype=np.uint8)).decode(errors="replace")

    def show(self, token: int) -> str:
        return repr(bytes([token]))[1:]


class UnitVocabulary(Vocabulary):
    """Characters or words: token 0 is the unknown unit, the others are 1, 2, .. as given."""

    def __init__(self, units: Sequence[str], *, unit: Literal["char", "word"]) -> None:
        self.unit: Literal["char", "word"] = unit
        self.units = tuple(units)
        self.size = len(self.units) + 1
        self._shown = (UNKNOWN, *self.units)
        self._numbers = {name: number for number, name in enumerate(self.units, start=1)}

    def encode(self, text: str) -> Identifiers:
        units = (each for piece in tokenize([text], unit=self.unit) for each in piece)
        return np.array([self._numbers.get(each, 0) for each in units], dtype=np.int64)

    def decode(self, tokens: Sequence[int] | npt.NDArray[np.integer]) -> str:
        return "".join(self._shown[token] for token in tokens)

    def show(self, token: int) -> str:
        return repr(self._shown[token]) if token else "unknown"
