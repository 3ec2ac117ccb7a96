"""Whether a grammar without recursion is ambiguous.

Two derivations of one string are searched for by running both at once from the node where they
part. All that matters of such a pair is its rests: what each has still to derive after the tokens
that both have spelled. The grammar is ambiguous if and only if the rests of some pair become equal:
any string of them completes a witness. The search goes from the lowest nonterminal up, which keeps
it small: if both rests begin with one symbol, it is already known by what one of its strings can be
longer than another (its overhangs), so its derivations are searched only once.

Source: the test of Sardinas and Patterson 1953 for codes, extended from one level to a tree of
    them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from seqtune.tasks.cfg.rules import RuleTable, Word

STEPS = 400_000
"""Most steps of the search: a few seconds; the named grammars need at most a fifth of them."""

SAMPLES = 2_048
"""Strings drawn where only sampling is left, always with the same seed."""


@dataclass(frozen=True, kw_only=True)
class Ambiguity:
    """Whether a grammar is ambiguous.

    Attributes:
        verdict: "unambiguous" is proven, "ambiguous" has a witness; "unknown" is neither, if the
            search is too large.
        reason: how the verdict was reached, in a sentence.
        witness: token ids of a string with more than one derivation, if the grammar is ambiguous.
    """

    verdict: Literal["unambiguous", "ambiguous", "unknown"]
    reason: str
    witness: Word | None = None


class Entropy(float):
    """An entropy in nats with its standard error: 0 if it is exact."""

    standard_error: float

    def __new__(cls, nats: float, *, standard_error: float = 0.0) -> Entropy:
        entropy = super().__new__(cls, nats)
        entropy.standard_error = standard_error
        return entropy


def find_ambiguity(table: RuleTable, *, steps: int | None = None) -> Ambiguity:
    """Search for a string with more than one derivation; "unknown" after `steps` (`STEPS`)."""
    steps = STEPS if steps is None else steps
    try:
        witness = _Search(table, steps=steps).witness()
    except _TooLargeError:
        reason = f"no proof in {steps:,} steps, and none of {SAMPLES:,} samples is ambiguous"
        return Ambiguity(verdict="unknown", reason=reason)
    if witness is None:
        reason = "no two derivations that part can spell the same string"
        return Ambiguity(verdict="unambiguous", reason=reason)
    reason = "two derivations part and spell the same string"
    return Ambiguity(verdict="ambiguous", reason=reason, witness=witness)


_Pair = tuple[Word, Word]
"""Two words of symbols that must derive the same string, in lexicographic order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Step:
    """A pair, the one before it, and the tokens that both derivations spelled in between."""

    pair: _Pair
    spells: Word
    after: _Pair | None


class _TooLargeError(Exception):
    """The search has used up its steps."""


class _Search:
    """The search for a string with two derivations, symbol by symbol, children first."""

    def __init__(self, table: RuleTable, *, steps: int):
        self._steps_left = steps
        self._rules = [table.right_hand_sides(symbol) for symbol in range(len(table.symbols))]
        # By symbol: the terminals that its strings begin with, one of its shortest strings, and its
        # overhangs, each with a string that it runs ahead of.
        self._first: list[set[int]] = [set()]
        self._shortest: list[Word] = [()]
        self._overhangs: list[dict[Word, Word]] = [{}]
        for symbol, rules in enumerate(self._rules[1:], start=1):
            self._first.append(set().union(*(self._first[rhs[0]] for rhs in rules)) or {symbol})
            self._shortest.append(min(map(self._string, rules), key=len, default=(symbol,)))

    def witness(self) -> Word | None:
        """Return a string with two derivations; None if there is none."""
        for symbol in range(1, len(self._rules)):
            if (ambiguous := self._search(symbol)) is not None:
                return self._embed(ambiguous, symbol)
        return None

    def _search(self, symbol: int) -> Word | None:
        """Find the overhangs of a symbol; return a string of it with two derivations, if any."""
        overhangs: dict[Word, Word] = {}
        self._overhangs.append(overhangs)
        reached: dict[_Pair, _Step] = {}
        # Depth first over iterators, not lists: a symbol may have very many overhangs.
        waiting = [self._partings(symbol)]
        while waiting:
            if (step := next(waiting[-1], None)) is None:
                waiting.pop()
                continue
            self._steps_left -= 1
            if self._steps_left < 0:
                raise _TooLargeError
            if step.pair in reached:
                continue
            reached[step.pair] = step
            a, b = step.pair
            if a == b:
                return _spelling(step, reached) + self._string(a)
            if a:
                waiting.append(self._steps(step.pair))
            else:
                overhangs[b] = _spelling(step, reached)
        return None

    def _partings(self, symbol: int) -> Iterator[_Step]:
        """Yield the pairs after two derivations of a symbol part, at its rule or inside a child."""
        for one, other in itertools.combinations(self._rules[symbol], 2):
            yield _step(one, other, spells=())
        for rhs in self._rules[symbol]:
            for place, child in enumerate(rhs):
                rest = rhs[place + 1 :]
                for overhang, behind in self._overhangs[child].items():
                    spells = self._string(rhs[:place]) + behind
                    yield _step(rest, overhang + rest, spells=spells)

    def _steps(self, pair: _Pair) -> Iterator[_Step]:
        """Yield the pairs that follow a pair of words that are not empty."""
        (x, *_), (y, *_) = pair
        a, b = pair[0][1:], pair[1][1:]
        if x == y:
            yield _step(a, b, spells=self._shortest[x], after=pair)
            for overhang, behind in self._overhangs[x].items():
                yield _step(a, overhang + b, spells=behind, after=pair)
                yield _step(overhang + a, b, spells=behind, after=pair)
        elif self._first[x] & self._first[y]:
            # The larger id is never below the other in the tree, and so cannot hide in it.
            for rhs in self._rules[max(x, y)]:
                ahead = (rhs + a, (y, *b)) if x > y else ((x, *a), rhs + b)
                yield _step(*ahead, spells=(), after=pair)

    def _string(self, word: Word) -> Word:
        """Return a shortest string of a word of symbols."""
        return tuple(itertools.chain.from_iterable(self._shortest[symbol] for symbol in word))

    def _embed(self, string: Word, symbol: int) -> Word:
        """Return a string of the root that contains a string of a symbol."""
        while symbol < len(self._rules) - 1:
            symbol, rhs, place = next(
                (parent, rhs, rhs.index(symbol))
                for parent in range(symbol + 1, len(self._rules))
                for rhs in self._rules[parent]
                if symbol in rhs
            )
            string = self._string(rhs[:place]) + string + self._string(rhs[place + 1 :])
        return string


def _step(a: Word, b: Word, *, spells: Word, after: _Pair | None = None) -> _Step:
    return _Step(pair=(a, b) if a <= b else (b, a), spells=spells, after=after)


def _spelling(step: _Step, reached: dict[_Pair, _Step]) -> Word:
    """Return the tokens that both derivations have spelled before a step."""
    pieces = [step.spells]
    while step.after is not None:
        step = reached[step.after]
        pieces.append(step.spells)
    return tuple(itertools.chain.from_iterable(reversed(pieces)))
