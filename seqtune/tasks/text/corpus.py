"""A text as numbered units: its vocabulary, and the tokens of its two parts, mapped into memory.

The last `share` of the units is the validation part, in one piece: windows shuffled into two sets
would overlap, and a model would have read most of what it is validated on. The vocabulary is that
of the training part.

A single file read as bytes is mapped as it is, and must not change while it is in use. Any other
text is encoded once, piece by piece, into a file of the cache, so that it may be larger than
memory.
"""

import hashlib
import json
import logging
import tempfile
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from seqtune.storage.files import cache_folder, write_atomically
from seqtune.tasks.text.files import Measures, Text, measure
from seqtune.tasks.text.units import ByteVocabulary, Unit, UnitVocabulary, Vocabulary, tokenize

logger = logging.getLogger(__name__)

UnitTokens: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]

VERSION = 1
"""Raise this when the same text would give other tokens."""

CHUNK_TOKENS = 1 << 20
"""Tokens that are counted and converted at once."""


@dataclass(frozen=True)
class Parts:
    """The division of a text, and its units.

    Attributes:
        train: units of the training part.
        valid: units of the validation part, which follows it.
        train_bytes: bytes of the training part.
        valid_characters: characters of the validation part, without one that the division cuts.
        units: characters or words in the order of their tokens, from 1; empty for bytes.
    """

    train: int
    valid: int
    train_bytes: int
    valid_characters: int
    units: tuple[str, ...] = ()

    @property
    def type(self) -> np.dtype[Any]:
        """Smallest integer type that holds all tokens."""
        return np.min_scalar_type(len(self.units))


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text read as units of one kind.

    Attributes:
        name: identifies everything that the tokens depend on; valid as a file name.
        text: the files.
        measures: size and hash of the text.
        unit: kind of the units.
        vocabulary: maps units to tokens.
        parts: the division.
        tokens: the whole text.
    """

    name: str
    text: Text
    measures: Measures
    unit: Unit
    vocabulary: Vocabulary
    parts: Parts
    tokens: UnitTokens

    @property
    def train(self) -> UnitTokens:
        """Tokens of the training part."""
        return self.tokens[: self.parts.train]

    @property
    def valid(self) -> UnitTokens:
        """Tokens of the validation part."""
        return self.tokens[self.parts.train :]

    @property
    def units_per_character(self) -> float:
        """Units per character of the validation part."""
        return self.parts.valid / self.parts.valid_characters

    def counts(self, tokens: UnitTokens) -> npt.NDArray[np.int64]:
        """Return how often each token of the vocabulary occurs, int64 [V]."""
        return count(tokens, size=self.vocabulary.size)


@dataclass(frozen=True)
class Encoding:
    """How a text is read.

    Attributes:
        unit: kind of the units.
        share: share of the validation part, in (0, 1).
        limit: number of most frequent units that the vocabulary holds; None for all.
    """

    unit: Unit
    share: float
    limit: int | None = None


def open_corpus(text: Text, *, encoding: Encoding) -> Corpus:
    """Return the tokens of a text, from the cache or newly encoded.

    Raises:
        FileError: if a file is not text.
    """
    measures = measure(text)
    name = _name(measures, encoding=encoding)
    unit = encoding.unit
    if unit == "byte" and len(text.files) == 1:
        tokens = np.memmap(text.files[0].path, dtype=np.uint8, mode="r")
        parts = byte_parts(tokens, share=encoding.share)
    else:
        tokens, parts = _open_cached(text, name=name, encoding=encoding)
    vocabulary = ByteVocabulary() if unit == "byte" else UnitVocabulary(parts.units, unit=unit)
    return Corpus(name, text, measures, unit, vocabulary, parts, tokens)


def _name(measures: Measures, *, encoding: Encoding) -> str:
    # Which characters make a word changes with Python's Unicode tables.
    settings = [VERSION, measures.sha256, asdict(encoding), unicodedata.unidata_version]
    digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
    return f"text-{encoding.unit}-{digest[:24]}"


def _open_cached(text: Text, *, name: str, encoding: Encoding) -> tuple[UnitTokens, Parts]:
    """Read the tokens from the cache; encode them if it does not hold them."""
    at = cache_folder() / name
    found = _read(at, mapped=True)
    if found is not None:
        return found
    try:
        _write(at, text, encoding=encoding)
        found = _read(at, mapped=True)
    except OSError as error:
        logger.warning(
            "%s cannot be written (%s): every process encodes the text again and holds it in "
            "memory; set XDG_CACHE_HOME to a writable folder",
            at.parent,
            error.strerror,
        )
        with tempfile.TemporaryDirectory(prefix="seqtune-") as folder:
            _write(Path(folder) / name, text, encoding=encoding)
            found = _read(Path(folder) / name, mapped=False)
    assert found is not None, f"{at}: the tokens just written cannot be read"
    return found


def _files(at: Path) -> tuple[Path, Path]:
    return at.with_name(at.name + ".npy"), at.with_name(at.name + ".json")


def _read(at: Path, *, mapped: bool) -> tuple[UnitTokens, Parts] | None:
    """Read what `_write` wrote; None if there is nothing, or it is damaged."""
    array, index = _files(at)
    try:
        fields = json.loads(index.read_text(encoding="utf-8"))
        parts = Parts(**{**fields, "units": tuple(fields["units"])})
        tokens = np.load(array, mmap_mode="r" if mapped else None)
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None
    whole = tokens.shape == (parts.train + parts.valid,) and tokens.dtype == parts.type
    return (tokens, parts) if whole else None


def _write(at: Path, text: Text, *, encoding: Encoding) -> None:
    array, index = _files(at)
    with write_atomically(array) as file:
        parts = encode(file, text, unit=encoding.unit, share=encoding.share, limit=encoding.limit)
    with write_atomically(index) as file:
        file.write(json.dumps(asdict(parts)).encode())


def divide(units: int, *, share: float) -> tuple[int, int]:
    """Return the number of units for training and for validation."""
    valid = round(units * share)
    return units - valid, valid


def encode(file: BinaryIO, text: Text, *, unit: Unit, share: float, limit: int | None) -> Parts:
    """Write the tokens of a text as an array file; see `Encoding` for the arguments."""
    if unit != "byte":
        return _encode_units(file, text, unit=unit, share=share, limit=limit)
    _write_header(file, length=text.size, type=np.dtype(np.uint8))
    for chunk, _ in text.pieces():
        file.write(chunk)
    file.flush()
    return byte_parts(np.load(file.name, mmap_mode="r"), share=share)


def byte_parts(tokens: UnitTokens, *, share: float) -> Parts:
    """Return the division of a text that is read as bytes."""
    train, valid = divide(len(tokens), share=share)
    # All bytes of a character but its first are 0b10xxxxxx.
    characters = sum(int(((chunk & 0xC0) != 0x80).sum()) for chunk in _chunks(tokens[train:]))
    return Parts(train=train, valid=valid, train_bytes=train, valid_characters=characters)


def count(tokens: UnitTokens, *, size: int) -> npt.NDArray[np.int64]:
    """Return how often each of `size` tokens occurs, int64 [size]."""
    total = np.zeros(size, dtype=np.int64)
    for chunk in _chunks(tokens):
        total += np.bincount(chunk, minlength=size)
    return total


def _encode_units(
    file: BinaryIO, text: Text, *, unit: Literal["char", "word"], share: float, limit: int | None
) -> Parts:
    """Number the units by first occurrence, then again by frequency."""
    with tempfile.TemporaryFile(dir=Path(file.name).parent) as draft_file:
        numbers = _draft(draft_file, text, unit=unit)
        draft = np.memmap(draft_file, dtype=np.uint32, mode="r")
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
    """Numbers of units in the order of their first lookup."""

    def __missing__(self, unit: str) -> int:
        self[unit] = number = len(self)
        return number


def _draft(file: BinaryIO, text: Text, *, unit: Literal["char", "word"]) -> _Numbers:
    numbers = _Numbers()
    for units in tokenize((piece for _, piece in text.pieces()), unit=unit):
        found = map(numbers.__getitem__, units)
        file.write(np.fromiter(found, dtype=np.uint32, count=len(units)).tobytes())
    file.flush()
    return numbers


def _most_frequent(
    units: list[str], *, counts: npt.NDArray[np.int64], limit: int | None
) -> tuple[str, ...]:
    """Return the units that occur, by falling frequency, then by code point."""
    occurring = [(-int(count), unit) for unit, count in zip(units, counts, strict=True) if count]
    return tuple(unit for _, unit in sorted(occurring)[:limit])


def _write_header(file: BinaryIO, *, length: int, type: np.dtype[Any]) -> None:
    # Tokens are written, not assigned to a memory map: there a full disk would kill the process.
    np.lib.format.write_array_header_1_0(
        file, {"descr": type.str, "fortran_order": False, "shape": (length,)}
    )


def _chunks(tokens: UnitTokens) -> Iterator[UnitTokens]:
    for start in range(0, len(tokens), CHUNK_TOKENS):
        yield tokens[start : start + CHUNK_TOKENS]
