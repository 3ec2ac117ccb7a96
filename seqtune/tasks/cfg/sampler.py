"""Random strings of a grammar, all at once and level by level.

Strings grow together from a row of roots: each pass replaces every symbol of one height, from the
root's down to 1, by a right-hand side. A pass draws one random number a symbol in one call and
rewrites the row in one compiled loop, in which no branch depends on the rule drawn: that, and rows
short enough for a core's cache, is what makes it fast.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from seqtune.tasks.cfg.grammar import Grammar

CHUNK_TOKENS = 1 << 18
"""Tokens that grow together, on average. Part of what a seed means: changing it changes strings."""


@dataclass(frozen=True, kw_only=True)
class _Row:
    """Partly grown strings: symbol ids, string after string, and int64 offsets [strings + 1].

    Symbols of `height` are replaced next; none is higher.
    """

    height: int
    symbols: np.ndarray
    offsets: np.ndarray


class Sampler:
    """Draws strings of one grammar."""

    def __init__(self, grammar: Grammar):
        table = grammar.table
        lengths = np.diff(table.rhs_begin)
        filled = np.arange(lengths.max()) < lengths[:, None]
        small = len(table.symbols) <= np.iinfo(np.int8).max
        padded = np.zeros(filled.shape, np.int8 if small else np.int32)
        padded[filled] = table.rhs
        self._heights = table.heights
        self._counts = np.diff(table.rule_begin)
        self._rules = (table.rule_begin[:-1], self._counts, lengths, padded)
        self._symbol_type = padded.dtype
        self._chunk = max(1, round(CHUNK_TOKENS / grammar.lengths.mean))

    def sample(self, n: int, *, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and offsets of `n` strings, as `Grammar.sample_flat` describes them."""
        if n < 0:
            raise ValueError(f"n >= 0 must hold, but got n={n}")
        sizes = [min(self._chunk, n - begun) for begun in range(0, n, self._chunk)] or [0]
        rows = [self._grown(size, generator=generator) for size in sizes]
        if len(rows) == 1:
            return rows[0].symbols, rows[0].offsets
        lengths = np.concatenate([np.diff(row.offsets) for row in rows])
        return np.concatenate([row.symbols for row in rows]), np.cumsum(np.insert(lengths, 0, 0))

    def _grow(self, n: int, *, generator: np.random.Generator) -> Iterator[_Row]:
        """The rows between `n` roots and `n` strings, both included."""
        root = len(self._heights) - 1
        height = int(self._heights[root])
        symbols = np.full(n, root, self._symbol_type)
        offsets = np.arange(n + 1)
        while True:
            yield _Row(height=height, symbols=symbols, offsets=offsets)
            if height == 0:
                return
            is_next = self._heights == height
            uniform = generator.random(_count(symbols, is_next))
            symbols, offsets = _rewrite(symbols, offsets, uniform, is_next, self._rules)
            height -= 1

    def sample_derivations(
        self, n: int, *, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens and offsets, and log probability in nats of the derivation of each string."""
        rows = list(self._grow(n, generator=generator))
        log_choices = np.log(np.maximum(self._counts, 1))
        log_probability = np.zeros(n)
        for row in rows:
            is_next = self._heights[row.symbols] == row.height
            choices = np.where(is_next, log_choices[row.symbols], 0.0)
            log_probability -= np.add.reduceat(choices, row.offsets[:-1])
        return rows[-1].symbols, rows[-1].offsets, log_probability

    def _grown(self, n: int, *, generator: np.random.Generator) -> _Row:
        *_, row = self._grow(n, generator=generator)
        return row


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
    rule_begin, rule_counts, lengths, padded = rules
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
            rule = rule_begin[symbol] + np.int64(uniform[drawn] * rule_counts[symbol])
            drawn += 1
            # Always the full width, and what is too much overwritten: the length is no branch.
            for i in range(width):
                out[size + i] = padded[rule, i]
            size += lengths[rule]
        out_offsets[string + 1] = size
    return out[:size], out_offsets
