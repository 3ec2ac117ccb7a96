"""Draws strings of a grammar without recursion, all at once and level by level.

All strings are derived together, from a row of roots: each pass replaces every symbol of one
height, from the root's down to 1, by a right-hand side. A pass draws one random number per symbol
in one call and rewrites the row in one compiled loop without a branch on the rule drawn; that, and
rows short enough for a core's cache, makes it fast. Each row has a generator of its own, so that
several threads give the same strings as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit

from seqtune.tasks.cfg.parallel import Sampler
from seqtune.tasks.cfg.rules import RuleTable
from seqtune.tasks.cfg.trees import Trees

CHUNK_TOKENS = 1 << 18
"""Mean tokens of a row. Part of what a seed means: another value gives other strings."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Row:
    """Partly derived strings: symbol ids, string after string, and int64 offsets [strings + 1].

    Symbols of `height`, the largest present, are replaced next, by rules that the numbers `uniform`
    pick.
    """

    height: int
    symbols: np.ndarray
    offsets: np.ndarray
    uniform: np.ndarray


class LevelSampler(Sampler):
    """Draws strings of one grammar.

    Args:
        table: the grammar's rules.
        mean_length: mean tokens of a string.
    """

    def __init__(self, table: RuleTable, *, mean_length: float) -> None:
        lengths = np.diff(table.rhs_begin)
        filled = np.arange(lengths.max()) < lengths[:, None]
        small = len(table.symbols) <= np.iinfo(np.int8).max
        padded = np.zeros(filled.shape, np.int8 if small else np.int32)
        padded[filled] = table.rhs
        self._table = table
        self._lengths = lengths
        by_symbol = np.split(table.probability, table.rule_begin[1:-1])
        # If rules are equally likely, a multiplication picks one; 0 stands for those that are not.
        even = [len(own) if len(set(own.tolist())) == 1 else 0 for own in by_symbol]
        self._thresholds = np.concatenate([_thresholds(own) for own in by_symbol])
        self._rules = (table.rule_begin[:-1], np.array(even), self._thresholds, lengths, padded)
        self._symbol_type = padded.dtype
        self.chunk_strings = max(1, round(CHUNK_TOKENS / mean_length))

    def sample_trees(self, n: int, *, generator: np.random.Generator) -> Trees:
        """Draw `n` strings with their derivations."""
        *rows, last = self._rows(n, generator=generator)
        labels = _TreeLabels(n)
        log_rules = np.log(self._table.probability)
        log_probability = np.zeros(n)
        for row in rows:
            replaced = self._table.heights[row.symbols] == row.height
            rules = self._choose(row.symbols[replaced], row.uniform)
            lengths = np.ones(len(row.symbols), dtype=np.int64)
            lengths[replaced] = self._lengths[rules]
            labels.replace(row.symbols, replaced=replaced, lengths=lengths)
            gains = np.zeros(len(row.symbols))
            gains[replaced] = log_rules[rules]
            log_probability += np.add.reduceat(gains, row.offsets[:-1])
        return Trees(
            tokens=last.symbols,
            offsets=last.offsets,
            ancestors=labels.ancestors,
            boundary=labels.boundary,
            log_probability=log_probability,
            symbols=self._table.symbols,
        )

    def _rows(self, n: int, *, generator: np.random.Generator) -> Iterator[_Row]:
        """Yield the rows from `n` roots to `n` strings, both included."""
        heights = self._table.heights
        root = len(heights) - 1
        height = int(heights[root])
        symbols = np.full(n, root, self._symbol_type)
        offsets = np.arange(n + 1)
        while True:
            is_next = heights == height if height else np.zeros(len(heights), dtype=bool)
            uniform = generator.random(_count(symbols, is_next))
            yield _Row(height=height, symbols=symbols, offsets=offsets, uniform=uniform)
            if height == 0:
                return
            symbols, offsets = _rewrite(symbols, offsets, uniform, is_next, self._rules)
            height -= 1

    def _draw(self, n: int, *, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        *_, row = self._rows(n, generator=generator)
        return row.symbols, row.offsets

    def _choose(self, symbols: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """Return the rules by which the compiled loop replaces symbols."""
        begin, counts, *_ = self._rules
        rules = begin[symbols] + (uniform * counts[symbols]).astype(np.int64)
        for symbol in np.unique(symbols[counts[symbols] == 0]).tolist():
            own = symbols == symbol
            last = self._table.rule_begin[symbol + 1]
            thresholds = self._thresholds[begin[symbol] : last]
            rules[own] = begin[symbol] + np.searchsorted(thresholds, uniform[own], side="right")
        return rules


class _TreeLabels:
    """The labels of rows of symbols, as each pass of the sampler lengthens them."""

    def __init__(self, count: int) -> None:
        self._depth = np.zeros(count, dtype=np.int64)
        self._ancestors: list[np.ndarray] = []
        self._boundary: list[np.ndarray] = []

    def replace(self, symbols: np.ndarray, *, replaced: np.ndarray, lengths: np.ndarray) -> None:
        """Replace symbols by their children.

        Args:
            symbols: ids of a row [symbols].
            replaced: bool, which of them are replaced.
            lengths: int64, by how many symbols each; 1 for one that stays.
        """
        if replaced.any() and self._depth[replaced].max() == len(self._ancestors):
            self._ancestors.append(np.zeros(len(symbols), dtype=np.int32))
            self._boundary.append(np.zeros(len(symbols), dtype=bool))
        for depth, (ancestors, boundary) in enumerate(
            zip(self._ancestors, self._boundary, strict=True)
        ):
            own = replaced & (self._depth == depth)
            ancestors[own] = symbols[own]
            boundary[own] = True
        is_last = np.zeros(lengths.sum(), dtype=bool)
        is_last[np.cumsum(lengths) - 1] = True
        self._depth = np.repeat(self._depth + replaced, lengths)
        self._ancestors = [np.repeat(each, lengths) for each in self._ancestors]
        self._boundary = [np.repeat(each, lengths) & is_last for each in self._boundary]

    @property
    def ancestors(self) -> np.ndarray:
        """int32 [depths, symbols], as in `Trees`."""
        return np.stack(self._ancestors)

    @property
    def boundary(self) -> np.ndarray:
        """Bool [depths, symbols], as in `Trees`."""
        return np.stack(self._boundary)


def _thresholds(probability: np.ndarray) -> np.ndarray:
    """Return thresholds: the first above a number drawn from [0, 1) picks a symbol's rule."""
    sums = np.cumsum(probability)
    sums[-1:] = np.inf  # since rounding may end below 1
    return sums


@njit(cache=True, nogil=True)
def _count(symbols, is_next):
    """Return the number of symbols to be replaced."""
    count = 0
    for symbol in symbols:
        count += is_next[symbol]
    return count


@njit(cache=True, nogil=True)
def _rewrite(symbols, offsets, uniform, is_next, rules):
    """Return symbols and offsets of the next row; `uniform` in [0, 1) picks each rule."""
    rule_begin, even_counts, thresholds, lengths, padded = rules
    width = padded.shape[1]
    out = np.empty(len(symbols) + (width - 1) * len(uniform) + width, symbols.dtype)
    out_offsets = np.empty_like(offsets)
    out_offsets[0] = 0
    size = 0
    drawn = 0
    for string in range(len(offsets) - 1):
        for place in range(offsets[string], offsets[string + 1]):
            symbol = symbols[place]
            if not is_next[symbol]:
                out[size] = symbol
                size += 1
                continue
            # The product never rounds up to the count itself, even for the largest float below 1.
            rule = rule_begin[symbol] + np.int64(uniform[drawn] * even_counts[symbol])
            if even_counts[symbol] == 0:
                while uniform[drawn] >= thresholds[rule]:
                    rule += 1
            drawn += 1
            # Always the full width, the surplus overwritten later: no branch on the length.
            for i in range(width):
                out[size + i] = padded[rule, i]
            size += lengths[rule]
        out_offsets[string + 1] = size
    return out[:size], out_offsets
