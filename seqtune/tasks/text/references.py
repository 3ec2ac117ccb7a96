"""Reference predictors of a text, to compare models with: n-grams and a compressor.

N-grams are interpolated Kneser-Ney models. One of order k predicts from the k units before, with
one absolute discount D for each length of gram:

    P_k(w | h) = (max(c(hw) - D, 0) + D * N(h.) * Q_(k-1)(w | h')) / c(h.)

where c counts in the training text, N(h.) is the number of different units after h, and h' is h
without its first unit. Q is the same formula with continuation counts, the number of different
units before hw, for c; below order 0 it is uniform, so that no unit is impossible. After an h that
does not occur, P_k is Q_(k-1). With fewer than k units before, the model of that shorter order
predicts. D = n1 / (n1 + 2 n2), n1 and n2 being the numbers of grams counted once and twice; 1/2 if
none is counted once, since nothing would be left for unseen units. N-grams are scored on the
windows that the models are scored on, and see no unit before a window.

The compressor does not predict windows: its figure is by how much the validation part makes the
compressed training part longer, per unit. All figures are cached, for all runs of a sweep.

Source: Kneser & Ney 1995; Chen & Goodman 1999, section 4.1.6 (interpolated, one discount per
    order).
"""

import hashlib
import json
import logging
import lzma
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqtune.storage.files import cache_folder, write_atomically
from seqtune.tasks.base import Strings
from seqtune.tasks.text.corpus import Corpus

logger = logging.getLogger(__name__)

Integers = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.float64]

VERSION = 1
"""Raise this when the same strings would get other references."""

ORDERS = 6
"""N-grams have the orders 0 to 5: they predict from that many units."""

NGRAM_UNITS = 10_000_000
"""N-grams are counted in at most this many units, the last ones of the training part."""

LZMA_BYTES = 8 << 20
"""At most this many bytes of each part are compressed: those next to the division."""

LZMA_PRESET = 9 | lzma.PRESET_EXTREME
"""As `xz -9e`, whose dictionary of 64 MiB holds all that is compressed."""

NAMES = (*(f"order-{order} Kneser-Ney" for order in range(ORDERS)), "lzma")


def references(corpus: Corpus, strings: Strings) -> dict[str, float]:
    """Return losses in nats per scored token, by the names in `NAMES`."""
    digest = hashlib.sha256(strings.tokens.astype(np.int64).tobytes())
    digest.update(strings.offsets.tobytes())
    settings = [VERSION, ORDERS, NGRAM_UNITS, LZMA_BYTES, LZMA_PRESET]
    digest.update(json.dumps(settings).encode())
    path = cache_folder() / f"{corpus.name}-references-{digest.hexdigest()[:24]}.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if tuple(found) == NAMES and all(map(math.isfinite, found.values())):
            return found
    except (OSError, ValueError, TypeError, AttributeError):
        pass  # not cached yet, or damaged
    found = dict(zip(NAMES, [*ngram_losses(corpus, strings), lzma_loss(corpus)], strict=True))
    try:
        with write_atomically(path) as file:
            file.write(json.dumps(found).encode())
    except OSError as error:
        logger.warning("%s cannot be written (%s)", path.parent, error.strerror)
    return found


def ngram_losses(corpus: Corpus, strings: Strings) -> Iterator[float]:
    """Yield the losses of Kneser-Ney models of order 0, 1, .. on all units but the strings' first."""
    rows = strings.padded(fill=0)
    steps = np.arange(rows.shape[1])
    scored = (steps >= 1) & (steps < strings.lengths[:, None])
    for given in kneser_ney(
        corpus.train[-NGRAM_UNITS:], rows, vocabulary=corpus.vocabulary.size, orders=ORDERS
    ):
        yield float(-np.log(given[scored]).mean())


def lzma_loss(corpus: Corpus) -> float:
    """Return nats per unit that the compressor adds for the validation part."""
    division, end = corpus.parts.train_bytes, corpus.measures.size
    train = corpus.text.read(start=max(0, division - LZMA_BYTES), stop=division)
    valid = corpus.text.read(start=division, stop=min(end, division + LZMA_BYTES))
    added = _compressed_bytes(train + valid) - _compressed_bytes(train)
    nats_per_byte = added * 8 * math.log(2) / len(valid)
    return nats_per_byte * (end - division) / corpus.parts.valid


def _compressed_bytes(data: bytes) -> int:
    return len(lzma.compress(data, preset=LZMA_PRESET))


def kneser_ney(
    train: Integers, rows: Integers, *, vocabulary: int, orders: int
) -> Iterator[Floats]:
    """Yield what Kneser-Ney models of order 0, 1, .. predict for every unit of `rows`.

    Args:
        train: the text that is counted.
        rows: what is predicted, [B, T]; units before a row are not used.
        vocabulary: number of different units.
        orders: number of models; the last one's order is one less.

    Yields:
        The probability of each unit given those before it in its row, float64 [B, T].
    """
    units = rows.astype(np.int64)
    below = np.full(units.shape, 1.0 / vocabulary)
    contexts = np.zeros(units.shape, dtype=np.int64)
    grams = _Grams.empty(train).longer(train, vocabulary=vocabulary)
    shorter = below
    for order in range(orders):
        found = grams.find(contexts, units, vocabulary=vocabulary)
        own = _Counts.of(np.bincount(grams.positions), grams=grams)
        predicted = own.interpolate(found, contexts, below=below)
        predicted[:, :order] = shorter[:, :order]
        yield predicted
        if order + 1 == orders:
            return
        longer = grams.longer(train, vocabulary=vocabulary)
        continued = _Counts.of(longer.count_before(grams), grams=grams)
        below = continued.interpolate(found, contexts, below=below)
        contexts = np.full_like(found, -1)
        contexts[:, 1:] = found[:, :-1]
        grams, shorter = longer, predicted


@dataclass(frozen=True, eq=False)
class _Grams:
    """The different grams of one length in a text, numbered in the order of their keys.

    Attributes:
        keys: ascending, for each gram: number of its context times the vocabulary, plus its last
        unit.
        contexts: for each gram, the number of its context among the grams one unit shorter.
        shorter: number of grams one unit shorter.
        positions: the number of the gram that begins at each position of the text.
    """

    keys: Integers
    contexts: Integers
    shorter: int
    positions: Integers

    @classmethod
    def empty(cls, train: Integers) -> "_Grams":
        """Return the empty gram, which occurs everywhere."""
        one = np.zeros(1, dtype=np.int64)
        return cls(one, contexts=one, shorter=1, positions=np.zeros(len(train) + 1, dtype=np.int32))

    def longer(self, train: Integers, *, vocabulary: int) -> "_Grams":
        """Return the grams one unit longer."""
        last = train[len(train) + 1 - len(self.positions) :]
        keys = self.positions[:-1].astype(np.int64) * vocabulary + last
        keys, positions = np.unique(keys, return_inverse=True)
        return _Grams(
            keys,
            contexts=keys // vocabulary,
            shorter=len(self.keys),
            positions=positions.astype(np.int32),
        )

    def count_before(self, shorter: "_Grams") -> Integers:
        """Return the number of different units before each of the grams one unit shorter."""
        endings = np.empty(len(self.keys), dtype=np.int32)
        endings[self.positions] = shorter.positions[1:]
        return np.bincount(endings, minlength=len(shorter.keys))

    def find(self, contexts: Integers, units: Integers, *, vocabulary: int) -> Integers:
        """Return the numbers of the grams that end in `units`; -1 for those that do not occur."""
        if len(self.keys) == 0:
            return np.full(units.shape, -1, dtype=np.int64)
        keys = contexts * vocabulary + units
        found = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where((contexts >= 0) & (self.keys[found] == keys), found, -1)


@dataclass(frozen=True, eq=False)
class _Counts:
    """How often grams occur. Every array ends in a 0 at index -1, for grams that do not occur.

    Attributes:
        grams: count of each gram.
        totals: for each context, the sum of the counts of its grams.
        kinds: for each context, the number of its grams with a count above 0.
        discount: subtracted from every count.
    """

    grams: Floats
    totals: Floats
    kinds: Floats
    discount: float

    @classmethod
    def of(cls, counts: Integers, *, grams: _Grams) -> "_Counts":
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())

        def with_zero(sums: Any) -> Floats:
            return np.append(sums, 0.0)

        return cls(
            grams=with_zero(counts),
            totals=with_zero(np.bincount(grams.contexts, weights=counts, minlength=grams.shorter)),
            kinds=with_zero(np.bincount(grams.contexts[counts > 0], minlength=grams.shorter)),
            discount=once / (once + 2 * twice) if once else 0.5,
        )

    def interpolate(self, grams: Integers, contexts: Integers, *, below: Floats) -> Floats:
        """Return P(last unit | context) of grams, given the probabilities one order below."""
        totals = self.totals[contexts]
        counted = np.maximum(self.grams[grams] - self.discount, 0.0)
        spread = self.discount * self.kinds[contexts] * below
        return np.where(totals > 0, (counted + spread) / np.maximum(totals, 1.0), below)
