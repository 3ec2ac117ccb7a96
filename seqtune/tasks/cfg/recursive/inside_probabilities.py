"""Inside probabilities of a recursive grammar: those of all spans of tokens, computed left to right.

I_A[i, j] is the probability that A derives the tokens between boundaries i and j. With binary rules
(`binarization`), and U the closure of the unit rules,

    S_A[i, j] = sum of p I_B[i, k] I_C[k, j] over the rules A -> B C and all k between i and j
    I_A[i, j] = sum of U_AB S_B[i, j] over all B

where S of a terminal is 1 over its own token. Ends j are taken in ascending order, and for each the
starts k in descending order: when the spans from k to j are complete, each is joined with those
that end at k. So the chart is a list of the spans that exist, not a table of n^2, and covers only
symbols that may follow the tokens before k: those `predicted` there.

Numbers are pairs, value * 2^(-256 exponent), since the probability of a thousand tokens is below
the smallest float.

Source: Graham, Harrison and Ruzzo 1980, An improved context-free recognizer; Stolcke 1995.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from seqtune.tasks.cfg.recursive.binarization import BinaryRules, grouped, sparse_rows

STEP = 2.0**256
TINY = 1 / STEP

NUMBER = np.dtype([("value", "f8"), ("exponent", "i8")])
SPAN = np.dtype(
    [("value", "f8"), ("exponent", "i4"), ("start", "i4"), ("symbol", "i4"), ("next", "i4")]
)


class Spans(NamedTuple):
    """The spans of some strings; string i has the rows from offsets[i] + i on, one per boundary.

    Attributes:
        spans: SPAN; value and exponent of I > 0, the boundary where it starts, and the next span
            of the same symbol with the same end, -1 if none.
        begin: int64 [rows + 1]; the spans that end at a row are those from begin[row] on and before
            begin[row + 1].
        predicted: bool [rows, symbols]; whether a symbol may start at a row.
        whole: NUMBER [rows]; I_root of all tokens before a row, 0 if they are no string.
    """

    spans: np.ndarray
    begin: np.ndarray
    predicted: np.ndarray
    whole: np.ndarray


class _Tables(NamedTuple):
    """A grammar as the compiled functions read it.

    Attributes:
        terminals: number of terminals.
        root: id of the root.
        longest: most tokens of a string that are parsed.
        by_left, by_right: RULE; the rules with two symbols, sorted by one of them; those of a
            symbol begin at `left_begin` and `right_begin`, int64 [symbols + 1].
        lifts: ENTRY; the columns of U.
        corners: ENTRY; the symbols that a symbol may begin with, itself included.
    """

    terminals: int
    root: int
    longest: int
    by_left: np.ndarray
    left_begin: np.ndarray
    by_right: np.ndarray
    right_begin: np.ndarray
    lifts: np.ndarray
    lift_begin: np.ndarray
    corners: np.ndarray
    corner_begin: np.ndarray


class _Work(NamedTuple):
    """Memory for one string, reused for the next.

    Attributes:
        last: int32 [longest + 1, symbols]; the last span found of a symbol that ends at a boundary,
            -1 if none.
        sums: NUMBER [longest + 1, symbols]; S from a boundary to the end at hand.
        touched: int32, like `sums`; the symbols whose sum from a boundary is not 0.
        counts: int64 [longest + 1]; how many those are.
        lifted: NUMBER [symbols]; I from the start at hand to the end at hand.
        size: int64 [1]; how many spans are in use.
    """

    last: np.ndarray
    sums: np.ndarray
    touched: np.ndarray
    counts: np.ndarray
    lifted: np.ndarray
    size: np.ndarray


class _Chart(NamedTuple):
    """All that the compiled functions share."""

    tables: _Tables
    found: Spans
    work: _Work


class _String(NamedTuple):
    """tokens[begin:begin + length], whose boundaries are `row` and on."""

    tokens: np.ndarray
    begin: int
    length: int
    row: int


class InsideProbabilities:
    """Computes the inside probabilities of strings of one grammar.

    Args:
        rules: the grammar's rules.
        longest: most tokens of a string that are parsed; there are no spans beyond.
    """

    def __init__(self, rules: BinaryRules, *, longest: int) -> None:
        self._size = rules.size
        self._tables = _Tables(
            rules.terminals,
            rules.root,
            longest,
            *grouped(rules.pairs, by="left", size=rules.size),
            *grouped(rules.pairs, by="right", size=rules.size),
            *sparse_rows(rules.closure.T),
            *sparse_rows(rules.corners),
        )

    def find(self, tokens: np.ndarray, offsets: np.ndarray) -> Spans:
        """Return all spans of strings, given as token ids [total] and offsets [n + 1], both int64."""
        rows = int(offsets[-1]) + len(offsets) - 1
        longest = min(int(np.diff(offsets).max(initial=0)), self._tables.longest)
        work = self._work(longest)
        spans = np.empty((longest + 1) * self._size + 8 * rows, SPAN)
        begin, predicted = np.zeros(rows + 1, np.int64), np.zeros((rows, self._size), np.bool_)
        whole = np.zeros(rows, NUMBER)
        done = 0
        while True:
            found = Spans(spans, begin, predicted, whole)
            # As plain tuples: a numba cache that names classes cannot be read once these are renamed.
            done = _find((tokens, offsets), done, tuple(self._tables), tuple(found), tuple(work))
            if done == len(offsets) - 1:
                return found
            spans = np.concatenate([spans, np.empty_like(spans)])

    def _work(self, longest: int) -> _Work:
        return _Work(
            last=np.empty((longest + 1, self._size), np.int32),
            sums=np.zeros((longest + 1, self._size), NUMBER),
            touched=np.empty((longest + 1, self._size), np.int32),
            counts=np.zeros(longest + 1, np.int64),
            lifted=np.zeros(self._size, NUMBER),
            size=np.zeros(1, np.int64),
        )


# All memory is allocated outside, so numba need not count references (`_nrt=False`): counting took as
# long as the computation itself.
_compiled = njit(error_model="numpy", _nrt=False)  # pyright: ignore[reportCallIssue]
_entry = njit(  # pyright: ignore[reportCallIssue]
    cache=True, nogil=True, error_model="numpy", _nrt=False
)


@_entry
def _find(strings, first, tables, found, work):
    """Find spans of strings from number `first` on; return the first without memory, or n."""
    tokens, offsets = strings
    chart = _Chart(_Tables(*tables), Spans(*found), _Work(*work))
    for i in range(first, len(offsets) - 1):
        length = min(offsets[i + 1] - offsets[i], chart.tables.longest)
        string = _String(tokens, offsets[i], length, offsets[i] + i)
        chart.work.size[0] = chart.found.begin[string.row]
        if not _find_in(chart, string):
            return i
        for row in range(string.row + length + 1, offsets[i + 1] + i + 2):
            chart.found.begin[row] = chart.work.size[0]
    return len(offsets) - 1


@_compiled
def _find_in(chart, string):
    """Find the spans of one string; return False if memory is too small."""
    tables, found, work = chart
    found.predicted[string.row : string.row + string.length + 1] = False
    work.last[: string.length + 1] = -1
    _predict(chart, string.row, tables.root)
    found.begin[string.row + 1] = work.size[0]
    for end in range(1, string.length + 1):
        # At most one span of every symbol from every boundary before.
        if work.size[0] + end * found.predicted.shape[1] > len(found.spans):
            return False
        token = string.tokens[string.begin + end - 1]
        is_known = 0 < token <= tables.terminals
        if is_known and found.predicted[string.row + end - 1, token]:
            _end_at(chart, string, end, token)
        found.begin[string.row + end + 1] = work.size[0]
    return True


@_compiled
def _end_at(chart, string, end, token):
    """Find the spans that end at a boundary, and predict what may start there."""
    tables, found, work = chart
    begin = work.size[0]
    _add(work, end - 1, token, 1.0, 0)
    for start in range(end - 1, -1, -1):
        if work.counts[start] > 0:
            first = work.size[0]
            _complete(chart, string, start, end)
            if start > 0:
                _join(chart, string, start, first)
    for s in range(begin, work.size[0]):
        symbol, row = found.spans[s].symbol, string.row + found.spans[s].start
        for r in range(tables.left_begin[symbol], tables.left_begin[symbol + 1]):
            if found.predicted[row, tables.by_left[r].parent]:
                _predict(chart, string.row + end, tables.by_left[r].right)


@_compiled
def _predict(chart, row, symbol):
    """Predict a symbol and all that it may begin with."""
    tables, found, _ = chart
    if not found.predicted[row, symbol]:
        for c in range(tables.corner_begin[symbol], tables.corner_begin[symbol + 1]):
            found.predicted[row, tables.corners[c].symbol] = True


@_compiled
def _complete(chart, string, start, end):
    """Turn the sums between two boundaries into spans."""
    tables, found, work = chart
    first = work.size[0]
    for t in range(work.counts[start]):
        symbol = work.touched[start, t]
        own = work.sums[start, symbol]
        for e in range(tables.lift_begin[symbol], tables.lift_begin[symbol + 1]):
            lift = tables.lifts[e]
            if found.predicted[string.row + start, lift.symbol]:
                if work.lifted[lift.symbol].value == 0.0:
                    _open(chart, lift.symbol, start, end)
                _accumulate(work.lifted[lift.symbol], lift.weight * own.value, own.exponent)
        own.value = 0.0
    work.counts[start] = 0
    for s in range(first, work.size[0]):
        span = found.spans[s]
        _move(work.lifted[span.symbol], span)
        if start == 0 and span.symbol == tables.root:
            found.whole[string.row + end].value = span.value
            found.whole[string.row + end].exponent = span.exponent


@_compiled
def _open(chart, symbol, start, end):
    """Append a span whose probability is set later."""
    _, found, work = chart
    size = work.size[0]
    span = found.spans[size]
    span.symbol = symbol
    span.start = start
    span.next = work.last[end, symbol]
    work.last[end, symbol] = size
    work.size[0] = size + 1


@_compiled
def _move(number, span):
    """Move a number to a span, and set it to 0."""
    span.value = number.value
    span.exponent = number.exponent
    number.value = 0.0


@_compiled
def _join(chart, string, start, first):
    """Join the spans from number `first` on, all from one start, with those that end there."""
    tables, found, work = chart
    for s in range(first, work.size[0]):
        right = found.spans[s]
        for r in range(tables.right_begin[right.symbol], tables.right_begin[right.symbol + 1]):
            rule = tables.by_right[r]
            value = rule.probability * right.value
            i = work.last[start, rule.left]
            while i >= 0:
                left = found.spans[i]
                if found.predicted[string.row + left.start, rule.parent]:
                    exponent = np.int64(left.exponent) + right.exponent
                    _add(work, left.start, rule.parent, value * left.value, exponent)
                i = left.next


@_compiled
def _add(work, start, symbol, value, exponent):
    """Add value * 2^(-256 exponent) to the sum of a symbol from a boundary on."""
    if work.sums[start, symbol].value == 0.0:
        work.touched[start, work.counts[start]] = symbol
        work.counts[start] += 1
    _accumulate(work.sums[start, symbol], value, exponent)


@_compiled
def _accumulate(number, value, exponent):
    """Add value * 2^(-256 exponent) to a number; summands 2^-512 times the other vanish."""
    while 0.0 < value < TINY:
        value *= STEP
        exponent += 1
    behind = exponent - number.exponent
    if number.value == 0.0:
        number.value = value
        number.exponent = exponent
    elif behind == 0:
        number.value += value
    elif behind == 1:
        number.value += value * TINY
    elif behind < 0:
        number.value = value + (number.value * TINY if behind == -1 else 0.0)
        number.exponent = exponent
