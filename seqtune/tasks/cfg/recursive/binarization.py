"""Binarization: the rules of a recursive grammar with at most two symbols, as arrays.

All dynamic programs of recursive grammars read these. A rule A -> B C D becomes A -> B X and X -> C
D, where X stands for the rest of a right-hand side; rules that end alike share it. So each rule
either splits the tokens below a symbol in two, or passes them on whole: a unit rule, A -> B or A ->
b. Chains of unit rules may be endless, and are summed at once, as a matrix inverse. Rules too long
for the cap are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seqtune.tasks.cfg.rules import Rules, natural, reachable

RULE = np.dtype([("parent", "i8"), ("left", "i8"), ("right", "i8"), ("probability", "f8")])
"""parent -> left right; right is 0 in a unit rule."""

ENTRY = np.dtype([("symbol", "i8"), ("weight", "f8")])
"""An element of a sparse row of a matrix over symbols."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BinaryRules:
    """Rules with at most two symbols.

    Symbol ids: 0 is none; 1 to `terminals` are the terminals, by their token ids; then come the
    nonterminals in natural order, then the rests of right-hand sides.

    Attributes:
        symbols: name of every id up to the last nonterminal's; id 0 is the empty text.
        terminals: number of terminals.
        size: number of ids, those of rests included.
        root: id of the root.
        rules: RULE [rules]; those that some string within the cap needs.
    """

    symbols: tuple[str, ...]
    terminals: int
    size: int
    root: int
    rules: np.ndarray

    @property
    def pairs(self) -> np.ndarray:
        """The rules with two symbols, RULE."""
        return self.rules[self.rules["right"] > 0]

    @property
    def units(self) -> np.ndarray:
        """The rules with one symbol, RULE."""
        return self.rules[self.rules["right"] == 0]

    @cached_property
    def chains(self) -> np.ndarray:
        """Whether a chain of 0 or more unit rules leads from row to column, bool [size, size]."""
        return _reflexive_transitive(self._matrix(self.units, "left") > 0)

    @cached_property
    def closure(self) -> np.ndarray:
        """Probability of all chains of unit rules from row to column, float64 [size, size].

        Those of no rules, one, two and so on sum to (1 - u)^-1, which exists since every symbol
        derives some string: no set of symbols has only unit rules within itself.
        """
        inverse = np.linalg.inv(np.eye(self.size) - self._matrix(self.units, "left"))
        # Impossible chains must be exactly 0: rounding errors would become spans.
        return np.where(self.chains, inverse, 0.0)

    @property
    def proper_closure(self) -> np.ndarray:
        """The same without the chains of no rules, float64 [size, size]."""
        return self._matrix(self.units, "left") @ self.closure

    @cached_property
    def corners(self) -> np.ndarray:
        """Whether the row's symbol is the column's or may begin with it, bool [size, size]."""
        return _reflexive_transitive(self._matrix(self.rules, "left") > 0)

    def _matrix(self, rules: np.ndarray, child: str) -> np.ndarray:
        """Return probabilities of rules by parent and child, float64 [size, size]."""
        matrix = np.zeros((self.size, self.size))
        np.add.at(matrix, (rules["parent"], rules[child]), rules["probability"])
        return matrix


def binarize(
    *,
    root: str,
    rules: Rules,
    probabilities: Mapping[str, Sequence[float]],
    terminals: Sequence[str],
    max_length: int,
) -> BinaryRules:
    """Return the binarized rules that strings of at most `max_length` tokens need."""
    inner = sorted(reachable(root, rules) & set(rules), key=natural)
    symbols = ("", *terminals, *inner)
    ids = {symbol: number for number, symbol in enumerate(symbols)}
    most = _most_tokens(root, rules, max_length=max_length)
    least = shortest(rules)
    binarizer = _Binarizer(first=len(symbols))
    for left in inner:
        for rhs, probability in zip(rules[left], probabilities[left], strict=True):
            if sum(least.get(symbol, 1) for symbol in rhs) <= most.get(left, 0):
                binarizer.add(ids[left], tuple(ids[symbol] for symbol in rhs), probability)
    return BinaryRules(
        symbols=symbols,
        terminals=len(terminals),
        size=len(symbols) + len(binarizer.rests),
        root=ids[root],
        rules=np.array(binarizer.rules, RULE),
    )


def shortest(rules: Rules) -> dict[str, float]:
    """Return the tokens of a shortest string of every nonterminal; infinity if it derives none."""
    least = dict.fromkeys(rules, math.inf)
    while True:
        new = {
            left: min((sum(least.get(s, 1) for s in rhs) for rhs in right), default=math.inf)
            for left, right in rules.items()
        }
        if new == least:
            return least
        least = new


def grouped(rules: np.ndarray, *, by: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rules sorted by one of their symbols, and int64 [size + 1] where each id's begin."""
    rules = rules[np.argsort(rules[by], kind="stable")]
    return rules, np.searchsorted(rules[by], np.arange(size + 1))


def sparse_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ENTRY of all elements but 0, row by row, and int64 [rows + 1] where each row begins."""
    rows, columns = np.nonzero(matrix)
    entries = np.empty(len(rows), ENTRY)
    entries["symbol"], entries["weight"] = columns, matrix[rows, columns]
    return entries, np.searchsorted(rows, np.arange(len(matrix) + 1))


class _Binarizer:
    """Collects binarized rules; `rests` are the ids of the rests of right-hand sides."""

    def __init__(self, *, first: int) -> None:
        self._first = first
        self.rests: dict[tuple[int, ...], int] = {}
        self.rules: list[tuple[int, int, int, float]] = []

    def add(self, parent: int, rhs: tuple[int, ...], probability: float) -> None:
        """Add parent -> rhs."""
        first, *others = rhs
        right = others[-1] if others else 0
        for begin in range(len(rhs) - 2, 0, -1):
            rest = rhs[begin:]
            if rest not in self.rests:
                self.rests[rest] = self._first + len(self.rests)
                self.rules.append((self.rests[rest], rhs[begin], right, 1.0))
            right = self.rests[rest]
        self.rules.append((parent, first, right, probability))


def _most_tokens(root: str, rules: Rules, *, max_length: int) -> dict[str, float]:
    """Return the most tokens that the cap leaves to each nonterminal that the root reaches."""
    least = shortest(rules)
    most: dict[str, float] = {root: max_length}
    waiting = [root]
    while waiting:
        left = waiting.pop()
        for rhs in rules[left]:
            spare = most[left] - sum(least.get(symbol, 1) for symbol in rhs)
            for symbol in set(rhs) & set(rules):
                if spare + least[symbol] > most.get(symbol, -math.inf):
                    most[symbol] = spare + least[symbol]
                    waiting.append(symbol)
    return most


def _reflexive_transitive(step: np.ndarray) -> np.ndarray:
    """Return whether any number of steps leads from row to column, bool [size, size]."""
    reached = step | np.eye(len(step), dtype=bool)
    while True:
        # In float32, whose matrix product is fast; sums of ones stay exact enough for > 0.
        further = (reached.astype(np.float32) @ reached.astype(np.float32)) > 0
        if (further == reached).all():
            return reached
        reached = further
