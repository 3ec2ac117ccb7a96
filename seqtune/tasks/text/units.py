"""What a text is read as: bytes, characters or words, and the number of each.

A word is a run of letters, digits and underscores, a run of white space, or any one other character. So
words joined give the text again, and only a word that is not in the vocabulary is lost.
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
"""How a unit outside the vocabulary is shown."""

WORD = re.compile(r"\w+|\s+|[^\w\s]")


def tokenize(texts: Iterable[str], *, unit: Literal["char", "word"]) -> Iterator[list[str]]:
    """The units of a text that comes in pieces; where these are cut makes no difference."""
    held = ""
    for text in texts:
        if unit == "char":
            yield list(text)
            continue
        words = WORD.findall(held + text)
        # The last word may go on in the next piece.
        held = words.pop() if words else ""
        yield words
    if held:
        yield [held]


class Vocabulary(abc.ABC):
    """The units that have a number of their own.

    Attributes:
        size: how many numbers there are, the unknown unit's included.
    """

    size: int

    @abc.abstractmethod
    def encode(self, text: str) -> Identifiers:
        """The numbers of a text's units, int64."""

    @abc.abstractmethod
    def decode(self, tokens: Sequence[int] | npt.NDArray[np.integer]) -> str:
        """The text of numbers; an unknown unit is U+FFFD."""

    @abc.abstractmethod
    def show(self, token: int) -> str:
        """A unit in quotes, with escapes for what cannot be printed."""


class ByteVocabulary(Vocabulary):
    """All 256 bytes, each its own number; none is unknown. Bytes that are no text decode to U+FFFD."""

    size = 256

    def encode(self, text: str) -> Identifiers:
        return np.frombuffer(text.encode(errors="replace"), dtype=np.uint8).astype(np.int64)

    def decode(self, tokens: Sequence[int] | npt.NDArray[np.integer]) -> str:
        return bytes(np.asarray(tokens, dtype=np.uint8)).decode(errors="replace")

    def show(self, token: int) -> str:
        return repr(bytes([token]))[1:]


class UnitVocabulary(Vocabulary):
    """Characters or words: 0 is the unknown unit, the others are 1, 2, .. in the order given."""

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
