"""Random strings of a grammar, all at once and level by level.

Strings grow together from a row of roots: each pass replaces every symbol of one height, from the
root's down to 1, by a right-hand side. A pass draws one random number a symbol in one call and
rewrites the row in one compiled loop, in which no branch depends on the rule drawn: that, and rows
short enough for a core's cache, is what makes it fast. Many strings are grown row by row, each from
a generator of its own, so that several threads give the same strings as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from seqtune.tasks.cfg.threads import mapped
from seqtune.tasks.cfg.trees import Growth, Trees

if TYPE_CHECKING:
    from seqtune.tasks.cfg.grammar import Grammar

CHUNK_TOKENS = 1 << 18
"""Tokens that grow together, on average. Part of what a seed means: changing it changes strings."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Row:
    """Partly grown strings: symbol ids, string after string, and int64 offsets [strings + 1].

    Symbols of `height` are replaced next, by rules that the numbers `uniform` pick; none is higher.
    """

    height: int
    symbols: np.ndarray
    offsets: np.ndarray
    uniform: np.ndarray


class Sampler:
    """Draws strings of one grammar."""

    def __init__(self, grammar: Grammar):
        table = grammar.table
        lengths = np.diff(table.rhs_begin)
        filled = np.arange(lengths.max()) < lengths[:, None]
        small = len(table.symbols) <= np.iinfo(np.int8).max
        padded = np.zeros(filled.shape, np.int8 if small else np.int32)
        padded[filled] = table.rhs
        self._table = table
        self._lengths = lengths
        by_symbol = np.split(table.probability, table.rule_begin[1:-1])
        # Where rules are equally likely, a multiplication picks one; 0 stands for where they are not.
        even = [len(own) if len(set(own.tolist())) == 1 else 0 for own in by_symbol]
        self._thresholds = np.concatenate([_thresholds(own) for own in by_symbol])
        self._rules = (table.rule_begin[:-1], np.array(even), self._thresholds, lengths, padded)
        self._symbol_type = padded.dtype
        self._chunk = max(1, round(CHUNK_TOKENS / grammar.lengths.mean))

    def sample(
        self, n: int, *, generator: np.random.Generator, threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and offsets of `n` strings, as `Grammar.sample_flat` describes them."""
        if n < 0:
            raise ValueError(f"n >= 0 must hold, but got n={n}")
        if n <= self._chunk:
            row = self._grown(n, generator=generator)
            return row.symbols, row.offsets
        sizes = [min(self._chunk, n - begun) for begun in range(0, n, self._chunk)]
        jobs = zip(sizes, generator.spawn(len(sizes)), strict=True)
        rows = mapped(lambda job: self._grown(job[0], generator=job[1]), jobs, threads=threads)
        lengths = np.concatenate([np.diff(row.offsets) for row in rows])
        return np.concatenate([row.symbols for row in rows]), np.cumsum(np.insert(lengths, 0, 0))

    def sample_trees(self, n: int, *, generator: np.random.Generator) -> Trees:
        """`n` strings with the derivations that they were drawn by."""
        *rows, last = self._grow(n, generator=generator)
        growth = Growth(n)
        log_rules = np.log(self._table.probability)
        log_probability = np.zeros(n)
        for row in rows:
            replaced = self._table.heights[row.symbols] == row.height
            rules = self._chosen(row.symbols[replaced], row.uniform)
            lengths = np.ones(len(row.symbols), dtype=np.int64)
            lengths[replaced] = self._lengths[rules]
            growth.replace(row.symbols, replaced=replaced, lengths=lengths)
            gains = np.zeros(len(row.symbols))
            gains[replaced] = log_rules[rules]
            log_probability += np.add.reduceat(gains, row.offsets[:-1])
        return Trees(
            tokens=last.symbols,
            offsets=last.offsets,
            ancestors=growth.ancestors,
            boundary=growth.boundary,
            log_probability=log_probability,
            symbols=self._table.symbols,
        )

    def _grow(self, n: int, *, generator: np.random.Generator) -> Iterator[_Row]:
        """The rows between `n` roots and `n` strings, both included."""
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

    def _grown(self, n: int, *, generator: np.random.Generator) -> _Row:
        *_, row = self._grow(n, generator=generator)
        return row

    def _chosen(self, symbols: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """The rules by which the compiled loop replaces symbols."""
        begin, counts, *_ = self._rules
        rules = begin[symbols] + (uniform * counts[symbols]).astype(np.int64)
        for symbol in np.unique(symbols[counts[symbols] == 0]).tolist():
            own = symbols == symbol
            last = self._table.rule_begin[symbol + 1]
            thresholds = self._thresholds[begin[symbol] : last]
            rules[own] = begin[symbol] + np.searchsorted(thresholds, uniform[own], side="right")
        return rules


def _thresholds(probability: np.ndarray) -> np.ndarray:
    """A symbol's rule is the first whose threshold is above a number drawn from [0, 1)."""
    sums = np.cumsum(probability)
    sums[-1:] = np.inf  # whatever rounding makes of 1
    return sums


@njit(cache=True, nogil=True)
def _count(symbols, is_next):
    """Number of symbols to be replaced."""
    count = 0
    for symbol in symbols:
        count += is_next[symbol]
    return count


@njit(cache=True, nogil=True)
def _rewrite(symbols, offsets, uniform, is_next, rules):
    """Symbols and offsets of the next row; `uniform` in [0, 1) picks the rule of each replacement."""
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
            # Always the full width, and what is too much overwritten: the length is no branch.
            for i in range(width):
                out[size + i] = padded[rule, i]
            size += lengths[rule]
        out_offsets[string + 1] = size
    return out[:size], out_offsets
