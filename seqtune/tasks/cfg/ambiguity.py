"""Whether a grammar is ambiguous, and the entropy of its strings, which depends on it.

Two derivations of one string are looked for by running both at once from the node where they part.
All that matters of such a pair is its rests: what each has still to derive behind the tokens that
both have spelled. The grammar is ambiguous if and only if the rests of some pair become equal: any
string of them completes a witness. Working from the lowest nonterminal up keeps the search small:
where both rests begin with one symbol, it is known already by what a string of it can run ahead of
another (its overhangs), so its insides are looked at once only.

Source: the test of Sardinas and Patterson 1953 for codes, carried from one level to a tree of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from seqtune.tasks.base import Strings

if TYPE_CHECKING:
    from seqtune.tasks.cfg.grammar import Grammar
    from seqtune.tasks.cfg.rules import RuleTable

STEPS = 400_000
"""Steps up to which the search goes: a few seconds; the named grammars need a fifth at most."""

ENUMERABLE = 20_000
"""Derivations up to which the strings of an ambiguous grammar are listed for an exact entropy."""

SAMPLES = 2_048
"""Strings drawn where only sampling is left, always those of `SEED`."""

SEED = 0

ROUNDING = 1e-6
"""Nats by which a string must be likelier than its derivation to have another; rounding adds less."""

Word = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Ambiguity:
    """A verdict on a grammar.

    Attributes:
        verdict: "unambiguous" is proven, "ambiguous" has a witness; "unknown" is neither, and only
            where the search is too large.
        reason: How the verdict was reached, in a sentence.
        witness: Token ids of a string with more than one derivation, if the grammar is ambiguous.
    """

    verdict: Literal["unambiguous", "ambiguous", "unknown"]
    reason: str
    witness: Word | None = None


class Entropy(float):
    """An entropy in nats that knows its standard error: 0 where it is exact."""

    standard_error: float

    def __new__(cls, nats: float, *, standard_error: float = 0.0) -> Entropy:
        entropy = super().__new__(cls, nats)
        entropy.standard_error = standard_error
        return entropy


def judge(grammar: Grammar) -> Ambiguity:
    """Whether some string of the grammar has more than one derivation."""
    try:
        witness = _Search(grammar.table, steps=STEPS).witness()
    except _TooLargeError:
        return _judge_by_samples(grammar)
    if witness is None:
        reason = "no two derivations that part can spell the same string"
        return Ambiguity(verdict="unambiguous", reason=reason)
    reason = "two derivations part and spell the same string"
    return Ambiguity(verdict="ambiguous", reason=reason, witness=witness)


def is_proven_unambiguous(grammar: Grammar, *, steps: int) -> bool:
    """Whether a search of so many steps shows that no string has more than one derivation."""
    try:
        return _Search(grammar.table, steps=steps).witness() is None
    except _TooLargeError:
        return False


def string_entropy(grammar: Grammar) -> Entropy:
    """Entropy of the strings: exact if there is no ambiguity or few derivations, else sampled.

    It is the entropy of the derivations, which is exact, minus the mean over derivations d of
    strings x of log P(x) - log P(d). Only that small difference is sampled, with an error tens of
    times less than that of averaging -log P(x). The standard error is at least log 2 / `SAMPLES`,
    what a single sample with a second derivation adds: ambiguity may be too rare to be sampled.
    """
    if grammar.ambiguity().verdict == "unambiguous":
        return Entropy(grammar.derivation_entropy())
    if grammar.count() <= ENUMERABLE:
        return Entropy(-math.fsum(p * math.log(p) for p in grammar.strings().values()))
    gains = _draw(grammar).gains
    spread = float(gains.std(ddof=1)) / math.sqrt(SAMPLES)
    return Entropy(
        grammar.derivation_entropy() - float(gains.mean()),
        standard_error=max(spread, math.log(2) / SAMPLES),
    )


_Pair = tuple[Word, Word]
"""Two words of symbols that have to derive the same string, in lexicographic order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Step:
    """A pair, the one that it came from, and the tokens that both derivations spelled between."""

    pair: _Pair
    spells: Word
    after: _Pair | None


class _TooLargeError(Exception):
    """The search has taken all its steps."""


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
        """A string with two derivations, None if there is none."""
        for symbol in range(1, len(self._rules)):
            if (ambiguous := self._search(symbol)) is not None:
                return self._embedded(ambiguous, symbol)
        return None

    def _search(self, symbol: int) -> Word | None:
        """Finds the overhangs of a symbol; returns a string of it with two derivations, if any."""
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
                return _spelled(step, reached) + self._string(a)
            if a:
                waiting.append(self._steps(step.pair))
            else:
                overhangs[b] = _spelled(step, reached)
        return None

    def _partings(self, symbol: int) -> Iterator[_Step]:
        """The pairs behind where two derivations of a symbol part: at its rule or inside a child."""
        for one, other in itertools.combinations(self._rules[symbol], 2):
            yield _step(one, other, spells=())
        for rhs in self._rules[symbol]:
            for place, child in enumerate(rhs):
                rest = rhs[place + 1 :]
                for overhang, behind in self._overhangs[child].items():
                    spells = self._string(rhs[:place]) + behind
                    yield _step(rest, overhang + rest, spells=spells)

    def _steps(self, pair: _Pair) -> Iterator[_Step]:
        """The pairs that follow a pair of words that are not empty."""
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
        """A shortest string of a word of symbols."""
        return tuple(itertools.chain.from_iterable(self._shortest[symbol] for symbol in word))

    def _embedded(self, string: Word, symbol: int) -> Word:
        """A string of the root that holds a string of a symbol."""
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


def _spelled(step: _Step, reached: dict[_Pair, _Step]) -> Word:
    """The tokens that both derivations have spelled when they come to a step."""
    pieces = [step.spells]
    while step.after is not None:
        step = reached[step.after]
        pieces.append(step.spells)
    return tuple(itertools.chain.from_iterable(reversed(pieces)))


def _judge_by_samples(grammar: Grammar) -> Ambiguity:
    """The verdict without a search: a string likelier than its derivation has another."""
    draws = _draw(grammar)
    best = int(draws.gains.argmax())
    if draws.gains[best] > ROUNDING:
        return Ambiguity(
            verdict="ambiguous",
            reason="a sampled string is likelier than the derivation that it was drawn by",
            witness=tuple(draws.strings[best].tolist()),
        )
    return Ambiguity(
        verdict="unknown",
        reason=f"no proof in {STEPS:,} steps, and none of {SAMPLES:,} samples is ambiguous",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Draws:
    """Sampled strings; `gains` [n] is by how many nats each is likelier than its derivation."""

    strings: Strings
    gains: np.ndarray


def _draw(grammar: Grammar) -> _Draws:
    trees = grammar.sample_trees(SAMPLES, np.random.default_rng(SEED))
    strings = Strings(trees.tokens, trees.offsets)
    gains = grammar.log_probability(strings) - trees.log_probability
    return _Draws(strings=strings, gains=gains)
