"""Interpolated Kneser-Ney n-grams: what counting can predict.

An order-k model predicts from the k units before, with one absolute discount D for each length of gram:

    P_k(w | h) = (max(c(hw) - D, 0) + D * N(h.) * Q_(k-1)(w | h')) / c(h.)

where c counts in the training text, N(h.) is how many different units follow h, and h' is h without its
first unit. Q is the same formula with continuation counts, the number of different units before hw, for c;
below the order 0 it is uniform, so that no unit is impossible. After an h that was never read, P_k is
Q_(k-1). Where fewer than k units stand before, the model of that shorter order predicts, as it would
be trained by itself. D = n1 / (n1 + 2 n2), n1 and n2 being the grams counted once and twice; where none is
counted once it is 1/2, since nothing would be left for units never seen.

Source: Kneser & Ney 1995; Chen & Goodman 1999, section 4.1.6 (interpolated, one discount each order).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.integer]
Integers = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.float64]


def probabilities(train: Tokens, rows: Tokens, *, vocabulary: int, orders: int) -> Iterator[Floats]:
    """What models of order 0, 1, .. give to every unit of `rows`, knowing those before it in its row.

    Args:
        train: the text that is counted.
        rows: what is predicted, [B, T].
        vocabulary: number of different units.
        orders: how many models; the last one's order is one less.

    Yields:
        The probabilities of each unit, float64 [B, T].
    """
    units = rows.astype(np.int64)
    below = np.full(units.shape, 1.0 / vocabulary)
    contexts = np.zeros(units.shape, dtype=np.int64)
    grams = _Grams.empty(train).longer(train, vocabulary=vocabulary)
    shorter = below
    for order in range(orders):
        found = grams.find(contexts, units, vocabulary=vocabulary)
        own = _Counts.of(np.bincount(grams.places), grams=grams)
        predicted = own.interpolated(found, contexts, below=below)
        predicted[:, :order] = shorter[:, :order]
        yield predicted
        if order + 1 == orders:
            return
        longer = grams.longer(train, vocabulary=vocabulary)
        continued = _Counts.of(longer.before_each(grams), grams=grams)
        below = continued.interpolated(found, contexts, below=below)
        contexts = np.full_like(found, -1)
        contexts[:, 1:] = found[:, :-1]
        grams, shorter = longer, predicted


@dataclass(frozen=True, eq=False)
class _Grams:
    """The different grams of one length in a text, numbered in the order of their keys.

    Attributes:
        keys: of each gram, ascending: the number of its context times the vocabulary, plus its last unit.
        contexts: of each gram, the number of its context among the grams one shorter.
        shorter: how many grams one shorter there are.
        places: the number of the gram that begins at each place of the text.
    """

    keys: Integers
    contexts: Integers
    shorter: int
    places: Integers

    @classmethod
    def empty(cls, train: Tokens) -> "_Grams":
        """The gram of no unit, which stands everywhere."""
        one = np.zeros(1, dtype=np.int64)
        return cls(one, contexts=one, shorter=1, places=np.zeros(len(train) + 1, dtype=np.int32))

    def longer(self, train: Tokens, *, vocabulary: int) -> "_Grams":
        """The grams one unit longer."""
        last = train[len(train) + 1 - len(self.places) :]
        keys = self.places[:-1].astype(np.int64) * vocabulary + last
        keys, places = np.unique(keys, return_inverse=True)
        return _Grams(
            keys,
            contexts=keys // vocabulary,
            shorter=len(self.keys),
            places=places.astype(np.int32),
        )

    def before_each(self, shorter: "_Grams") -> Integers:
        """How many different units stand before each of the grams one shorter."""
        endings = np.empty(len(self.keys), dtype=np.int32)
        endings[self.places] = shorter.places[1:]
        return np.bincount(endings, minlength=len(shorter.keys))

    def find(self, contexts: Integers, units: Integers, *, vocabulary: int) -> Integers:
        """The numbers of the grams that end in `units`; -1 for those that do not occur."""
        if len(self.keys) == 0:
            return np.full(units.shape, -1, dtype=np.int64)
        keys = contexts * vocabulary + units
        found = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where((contexts >= 0) & (self.keys[found] == keys), found, -1)


@dataclass(frozen=True, eq=False)
class _Counts:
    """How often grams occur. Every array ends in a 0, which index -1 stands for: what does not occur.

    Attributes:
        grams: of each gram.
        totals: of each context, the sum over the grams that it begins.
        kinds: of each context, how many grams that are counted it begins.
        discount: taken from every count.
    """

    grams: Floats
    totals: Floats
    kinds: Floats
    discount: float

    @classmethod
    def of(cls, counts: Integers, *, grams: _Grams) -> "_Counts":
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())

        def ended(sums: Any) -> Floats:
            return np.append(sums, 0.0)

        return cls(
            grams=ended(counts),
            totals=ended(np.bincount(grams.contexts, weights=counts, minlength=grams.shorter)),
            kinds=ended(np.bincount(grams.contexts[counts > 0], minlength=grams.shorter)),
            discount=once / (once + 2 * twice) if once else 0.5,
        )

    def interpolated(self, grams: Integers, contexts: Integers, *, below: Floats) -> Floats:
        """The probabilities of the grams' last units after their contexts, given those one order below."""
        totals = self.totals[contexts]
        kept = np.maximum(self.grams[grams] - self.discount, 0.0)
        spread = self.discount * self.kinds[contexts] * below
        return np.where(totals > 0, (kept + spread) / np.maximum(totals, 1.0), below)
