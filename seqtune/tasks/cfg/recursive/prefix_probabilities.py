"""Prefix probabilities of a recursive grammar: what may follow every prefix within the cap; the scorer.

F_A[k, r] is the probability that the first k tokens are generated, that an A starts after them, and
that what follows this A derives exactly r tokens. With binary rules (`binarization`), inside
probabilities I and L_C(m) the probability that C derives m tokens, F_root[0, 0] = 1, and

    an A -> B C of probability p adds   p F_A[k, r] L_C(m) to F_B[k, r + m]      B is next
                                        p F_A[j, r] I_B[j, k] to F_C[k, r]       B ends at k
    an A -> B of probability p adds     p F_A[k, r] to F_B[k, r]

so r never falls, and stays the same only in chains of unit rules, which are summed at once
(`BinaryRules.closure`). With k and r in ascending order everything is complete when it is needed,
even with left recursion. P(next is t | first k tokens) is proportional to the sum of F_t[k, r] over
r < longest - k, and that of the end to I_root[0, k].

Numbers at one boundary share a power of two: those 10^-300 times the largest of them may be lost.

Source: the prefix probabilities of Jelinek and Lafferty 1991, here by the length of what follows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from seqtune.tasks.cfg.parallel import Scorer
from seqtune.tasks.cfg.recursive.binarization import BinaryRules, grouped, sparse_rows
from seqtune.tasks.cfg.recursive.inside_probabilities import (
    STEP,
    InsideProbabilities,
    Spans,
)

BITS = 256
"""A number of `Spans` is value * 2^(-BITS exponent)."""

LOWEST = -2_000
"""An exponent so low that 2^LOWEST is 0."""


class _Tables(NamedTuple):
    """A grammar as the compiled functions read it.

    Attributes:
        terminals: Number of terminals.
        root: Id of the root.
        lengths: float64 [symbols, longest + 1]; L.
        up_to: float64 [symbols, longest + 1]; the sum of L over all lengths up to this one.
        least, most: int64 [symbols]; the lengths between which L > 0.
        by_left, by_parent: RULE; the rules with two symbols, sorted by one of them; those of a
            symbol begin at `left_begin` and `parent_begin`, int64 [symbols + 1].
        drops: ENTRY; the rows of `BinaryRules.proper_closure`.
    """

    terminals: int
    root: int
    lengths: np.ndarray
    up_to: np.ndarray
    least: np.ndarray
    most: np.ndarray
    by_left: np.ndarray
    left_begin: np.ndarray
    by_parent: np.ndarray
    parent_begin: np.ndarray
    drops: np.ndarray
    drop_begin: np.ndarray


class _Work(NamedTuple):
    """Memory for one string, reused for the next.

    Attributes:
        after: float64; F_A[k, r] from r = 0 to longest - k - 1, in units of 2^scale[k].
        up_to: float64, like `after`; the sum of F_A[k] over all r up to this one.
        position: int64 [longest + 1, symbols]; where in `after` that is, -1 if A cannot start at k.
        scale: int64 [longest + 1].
        own: int64 [symbols]; the nonterminals that can start at the boundary at hand.
        direct: float64 [symbols]; their F without chains of unit rules, for the r at hand.
    """

    after: np.ndarray
    up_to: np.ndarray
    position: np.ndarray
    scale: np.ndarray
    own: np.ndarray
    direct: np.ndarray


class _Chart(NamedTuple):
    """All that the compiled functions share; they fill `out`, float64 [rows, terminals + 1]."""

    tables: _Tables
    spans: Spans
    work: _Work
    out: np.ndarray


class _Boundary(NamedTuple):
    """Boundary k of a string, in `row` of spans and out.

    The cap allows `width` more tokens after it; `starts` nonterminals can start there.
    """

    k: int
    row: int
    width: int
    starts: int


class PrefixProbabilities:
    """Next-token distributions of one grammar.

    Args:
        rules: the grammar's rules.
        lengths: float64 [symbols, longest + 1]; probability by length of every symbol.
    """

    def __init__(self, rules: BinaryRules, *, lengths: np.ndarray) -> None:
        positive = lengths > 0
        self._tables = _Tables(
            rules.terminals,
            rules.root,
            lengths,
            np.cumsum(lengths, axis=1),
            positive.argmax(axis=1),
            lengths.shape[1] - 1 - positive[:, ::-1].argmax(axis=1),
            *grouped(rules.pairs, by="left", size=rules.size),
            *grouped(rules.pairs, by="parent", size=rules.size),
            *sparse_rows(rules.proper_closure),
        )

    def rows(self, spans: Spans, offsets: np.ndarray) -> np.ndarray:
        """Return float64 [rows, terminals + 1]; see `Language.next_token_batch`.

        Args:
            spans: the inside probabilities of some strings.
            offsets: int64 [n + 1]; the offsets of these strings.
        """
        out = np.zeros((len(spans.predicted), self._tables.terminals + 1))
        longest = self._tables.lengths.shape[1] - 1
        boundaries = 1 + min(int(np.diff(offsets).max(initial=0)), longest)
        size = 8 * boundaries * (longest + 1)
        done = 0
        while done < len(offsets) - 1:
            work = self._work(boundaries, size)
            # As plain tuples: a numba cache that names classes cannot be read once these are renamed.
            batch = (offsets, out)
            done = _expect(batch, done, tuple(self._tables), tuple(spans), tuple(work))
            size *= 2
        return out

    def _work(self, boundaries: int, size: int) -> _Work:
        symbols = len(self._tables.lengths)
        return _Work(
            after=np.empty(size),
            up_to=np.empty(size),
            position=np.empty((boundaries, symbols), np.int64),
            scale=np.empty(boundaries, np.int64),
            own=np.empty(symbols, np.int64),
            direct=np.empty(symbols),
        )


class RecursiveScorer(Scorer):
    """Scores strings of one grammar.

    Args:
        rules: the grammar's rules.
        lengths: float64 [symbols, longest + 1]; probability by length of every symbol.
        kept: probability of the strings within the cap.
    """

    # Few, since an ambiguous string of n tokens has n^2 / 2 spans.
    slice_tokens = 1 << 12

    def __init__(self, rules: BinaryRules, *, lengths: np.ndarray, kept: float) -> None:
        self.terminals = rules.terminals
        self._log_kept = math.log(kept)
        self._inside = InsideProbabilities(rules, longest=lengths.shape[1] - 1)
        self._prefix = PrefixProbabilities(rules, lengths=lengths)

    def _nats(self, tokens: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        ends = offsets[1:] + np.arange(len(offsets) - 1)
        whole = self._inside.find(tokens, offsets).whole[ends]
        with np.errstate(divide="ignore"):
            nats = np.log(whole["value"]) - whole["exponent"] * math.log(STEP)
        return nats - self._log_kept

    def _rows(self, tokens: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        return self._prefix.rows(self._inside.find(tokens, offsets), offsets)


# All memory is allocated outside, so numba need not count references (`_nrt=False`): counting took as
# long as the computation itself.
_compiled = njit(error_model="numpy", _nrt=False)  # pyright: ignore[reportCallIssue]
_entry = njit(  # pyright: ignore[reportCallIssue]
    cache=True, nogil=True, error_model="numpy", _nrt=False
)


@_entry
def _expect(batch, first, tables, spans, work):
    """Write rows of strings from number `first` on; return the first without memory, or n."""
    offsets, out = batch
    chart = _Chart(_Tables(*tables), Spans(*spans), _Work(*work), out)
    for i in range(first, len(offsets) - 1):
        if not _expect_in(chart, offsets[i] + i, offsets[i + 1] - offsets[i]):
            return i
    return len(offsets) - 1


@_compiled
def _expect_in(chart, row, length):
    """Write the rows of one string, from `row` on; return False if memory is too small."""
    symbols, boundaries = chart.tables.lengths.shape
    size = 0
    for k in range(min(length, boundaries - 1) + 1):
        width = boundaries - 1 - k
        if size + symbols * width > len(chart.work.after):
            return False
        count = _prepare(chart, row, k, size)
        size += count * width
        at = _Boundary(k, row + k, width, count)
        if width > 0:
            _arrive(chart, at)
            _descend(chart, at)
            _sum_up(chart, at)
        _normalise(chart.out[at.row], chart.spans.whole[at.row], chart.work.scale[k])
    chart.out[row + boundaries : row + length + 1] = np.nan
    return True


@_compiled
def _prepare(chart, row, k, size):
    """Clear the numbers of a boundary; return how many nonterminals can start there."""
    tables, spans, work, out = chart
    width = tables.lengths.shape[1] - 1 - k
    out[row + k] = 0.0
    work.scale[k] = 0
    work.position[k] = -1
    count = 0
    for symbol in range(tables.terminals + 1, len(tables.lengths)):
        if spans.predicted[row + k, symbol]:
            work.own[count] = symbol
            work.position[k, symbol] = size + count * width
            count += 1
    work.after[size : size + count * width] = 0.0
    return count


@_compiled
def _arrive(chart, at):
    """Add to F the terms of rules whose first symbol ends at a boundary."""
    tables, spans, work, out = chart
    if at.k == 0:
        work.after[work.position[0, tables.root]] = 1.0
        return
    work.scale[at.k] = _scale(chart, at)
    for s in range(spans.begin[at.row], spans.begin[at.row + 1]):
        span = spans.spans[s]
        exponent = work.scale[span.start] - BITS * span.exponent - work.scale[at.k]
        for r in range(tables.left_begin[span.symbol], tables.left_begin[span.symbol + 1]):
            rule = tables.by_left[r]
            source = work.position[span.start, rule.parent]
            if source >= 0:
                factor = math.ldexp(rule.probability * span.value, max(exponent, LOWEST))
                if rule.right <= tables.terminals:
                    out[at.row, rule.right - 1] += factor * work.up_to[source + at.width - 1]
                else:
                    begin = work.position[at.k, rule.right]
                    target = work.after[begin : begin + at.width]
                    _add(target, work.after[source : source + at.width], factor)


@_compiled
def _scale(chart, at):
    """Return the binary exponent of the most that `_arrive` adds for one span; 0 if nothing."""
    tables, spans, work, _ = chart
    scale = np.int64(0)
    is_any = False
    for s in range(spans.begin[at.row], spans.begin[at.row + 1]):
        span = spans.spans[s]
        for r in range(tables.left_begin[span.symbol], tables.left_begin[span.symbol + 1]):
            rule = tables.by_left[r]
            source = work.position[span.start, rule.parent]
            total = work.up_to[source + at.width - 1] if source >= 0 else 0.0
            if total > 0.0:
                own = math.frexp(total)[1] + math.frexp(rule.probability * span.value)[1]
                own += work.scale[span.start] - BITS * span.exponent
                scale = max(scale, own) if is_any else own
                is_any = True
    return scale


@_compiled
def _add(target, source, factor):
    """Add a multiple of some numbers to others; as a loop over whole arrays, it is vectorised."""
    for i in range(len(source)):
        target[i] += factor * source[i]


@_compiled
def _descend(chart, at):
    """Add to F the terms of rules whose parent starts at the same boundary."""
    tables, _, work, _ = chart
    for r in range(at.width):
        _pass_on(chart, at, r)
        for i in range(at.starts):
            symbol = work.own[i]
            value = work.after[work.position[at.k, symbol] + r]
            if value > 0.0:
                for j in range(tables.parent_begin[symbol], tables.parent_begin[symbol + 1]):
                    _begin(chart, at, r, value, tables.by_parent[j])


@_compiled
def _pass_on(chart, at, r):
    """Add to F the terms of chains of unit rules."""
    tables, _, work, out = chart
    for i in range(at.starts):
        work.direct[i] = work.after[work.position[at.k, work.own[i]] + r]
    for i in range(at.starts):
        if work.direct[i] > 0.0:
            symbol = work.own[i]
            for e in range(tables.drop_begin[symbol], tables.drop_begin[symbol + 1]):
                drop = tables.drops[e]
                value = drop.weight * work.direct[i]
                if drop.symbol <= tables.terminals:
                    out[at.row, drop.symbol - 1] += value
                else:
                    work.after[work.position[at.k, drop.symbol] + r] += value


@_compiled
def _begin(chart, at, r, value, rule):
    """Add to F of the first symbol of a rule whose parent has F_A[k, r] = value."""
    tables, _, work, out = chart
    value *= rule.probability
    left, right = rule.left, rule.right
    most_after = at.width - 1 - r
    if left <= tables.terminals:
        out[at.row, left - 1] += value * tables.up_to[right, most_after]
    else:
        least, most = tables.least[right], min(tables.most[right], most_after)
        begin = work.position[at.k, left] + r
        if least <= most:
            target = work.after[begin + least : begin + most + 1]
            _add(target, tables.lengths[right, least : most + 1], value)


@_compiled
def _sum_up(chart, at):
    """Fill `up_to`."""
    work = chart.work
    for i in range(at.starts):
        position = work.position[at.k, work.own[i]]
        total = 0.0
        for r in range(position, position + at.width):
            total += work.after[r]
            work.up_to[r] = total


@_compiled
def _normalise(row, end, scale):
    """Normalise a row together with the end of the string; NaN if all are 0: no such prefix."""
    last = len(row) - 1
    if end.value > 0.0:
        # If nothing else may follow, there is no scale.
        exponent = -BITS * end.exponent - scale if row.sum() > 0.0 else 0
        row *= math.ldexp(1.0, max(LOWEST, min(0, -exponent)))
        row[last] = math.ldexp(end.value, max(LOWEST, min(0, exponent)))
    row /= row.sum()
