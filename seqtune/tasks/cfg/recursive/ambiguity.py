"""Whether a recursive grammar is ambiguous within its cap, and the entropy of its strings.

Whether a context-free grammar is ambiguous is undecidable, and even within a cap there are too many
strings to look at all. So the shortest strings are listed with the number of their derivations,
which decides small languages and most ambiguous ones; and a sampled string that is likelier than the
derivation that it was drawn by has another one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from seqtune.tasks.base import Strings
from seqtune.tasks.cfg.ambiguity import ROUNDING, SAMPLES, SEED, Ambiguity, Entropy, Word
from seqtune.tasks.cfg.recursive.binarization import BinaryRules

if TYPE_CHECKING:
    from seqtune.tasks.cfg.recursive.grammar import RecursiveGrammar

STEPS = 200_000
"""Pairs of strings that are joined while strings are listed: a fraction of a second."""

MANY = 2
"""Derivations of a string are counted up to here; there may be no end of them."""


def judge_capped(grammar: RecursiveGrammar) -> Ambiguity:
    """Whether some string within the cap has more than one derivation."""
    if grammar.is_unambiguous:
        reason = "the construction of the grammar guarantees it"
        return Ambiguity(verdict="unambiguous", reason=reason)
    length = 0
    for length, strings in _by_length(grammar):
        if witness := next((string for string, times in strings.items() if times == MANY), None):
            reason = (
                f"the shortest strings were listed, and one of length {length} has two derivations"
            )
            return Ambiguity(verdict="ambiguous", reason=reason, witness=witness)
    if length == grammar.max_length:
        reason = "all strings within the cap were listed, and each has one derivation"
        return Ambiguity(verdict="unambiguous", reason=reason)
    return _judge_by_samples(grammar, listed=length)


def _judge_by_samples(grammar: RecursiveGrammar, *, listed: int) -> Ambiguity:
    """The verdict where strings of up to `listed` tokens have one derivation each."""
    strings, gains = _draw(grammar)
    best = int(gains.argmax())
    if gains[best] > ROUNDING:
        return Ambiguity(
            verdict="ambiguous",
            reason="a sampled string is likelier than the derivation that it was drawn by",
            witness=tuple(strings[best].tolist()),
        )
    return Ambiguity(
        verdict="unknown",
        reason=f"all strings of up to {listed} tokens have one derivation each, and so have "
        f"{SAMPLES:,} samples; no search decides it for every recursive grammar",
    )


def capped_entropy(grammar: RecursiveGrammar) -> Entropy:
    """Entropy of the strings: exact if there is no ambiguity or few strings, else sampled.

    As in `ambiguity.string_entropy`, only the mean over derivations d of strings x of
    log P(x) - log P(d) is sampled, and the standard error is at least log 2 / `SAMPLES`.
    """
    if grammar.ambiguity().verdict == "unambiguous":
        return Entropy(grammar.derivation_entropy())
    listed = list(_by_length(grammar))
    if listed[-1][0] == grammar.max_length:
        nats = grammar.log_probability([string for _, strings in listed for string in strings])
        return Entropy(-math.fsum(np.exp(nats) * nats))
    _, gains = _draw(grammar)
    spread = float(gains.std(ddof=1)) / math.sqrt(SAMPLES)
    return Entropy(
        grammar.derivation_entropy() - float(gains.mean()),
        standard_error=max(spread, math.log(2) / SAMPLES),
    )


def _draw(grammar: RecursiveGrammar) -> tuple[Strings, np.ndarray]:
    """Sampled strings, and by how many nats each is likelier than its derivation, float64 [n]."""
    trees = grammar.sample_trees(SAMPLES, np.random.default_rng(SEED))
    strings = Strings(trees.tokens, trees.offsets)
    return strings, grammar.log_probability(strings) - trees.log_probability


Listed = dict[Word, int]
"""Strings, and how many derivations each has, `MANY` for more."""


def _by_length(grammar: RecursiveGrammar) -> Iterator[tuple[int, Listed]]:
    """All strings of 1, 2, ... tokens, until there are too many."""
    rules = grammar.table
    chains = _chains(rules)
    # By symbol, the strings of every length that has some.
    listed: list[dict[int, Listed]] = [{} for _ in range(rules.size)]
    steps = 0
    for n in range(1, grammar.max_length + 1):
        direct: dict[int, Listed] = {}
        if n == 1:
            direct = {token: {(token,): 1} for token in range(1, rules.terminals + 1)}
        for parent, left, right, _ in rules.pairs.tolist():
            for m, starts in listed[left].items():
                if ends := listed[right].get(n - m):
                    steps += len(starts) * len(ends)
                    if steps > STEPS:
                        return
                    _join(direct.setdefault(parent, {}), starts, ends)
        for below, strings in direct.items():
            for symbol in np.flatnonzero(chains[:, below]).tolist():
                _add(listed[symbol].setdefault(n, {}), strings, times=int(chains[symbol, below]))
        yield n, listed[rules.root].get(n, {})


def _join(found: Listed, starts: Listed, ends: Listed) -> None:
    """Adds every start followed by every end."""
    for start, times in starts.items():
        _add(found, {start + end: own for end, own in ends.items()}, times=times)


def _add(found: Listed, strings: Listed, *, times: int) -> None:
    """Adds strings, each in so many ways more."""
    for string, own in strings.items():
        found[string] = min(MANY, found.get(string, 0) + own * times)


def _chains(rules: BinaryRules) -> np.ndarray:
    """int64 [symbols, symbols]; how many chains of unit rules lead from row to column."""
    step = np.zeros((rules.size, rules.size), np.int64)
    step[rules.units["parent"], rules.units["left"]] = 1
    chains = np.eye(rules.size, dtype=np.int64)
    while True:
        longer = np.minimum(MANY, np.eye(rules.size, dtype=np.int64) + step @ chains)
        if (longer == chains).all():
            return chains
        chains = longer
