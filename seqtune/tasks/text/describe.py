"""A text in figures: sizes, references, frequent units, its beginning."""

import math

import numpy as np

from seqtune.tasks.base import Strings
from seqtune.tasks.description import Description, Figures, GridFigure, ListedStrings
from seqtune.tasks.text.corpus import Corpus
from seqtune.tasks.text.files import DOCUMENTATION
from seqtune.tasks.text.references import LZMA_BYTES, NGRAM_UNITS, references
from seqtune.tasks.text.units import PLURALS

FREQUENT = 20
"""Rows of the table of most frequent units."""

LINES = 12
"""Lines shown of the beginning of the text."""


def describe(corpus: Corpus, *, length: int, windows: Strings) -> Description:
    """Return the text in figures; `windows` of the validation part are for the references."""
    plural = PLURALS[corpus.unit]
    name = DOCUMENTATION
    if corpus.text.files:
        first, count = corpus.text.files[0].name, len(corpus.text.files)
        name = first if count == 1 else f"{first} and {count - 1} more"
    return Description(
        title=name,
        summary=f"{name}, read as {plural}: windows of {length + 1}, of which all but the first are "
        f"predicted. The last {corpus.parts.valid} {plural} are for validation.",
        parts={
            "text": _figures(corpus, length=length),
            f"references on {len(windows)} windows of the validation part": _references(
                corpus, windows
            ),
            "what the references read": _sizes_read(corpus),
            f"most frequent {plural} of the training part": _frequent(corpus),
            "beginning": ListedStrings(_beginning(corpus)),
            "a window": ListedStrings(tuple(corpus.vocabulary.decode(windows[0]).splitlines())),
        },
    )


def _figures(corpus: Corpus, *, length: int) -> Figures:
    plural, parts = PLURALS[corpus.unit], corpus.parts
    unknown = 0.0 if corpus.unit == "byte" else float(corpus.counts(corpus.valid)[0]) / parts.valid
    return Figures(
        {
            "files": len(corpus.text.files),
            "bytes": corpus.measures.size,
            "characters": corpus.measures.characters,
            f"training {plural}": parts.train,
            f"validation {plural}": parts.valid,
            "training windows": parts.train - length,
            "validation windows": parts.valid - length,
            "vocabulary": corpus.vocabulary.size,
            "unknown share of the validation part": unknown,
            "SHA-256": corpus.measures.sha256,
        }
    )


def _references(corpus: Corpus, windows: Strings) -> GridFigure:
    """Return references, converted from nats per unit to nats per character."""
    own = () if corpus.unit == "char" else (f"nats a {corpus.unit}",)
    rows = []
    for name, nats in references(corpus, windows).items():
        character = nats * corpus.units_per_character
        rows.append((name, *(nats for _ in own), character, character / math.log(2)))
    return GridFigure(("predictor", *own, "nats a character", "bits a character"), tuple(rows))


def _sizes_read(corpus: Corpus) -> Figures:
    division, end = corpus.parts.train_bytes, corpus.measures.size
    return Figures(
        {
            f"training {PLURALS[corpus.unit]} of the n-grams": min(corpus.parts.train, NGRAM_UNITS),
            "training bytes of lzma": min(division, LZMA_BYTES),
            "validation bytes of lzma": min(end - division, LZMA_BYTES),
        }
    )


def _frequent(corpus: Corpus) -> GridFigure:
    counts = corpus.counts(corpus.train)
    order = np.argsort(-counts, kind="stable")[:FREQUENT]
    return GridFigure(
        (corpus.unit, "number", "count", "share"),
        tuple(
            (
                corpus.vocabulary.show(int(token)),
                int(token),
                int(counts[token]),
                float(counts[token]) / corpus.parts.train,
            )
            for token in order
            if counts[token]
        ),
    )


def _beginning(corpus: Corpus) -> tuple[str, ...]:
    start = corpus.text.read(start=0, stop=LINES * 100).decode(errors="ignore")
    return tuple(start.splitlines()[:LINES])
