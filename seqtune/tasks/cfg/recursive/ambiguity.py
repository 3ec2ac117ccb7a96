"""Whether a recursive grammar is ambiguous within its cap, by listing its shortest strings.

Ambiguity of context-free grammars is undecidable, and even within a cap there are too many strings
to list all of them. So the shortest strings are listed with the number of their derivations, which
decides small languages and most ambiguous ones.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from seqtune.tasks.cfg.ambiguity import SAMPLES, Ambiguity
from seqtune.tasks.cfg.recursive.binarization import BinaryRules
from seqtune.tasks.cfg.rules import Word

STEPS = 200_000
"""Most pairs of strings that are joined while strings are listed: a fraction of a second."""

MANY = 2
"""Derivations of a string are counted up to this number; they may be infinitely many."""

StringCounts = dict[Word, int]
"""Strings, and how many derivations each has, `MANY` for more."""


def find_ambiguity(rules: BinaryRules, *, max_length: int) -> Ambiguity:
    """Return whether some string within the cap has more than one derivation, if listing shows it."""
    length = 0
    for length, strings in list_strings(rules, max_length=max_length):
        if witness := next((string for string, times in strings.items() if times == MANY), None):
            reason = (
                f"the shortest strings were listed, and one of length {length} has two derivations"
            )
            return Ambiguity(verdict="ambiguous", reason=reason, witness=witness)
    if length == max_length:
        reason = "all strings within the cap were listed, and each has one derivation"
        return Ambiguity(verdict="unambiguous", reason=reason)
    return Ambiguity(
        verdict="unknown",
        reason=f"all strings of up to {length} tokens have one derivation each, and so have "
        f"{SAMPLES:,} samples; no search decides it for every recursive grammar",
    )


def list_strings(rules: BinaryRules, *, max_length: int) -> Iterator[tuple[int, StringCounts]]:
    """Yield all strings of 1, 2, ... tokens with their length, until there are too many."""
    chains = _chains(rules)
    # By symbol, the strings of every length that has some.
    listed: list[dict[int, StringCounts]] = [{} for _ in range(rules.size)]
    steps = 0
    for n in range(1, max_length + 1):
        direct: dict[int, StringCounts] = {}
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


def _join(found: StringCounts, starts: StringCounts, ends: StringCounts) -> None:
    """Add every start followed by every end."""
    for start, times in starts.items():
        _add(found, {start + end: own for end, own in ends.items()}, times=times)


def _add(found: StringCounts, strings: StringCounts, *, times: int) -> None:
    """Add strings, each with `times` times its derivations."""
    for string, own in strings.items():
        found[string] = min(MANY, found.get(string, 0) + own * times)


def _chains(rules: BinaryRules) -> np.ndarray:
    """Return how many chains of unit rules lead from row to column, int64 [symbols, symbols]."""
    step = np.zeros((rules.size, rules.size), np.int64)
    step[rules.units["parent"], rules.units["left"]] = 1
    chains = np.eye(rules.size, dtype=np.int64)
    while True:
        longer = np.minimum(MANY, np.eye(rules.size, dtype=np.int64) + step @ chains)
        if (longer == chains).all():
            return chains
        chains = longer
