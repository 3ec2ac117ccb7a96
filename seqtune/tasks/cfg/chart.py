"""Inside and prefix probabilities of a grammar without recursion, by an exact dynamic program.

Two passes over a string of n tokens, with I_A[i, j] = P(A derives tokens i to j):

- *inside*, from the root at boundary 0 down: I_A[i, .] is computed when a rule first asks for A at
  boundary i, so only for what the tokens before i allow. log P(string) = log I_root[0, n].
- *outside*, top-down: f_A[k] = P(the first k tokens are generated and an A starts at boundary k).
  f_root[0] = 1; a rule A -> B C D of probability p adds p f_A to f_B, p (f_A * I_B) to f_C and
  p (f_A * I_B * I_C) to f_D. P(next is t | first k tokens) is proportional to f_t[k], and the end
  to I_root[0, k].

The chart is sparse: I_A[i, j] > 0 for few j, so it holds lists of these, not tables of n^2. Symbols
that derive few strings, such as terminals, are matched as tries: that spares the lowest levels of
the tree, where most of the work would be. Numbers are pairs, value * 2^(-256 exponent), since the
probability of a thousand tokens is below the smallest float.

Source: Jelinek and Lafferty 1991; Stolcke 1995.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit

from seqtune.tasks.cfg.parallel import Scorer
from seqtune.tasks.cfg.rules import RuleTable

TRIE_TOKENS = 2_048
"""A symbol is matched as a trie if its derivations together have at most about this many tokens."""

STEP = 2.0**256
TINY = 1 / STEP
LOG_STEP = math.log(STEP)

SYMBOL = np.dtype([("first_rule", "i8"), ("height", "i8"), ("trie", "i8")])
RULE = np.dtype([("begin", "i8"), ("end", "i8"), ("probability", "f8")])
NODE = np.dtype([("first_child", "i8"), ("token", "i8"), ("through", "f8"), ("stop", "f8")])
NUMBER = np.dtype([("value", "f8"), ("exponent", "i8")])
SPAN = np.dtype([("value", "f8"), ("exponent", "i4"), ("end", "i4")])
FRAME = np.dtype(
    [(name, "i8") for name in ("symbol", "start", "rule", "place", "used", "side", "waiting")]
)


class _Tables(NamedTuple):
    """A grammar as the compiled functions read it. Symbols are in the order of `RuleTable`.

    Attributes:
        symbols: SYMBOL [symbols + 1]; `trie` is the first node of the symbol's trie, -1 if none.
        rules: RULE [rules]; the right-hand side is rhs[begin:end].
        rhs: int64.
        nodes: NODE [nodes + 1] of all tries. A node's children are those from its first child on
            and before the next node's. A string of the symbol passes `through` the node and `stop`s
            there with these probabilities.
    """

    symbols: np.ndarray
    rules: np.ndarray
    rhs: np.ndarray
    nodes: np.ndarray


class _Work(NamedTuple):
    """Memory for one string of up to `longest` tokens, reused for the next.

    Attributes:
        first: int32 [longest + 1, symbols]; where in `spans` those of a symbol from a boundary on
            begin, -1 where they are unknown so far.
        spans: SPAN; value, exponent and end of I > 0. A list of them ends with one of end -1.
        size: int64 [1]; how many spans are in use.
        frames: FRAME [levels]; for every height the symbol in progress, its next step, and the
            height of the symbol that waits for it.
        sums: NUMBER [3 levels, longest + 1]; rows of sums over boundaries, almost all of them 0.
        touched: int32, like `sums`; the boundaries of the sums of a row that are not 0.
        counts: int64 [3 levels]; how many those are.
        before: NUMBER [symbols, longest + 1]; f.
        follow: NUMBER [longest + 1, terminals + 1]; P(first k tokens, then t), the end last.
    """

    first: np.ndarray
    spans: np.ndarray
    size: np.ndarray
    frames: np.ndarray
    sums: np.ndarray
    touched: np.ndarray
    counts: np.ndarray
    before: np.ndarray
    follow: np.ndarray


class _String(NamedTuple):
    """One string: tokens[begin:end], without the cost of a view."""

    tokens: np.ndarray
    begin: int
    end: int


class ChartScorer(Scorer):
    """Scores strings of one grammar, given its rules."""

    slice_tokens = 1 << 16

    def __init__(self, table: RuleTable) -> None:
        self.terminals = table.terminals
        self._tables = _tabulate(table)

    def _nats(self, tokens: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        out = np.empty(len(offsets) - 1)
        self._run(_log_probability, tokens, offsets, out)
        return out

    def _rows(self, tokens: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        out = np.empty((len(tokens) + len(offsets) - 1, self.terminals + 1))
        self._run(_next_token, tokens, offsets, out)
        return out

    def _run(
        self, score: Callable[..., int], tokens: np.ndarray, offsets: np.ndarray, out: np.ndarray
    ) -> None:
        """Run a compiled function on all strings; give it more memory when it asks for it."""
        longest = int(np.diff(offsets).max(initial=0))
        spans = 32 * (longest + 32)
        done = 0
        while done < len(offsets) - 1:
            work = _work(self._tables, longest=longest, terminals=self.terminals, spans=spans)
            # As plain tuples: a numba cache that names classes cannot be read once these are renamed.
            done = score((tokens, offsets), done, out, tuple(self._tables), tuple(work))
            spans *= 4


def _tabulate(table: RuleTable) -> _Tables:
    """Return the tables of a grammar, without the symbols that occur inside tries only."""
    has_trie = _chart_symbols(table)
    numbers = {symbol: number for number, symbol in enumerate(has_trie)}
    symbols, rules, rhs, strings = [], [], [], []
    for symbol in has_trie:
        trie = len(strings) if has_trie[symbol] else -1
        symbols.append((len(rules), table.heights[symbol], trie))
        if has_trie[symbol]:
            strings.append(list(table.strings(symbol).items()))
            continue
        for rule, right in enumerate(table.right_hand_sides(symbol), table.rule_begin[symbol]):
            rules.append((len(rhs), len(rhs) + len(right), table.probability[rule]))
            rhs += [numbers[child] for child in right]
    return _Tables(
        symbols=np.array([*symbols, (len(rules), 0, -1)], SYMBOL),
        rules=np.array(rules, RULE),
        rhs=np.array(rhs, np.int64),
        nodes=_tries(strings),
    )


def _chart_symbols(table: RuleTable) -> dict[int, bool]:
    """Return the ids of the root and all symbols that large ones use, and whether each gets a trie."""
    root = table.root
    count, longest, is_small = [0], [0], [False]
    used = {root}
    for symbol in range(1, root + 1):
        right = table.right_hand_sides(symbol)
        count.append(sum(math.prod(count[s] for s in rhs) for rhs in right) or 1)
        longest.append(max((sum(longest[s] for s in rhs) for rhs in right), default=1))
        is_small.append(count[symbol] * longest[symbol] <= TRIE_TOKENS)
        if not is_small[symbol]:
            used.update(*right)
    return {symbol: is_small[symbol] for symbol in sorted(used)}


def _tries(groups: list[list[tuple[tuple[int, ...], float]]]) -> np.ndarray:
    """Return NODE [nodes + 1] of tries of (string, probability) groups; that of group i begins at i."""
    # The queue of (token to the node, depth, strings through it) grows while it is read.
    queue = [(0, 0, group) for group in groups]
    nodes = []
    for token, depth, strings in queue:
        through = sum(p for _, p in strings)
        stop = sum(p for string, p in strings if len(string) == depth)
        nodes.append((len(queue), token, through, stop))
        branches = defaultdict(list)
        for string, p in strings:
            if len(string) > depth:
                branches[string[depth]].append((string, p))
        queue += [(token, depth + 1, branches[token]) for token in sorted(branches)]
    return np.array([*nodes, (len(queue), 0, 0.0, 0.0)], NODE)


def _work(tables: _Tables, *, longest: int, terminals: int, spans: int) -> _Work:
    """Return memory for strings of up to `longest` tokens and a number of spans."""
    symbols = len(tables.symbols) - 1
    levels = int(tables.symbols["height"].max()) + 1
    return _Work(
        first=np.empty((longest + 1, symbols), np.int32),
        spans=np.empty(spans, SPAN),
        size=np.zeros(1, np.int64),
        frames=np.empty(levels, FRAME),
        sums=np.zeros((3 * levels, longest + 1), NUMBER),
        touched=np.empty((3 * levels, longest + 1), np.int32),
        counts=np.zeros(3 * levels, np.int64),
        before=np.empty((symbols, longest + 1), NUMBER),
        follow=np.empty((longest + 1, terminals + 1), NUMBER),
    )


# All memory is allocated outside, so numba need not count references (`_nrt=False`): counting took
# several times as long as the computation itself.
_compiled = njit(error_model="numpy", _nrt=False)  # pyright: ignore[reportCallIssue]
_entry = njit(  # pyright: ignore[reportCallIssue]
    cache=True, nogil=True, error_model="numpy", _nrt=False
)


@_entry
def _log_probability(strings, begin, out, tables, work):
    """Score strings from number `begin` on; return the first that memory is too small for, or n."""
    tokens, offsets = strings
    tables, work = _Tables(*tables), _Work(*work)
    for i in range(begin, len(out)):
        string = _String(tokens, offsets[i], offsets[i + 1])
        if not _inside(string, tables, work):
            return i
        out[i] = _log_root(work, string.end - string.begin)
    return len(out)


@_entry
def _next_token(strings, begin, out, tables, work):
    """Write rows of strings from number `begin` on; return the first without memory, or n."""
    tokens, offsets = strings
    tables, work = _Tables(*tables), _Work(*work)
    for i in range(begin, len(offsets) - 1):
        string = _String(tokens, offsets[i], offsets[i + 1])
        if not _inside(string, tables, work):
            return i
        _outside(string, tables, work)
        for k in range(string.end - string.begin + 1):
            _normalise(work, k, out, string.begin + i + k)
    return len(offsets) - 1


@_compiled
def _accumulate(numbers, row, column, value, exponent):
    """Add value * 2^(-256 exponent) to a number; summands 2^-512 times the other vanish."""
    if value < TINY:
        value *= STEP
        exponent += 1
    number = numbers[row, column]
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


@_compiled
def _add(work, row, boundary, value, exponent):
    """Add to the sum of a row at a boundary."""
    if work.sums[row, boundary].value == 0.0:
        work.touched[row, work.counts[row]] = boundary
        work.counts[row] += 1
    _accumulate(work.sums, row, boundary, value, exponent)


@_compiled
def _extend(work, source, used, target, symbol):
    """Move the sums of a row, from entry `used` on, over all spans of a symbol to row `target`.

    Returns the first entry at whose boundary the symbol's spans are unknown, else the number of
    entries.
    """
    while used < work.counts[source]:
        boundary = work.touched[source, used]
        i = work.first[boundary, symbol]
        if i < 0:
            return used
        number = work.sums[source, boundary]
        while work.spans[i].end >= 0:
            span = work.spans[i]
            value = number.value * span.value
            _add(work, target, span.end, value, number.exponent + span.exponent)
            i += 1
        number.value = 0.0
        used += 1
    return used


@_compiled
def _inside(string, tables, work):
    """Find the spans of symbols wherever the tokens before allow them, from the root at 0 on.

    A symbol waits for the spans of lower ones only, so at most one is in progress at each height.
    Returns False if memory is too small for all spans.
    """
    length = string.end - string.begin
    root = work.first.shape[1] - 1
    for boundary in range(length + 1):
        for symbol in range(root + 1):
            work.first[boundary, symbol] = -1
    symbol = root
    boundary = 0
    height = -1
    work.size[0] = 0
    while True:
        # At most one match now and one symbol closed at every height before the next one.
        if work.size[0] + (len(work.frames) + 1) * (length + 2) > len(work.spans):
            return False
        if tables.symbols[symbol].trie >= 0:
            _match(string, tables, work, symbol, boundary)
        else:
            _open(tables, work, symbol, boundary, height)
            height = tables.symbols[symbol].height
        boundary = -1
        while height >= 0 and boundary < 0:
            boundary = _resume(tables, work, height)
            if boundary < 0:
                _close(work, height)
                height = work.frames[height].waiting
        if height < 0:
            return True
        symbol = tables.rhs[work.frames[height].place]


@_compiled
def _match(string, tables, work, symbol, boundary):
    """Find the spans of a symbol that has a trie."""
    size = work.size[0]
    work.first[boundary, symbol] = size
    node = tables.symbols[symbol].trie
    place = string.begin + boundary
    while node >= 0:
        if tables.nodes[node].stop > 0.0:
            span = work.spans[size]
            span.value = tables.nodes[node].stop
            span.exponent = 0
            span.end = place - string.begin
            size += 1
        node = _child(tables, node, string.tokens[place]) if place < string.end else -1
        place += 1
    work.spans[size].end = -1
    work.size[0] = size + 1


@_compiled
def _child(tables, node, token):
    """Return the node of a trie that a token leads to, -1 if none."""
    for child in range(tables.nodes[node].first_child, tables.nodes[node + 1].first_child):
        if tables.nodes[child].token == token:
            return child
    return -1


@_compiled
def _open(tables, work, symbol, start, waiting):
    """Begin a symbol at a boundary, for the symbol of height `waiting`."""
    height = tables.symbols[symbol].height
    frame = work.frames[height]
    frame.symbol = symbol
    frame.start = start
    frame.waiting = waiting
    _begin_rule(tables, work, height, tables.symbols[symbol].first_rule)


@_compiled
def _begin_rule(tables, work, height, rule):
    frame = work.frames[height]
    frame.rule = rule
    frame.place = tables.rules[rule].begin
    frame.used = 0
    frame.side = 0
    _add(work, 3 * height + 1, frame.start, tables.rules[rule].probability, 0)


@_compiled
def _resume(tables, work, height):
    """Continue the symbol in progress at a height, until it is done or has to wait.

    Row 3 * height of the sums is I of the symbol; the next two, in turns, are what its rule derives
    before the place that is next. Returns -1 if the symbol is done, else the boundary at which the
    spans of the symbol at that place are not known.
    """
    frame = work.frames[height]
    stop = tables.symbols[frame.symbol + 1].first_rule
    while True:
        source = 3 * height + 1 + frame.side
        is_last = frame.place + 1 == tables.rules[frame.rule].end
        target = 3 * height if is_last else 3 * height + 2 - frame.side
        frame.used = _extend(work, source, frame.used, target, tables.rhs[frame.place])
        if frame.used < work.counts[source]:
            return np.int64(work.touched[source, frame.used])
        work.counts[source] = 0
        if not is_last and work.counts[target] > 0:
            frame.place += 1
            frame.used = 0
            frame.side = 1 - frame.side
        elif frame.rule + 1 < stop:
            _begin_rule(tables, work, height, frame.rule + 1)
        else:
            return np.int64(-1)


@_compiled
def _close(work, height):
    """Finish a symbol: its sums become spans."""
    row = 3 * height
    size = work.size[0]
    work.first[work.frames[height].start, work.frames[height].symbol] = size
    for i in range(work.counts[row]):
        boundary = work.touched[row, i]
        number = work.sums[row, boundary]
        span = work.spans[size]
        span.value = number.value
        span.exponent = number.exponent
        span.end = boundary
        number.value = 0.0
        size += 1
    work.counts[row] = 0
    work.spans[size].end = -1
    work.size[0] = size + 1


@_compiled
def _log_root(work, length):
    """Return the log of I_root[0, length]; -inf if that is 0."""
    i = work.first[0, work.first.shape[1] - 1]
    while work.spans[i].end >= 0:
        if work.spans[i].end == length:
            return math.log(work.spans[i].value) - work.spans[i].exponent * LOG_STEP
        i += 1
    return -np.inf


@_compiled
def _outside(string, tables, work):
    """Fill `before` and `follow`, given the spans that `_inside` found."""
    boundaries = string.end - string.begin + 1
    root = work.first.shape[1] - 1
    _clear(work.before, root + 1, boundaries)
    _clear(work.follow, boundaries, work.follow.shape[1])
    _accumulate(work.before, root, 0, 1.0, 0)
    for symbol in range(root, -1, -1):
        for k in range(boundaries):
            if work.before[symbol, k].value > 0.0:
                if tables.symbols[symbol].trie >= 0:
                    _predict(string, tables, work, symbol, k)
                else:
                    _pass_down(tables, work, symbol, k)
    i = work.first[0, root]
    while work.spans[i].end >= 0:
        span = work.spans[i]
        last = work.follow.shape[1] - 1
        _accumulate(work.follow, span.end, last, span.value, np.int64(span.exponent))
        i += 1


@_compiled
def _clear(numbers, rows, columns):
    for row in range(rows):
        for column in range(columns):
            numbers[row, column].value = 0.0


@_compiled
def _pass_down(tables, work, symbol, k):
    """Add to f of the symbols in the rules of a symbol that starts at boundary k."""
    f = work.before[symbol, k]
    for r in range(tables.symbols[symbol].first_rule, tables.symbols[symbol + 1].first_rule):
        rule = tables.rules[r]
        source, target = 0, 1
        _add(work, source, k, f.value * rule.probability, f.exponent)
        for place in range(rule.begin, rule.end):
            child = tables.rhs[place]
            for i in range(work.counts[source]):
                boundary = work.touched[source, i]
                number = work.sums[source, boundary]
                _accumulate(work.before, child, boundary, number.value, number.exponent)
                if place + 1 == rule.end:
                    number.value = 0.0
            if place + 1 < rule.end:
                _extend(work, source, 0, target, child)
            work.counts[source] = 0
            source, target = target, source


@_compiled
def _predict(string, tables, work, symbol, k):
    """Add the tokens that a symbol with a trie, begun at boundary k, predicts while tokens agree."""
    f = work.before[symbol, k]
    node = tables.symbols[symbol].trie
    place = string.begin + k
    while node >= 0:
        for i in range(tables.nodes[node].first_child, tables.nodes[node + 1].first_child):
            child = tables.nodes[i]
            value = f.value * child.through
            _accumulate(work.follow, place - string.begin, child.token - 1, value, f.exponent)
        node = _child(tables, node, string.tokens[place]) if place < string.end else -1
        place += 1


@_compiled
def _normalise(work, k, out, row):
    """Write row k of `follow` as a distribution; NaN if it is all 0: no string has that prefix."""
    least = np.iinfo(np.int64).max
    for column in range(work.follow.shape[1]):
        if work.follow[k, column].value > 0.0:
            least = min(least, work.follow[k, column].exponent)
    total = 0.0
    for column in range(work.follow.shape[1]):
        value = work.follow[k, column].value
        if value > 0.0:
            # Five steps are below the smallest float.
            for _ in range(min(work.follow[k, column].exponent - least, 5)):
                value *= TINY
        out[row, column] = value
        total += value
    for column in range(work.follow.shape[1]):
        out[row, column] /= total
