"""A text as numbered units: its vocabulary, and the tokens of its two parts, mapped into memory.

The last `share` of the units is for validation, in one piece. Windows shuffled into two sets would
overlap, so that a model had read most of what it is then asked. The vocabulary is the training part's.

A single file read as bytes is mapped as it is, and must not change while it is in use. Any other text is
encoded once, into the cache.
"""

import hashlib
import json
import logging
import tempfile
import unicodedata
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqtune.storage.files import cache_folder, write_atomically
from seqtune.tasks.text.encoding import Parts, Tokens, byte_parts, count, encode
from seqtune.tasks.text.files import Measures, Text, measure
from seqtune.tasks.text.units import ByteVocabulary, Unit, UnitVocabulary, Vocabulary

logger = logging.getLogger(__name__)

VERSION = 1
"""To be raised when the same text would give other tokens."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text, read as units of one kind.

    Attributes:
        name: changes with whatever the tokens depend on; fit for a file name.
        text: the files.
        measures: the text in figures.
        unit: what it is read as.
        vocabulary: the units' numbers.
        parts: how it is divided.
        tokens: all units' numbers.
    """

    name: str
    text: Text
    measures: Measures
    unit: Unit
    vocabulary: Vocabulary
    parts: Parts
    tokens: Tokens

    @property
    def train(self) -> Tokens:
        """The training part's tokens."""
        return self.tokens[: self.parts.train]

    @property
    def valid(self) -> Tokens:
        """The validation part's tokens."""
        return self.tokens[self.parts.train :]

    @property
    def units_a_character(self) -> float:
        """Of the validation part."""
        return self.parts.valid / self.parts.valid_characters

    def counts(self, tokens: Tokens) -> npt.NDArray[np.int64]:
        """How often each unit of the vocabulary occurs in tokens, int64 [V]."""
        return count(tokens, size=self.vocabulary.size)


@dataclass(frozen=True)
class Encoding:
    """How a text is read.

    Attributes:
        unit: its kind.
        share: the validation part's, in (0, 1).
        limit: how many of the most frequent units get a number; None for all.
    """

    unit: Unit
    share: float
    limit: int | None = None


def open_corpus(text: Text, *, encoding: Encoding) -> Corpus:
    """Opens a text's tokens, encoding them if the cache does not hold them.

    Raises:
        FileError: if a file is no text.
    """
    measures = measure(text)
    name = _name(measures, encoding=encoding)
    unit = encoding.unit
    if unit == "byte" and len(text.files) == 1:
        tokens = np.memmap(text.files[0].path, dtype=np.uint8, mode="r")
        parts = byte_parts(tokens, share=encoding.share)
    else:
        tokens, parts = _encoded(text, name=name, encoding=encoding)
    vocabulary = ByteVocabulary() if unit == "byte" else UnitVocabulary(parts.units, unit=unit)
    return Corpus(name, text, measures, unit, vocabulary, parts, tokens)


def _name(measures: Measures, *, encoding: Encoding) -> str:
    # Which characters make a word changes with Python's Unicode tables.
    settings = [VERSION, measures.sha256, asdict(encoding), unicodedata.unidata_version]
    digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
    return f"text-{encoding.unit}-{digest[:24]}"


def _encoded(text: Text, *, name: str, encoding: Encoding) -> tuple[Tokens, Parts]:
    """The tokens from the cache, which they are written to if need be."""
    at = cache_folder() / name
    found = _read(at, mapped=True)
    if found is not None:
        return found
    try:
        _write(at, text, encoding=encoding)
        found = _read(at, mapped=True)
    except OSError as error:
        logger.warning(
            "%s cannot be written (%s): the text is encoded anew by every process and held in its "
            "memory; set XDG_CACHE_HOME to a folder that can be",
            at.parent,
            error.strerror,
        )
        with tempfile.TemporaryDirectory(prefix="seqtune-") as folder:
            _write(Path(folder) / name, text, encoding=encoding)
            found = _read(Path(folder) / name, mapped=False)
    assert found is not None, f"{at}: what was just written cannot be read"
    return found


def _files(at: Path) -> tuple[Path, Path]:
    return at.with_name(at.name + ".npy"), at.with_name(at.name + ".json")


def _read(at: Path, *, mapped: bool) -> tuple[Tokens, Parts] | None:
    """What was written before; None if that is nothing, or damaged."""
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
