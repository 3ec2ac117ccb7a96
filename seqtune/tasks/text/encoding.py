"""A text turned into a file of tokens, piece by piece, so that it may be larger than the memory."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from seqtune.tasks.text.files import Text
from seqtune.tasks.text.units import Unit, tokenize

Tokens = npt.NDArray[np.unsignedinteger[Any]]

CHUNK_TOKENS = 1 << 20
"""Tokens are counted and converted in pieces of this many."""


@dataclass(frozen=True)
class Parts:
    """Where a text is divided, and what its units are.

    Attributes:
        train: units of the training part.
        valid: units of the validation part, which follows.
        train_bytes: bytes of the training part.
        valid_characters: characters of the validation part; one that the division cuts is not among them.
        units: characters or words in the order of their numbers, from 1; none for bytes.
    """

    train: int
    valid: int
    train_bytes: int
    valid_characters: int
    units: tuple[str, ...] = ()

    @property
    def type(self) -> np.dtype[Any]:
        """The smallest type of a token."""
        return np.min_scalar_type(len(self.units))


def divide(units: int, *, share: float) -> tuple[int, int]:
    """How many units are for training, and how many for validation."""
    valid = round(units * share)
    return units - valid, valid


def encode(file: BinaryIO, text: Text, *, unit: Unit, share: float, limit: int | None) -> Parts:
    """Writes a text's tokens as an array file; see `open_corpus` for the arguments."""
    if unit != "byte":
        return _encode_units(file, text, unit=unit, share=share, limit=limit)
    _write_header(file, length=text.size, type=np.dtype(np.uint8))
    for chunk, _ in text.pieces():
        file.write(chunk)
    file.flush()
    return byte_parts(np.load(file.name, mmap_mode="r"), share=share)


def byte_parts(tokens: Tokens, *, share: float) -> Parts:
    """How a text that is read as bytes is divided."""
    train, valid = divide(len(tokens), share=share)
    # All bytes of a character but its first are 0b10xxxxxx.
    characters = sum(int(((chunk & 0xC0) != 0x80).sum()) for chunk in _chunks(tokens[train:]))
    return Parts(train=train, valid=valid, train_bytes=train, valid_characters=characters)


def count(tokens: Tokens, *, size: int) -> npt.NDArray[np.int64]:
    """How often each of `size` units occurs."""
    total = np.zeros(size, dtype=np.int64)
    for chunk in _chunks(tokens):
        total += np.bincount(chunk, minlength=size)
    return total


def _encode_units(
    file: BinaryIO, text: Text, *, unit: Literal["char", "word"], share: float, limit: int | None
) -> Parts:
    """Numbers the units as they come, and again once it is known how frequent they are."""
    with tempfile.TemporaryFile(dir=Path(file.name).parent) as drafted:
        numbers = _draft(drafted, text, unit=unit)
        draft = np.memmap(drafted, dtype=np.uint32, mode="r")
        train, valid = divide(len(draft), share=share)
        trained = count(draft[:train], size=len(numbers))
        tested = count(draft[train:], size=len(numbers))
        parts = Parts(
            train=train,
            valid=valid,
            train_bytes=int(trained @ np.array([len(each.encode()) for each in numbers])),
            valid_characters=int(tested @ np.array([len(each) for each in numbers])),
            units=_most_frequent(list(numbers), counts=trained, limit=limit),
        )
        final = np.zeros(len(numbers), dtype=parts.type)
        final[[numbers[each] for each in parts.units]] = np.arange(1, len(parts.units) + 1)
        _write_header(file, length=len(draft), type=parts.type)
        for chunk in _chunks(draft):
            file.write(final[chunk].tobytes())
    return parts


class _Numbers(dict[str, int]):
    """Units by the order in which they were first asked for."""

    def __missing__(self, unit: str) -> int:
        self[unit] = number = len(self)
        return number


def _draft(file: BinaryIO, text: Text, *, unit: Literal["char", "word"]) -> _Numbers:
    numbers = _Numbers()
    for units in tokenize((piece for _, piece in text.pieces()), unit=unit):
        drafted = map(numbers.__getitem__, units)
        file.write(np.fromiter(drafted, dtype=np.uint32, count=len(units)).tobytes())
    file.flush()
    return numbers


def _most_frequent(
    units: list[str], *, counts: npt.NDArray[np.int64], limit: int | None
) -> tuple[str, ...]:
    """The units that occur, the most frequent first, and equally frequent ones by code point."""
    occurring = [(-int(count), unit) for unit, count in zip(units, counts, strict=True) if count]
    return tuple(unit for _, unit in sorted(occurring)[:limit])


def _write_header(file: BinaryIO, *, length: int, type: np.dtype[Any]) -> None:
    # Tokens are written piece by piece, not through a map: a full disk would end the process there.
    np.lib.format.write_array_header_1_0(
        file, {"descr": type.str, "fortran_order": False, "shape": (length,)}
    )


def _chunks(tokens: Tokens) -> Iterator[Tokens]:
    for start in range(0, len(tokens), CHUNK_TOKENS):
        yield tokens[start : start + CHUNK_TOKENS]
