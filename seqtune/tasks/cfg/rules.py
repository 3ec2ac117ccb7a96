"""Rules of a grammar: as people write them, what can be wrong with them, and laid out as arrays."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np

from seqtune.config.errors import listed, nearest
from seqtune.tasks.cfg.probabilities import value_problems

Rules = Mapping[str, tuple[tuple[str, ...], ...]]
RawRules = Mapping[Any, Sequence[Any] | Mapping[Any, float]]
"""As people write them: of a nonterminal a list of right-hand sides, all equally likely, or a mapping
from right-hand sides to their probabilities. A right-hand side is text or a list of symbols."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RuleTable:
    """The rules that the root reaches, as arrays.

    Symbol ids: 0 is none; 1 to `terminals` are the terminals, by their token ids; then come the
    nonterminals by height. So a symbol's id is larger than those in its right-hand sides, and the
    root's is the largest.

    Attributes:
        symbols: Name of every id; id 0 is the empty text.
        terminals: Number of terminals.
        heights: int64 [symbols]; 0 for a terminal.
        rule_begin: int64 [symbols + 1]; the rules of symbol s are those from rule_begin[s] on and
            before rule_begin[s + 1].
        rhs_begin: int64 [rules + 1]; in the same way, where right-hand sides are in `rhs`.
        rhs: int64; symbol ids.
        probability: float64 [rules]; sums to 1 over the rules of a symbol.
    """

    symbols: tuple[str, ...]
    terminals: int
    heights: np.ndarray
    rule_begin: np.ndarray
    rhs_begin: np.ndarray
    rhs: np.ndarray
    probability: np.ndarray

    def right_hand_sides(self, symbol: int) -> list[tuple[int, ...]]:
        """The right-hand sides of a symbol's rules; none for a terminal."""
        begins = self.rhs_begin[self.rule_begin[symbol] : self.rule_begin[symbol + 1] + 1].tolist()
        return [tuple(self.rhs[i:j].tolist()) for i, j in itertools.pairwise(begins)]


def problems(root: str | int, rules: RawRules) -> list[str]:
    """All that keeps root and rules from being a grammar, one line each; empty if nothing does.

    Rules are as in `Grammar.from_rules`. Where they cannot be read, nothing else is looked at.
    Recursion is no problem here: `cycle` tells of it.
    """
    if found := _shape_problems(rules):
        return found
    read = read_rules(rules)
    for left, right in read.items():
        found += _rule_problems(left, right)
    for left, right in rules.items():
        if isinstance(right, Mapping):
            found += value_problems(str(left), right)
    found += root_problems(str(root), read)
    return found or productive_problems(read)


def read_rules(rules: RawRules) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Rules with every symbol as text, without their probabilities."""
    return {
        str(left): tuple(
            tuple(str(rhs).split() if isinstance(rhs, str | int) else map(str, rhs))
            for rhs in right
        )
        for left, right in rules.items()
    }


def _shape_problems(rules: Any) -> list[str]:
    """Why rules cannot be read."""
    if not isinstance(rules, Mapping) or not rules:
        return [
            "rules must map nonterminals to their right-hand sides, such as {'S': ['a b', 'a']}, "
            f"but got {rules!r}"
        ]
    found = [
        f"{left}: must be given once, but got it as a number and as text; join the two"
        for left, times in Counter(map(str, rules)).items()
        if times > 1
    ]
    return found + [
        f"{left}: must have a list of right-hand sides, but got {right!r}; write [{right!r}]"
        for left, right in rules.items()
        if isinstance(right, str) or not isinstance(right, Sequence | Mapping)
    ]


def _rule_problems(left: str, right: tuple[tuple[str, ...], ...]) -> list[str]:
    """What is wrong with the rules of one nonterminal, taken alone."""
    found = []
    if not right:
        found.append(
            f"{left}: must have at least one right-hand side, but got none; "
            f"write one, or leave {left} out to make it a terminal"
        )
    for number, rhs in enumerate(right, start=1):
        if not rhs:
            found.append(
                f"{left}: a right-hand side must hold at least one symbol, but number {number} is "
                "empty; leave it out: deriving nothing is not supported"
            )
        found += [
            f"{left}: a symbol must be text without blanks, '|' and '->', but right-hand side "
            f"{number} holds {symbol!r}; write every alternative as an entry of its own"
            for symbol in rhs
            if not symbol or re.search(r"\s|\||->", symbol)
        ]
    return found + [
        f"{left}: right-hand sides must differ, but got '{' '.join(rhs)}' {times} times; write it once"
        for rhs, times in Counter(right).items()
        if times > 1 and rhs
    ]


def root_problems(root: str, rules: Rules) -> list[str]:
    """What is wrong with the root."""
    if root in rules:
        return []
    names = sorted(rules, key=natural)
    if any(root in rhs for right in rules.values() for rhs in right):
        return [f"root {root} is a terminal, which has no rules; a root is one of {listed(names)}"]
    return [f"no such root: {root!r}{nearest(root, names)}"]


def productive_problems(rules: Rules) -> list[str]:
    """The nonterminals that derive no string, since every rule leads back to such a one."""
    ending: set[str] = set()
    while new := {
        left
        for left, right in rules.items()
        if left not in ending
        and any(all(s in ending or s not in rules for s in rhs) for rhs in right)
    }:
        ending |= new
    endless = {left: rules[left] for left in rules if left not in ending}
    return [
        f"{left}: must derive a string, but every one of its rules leads back to {left}; "
        "give it a rule that ends"
        for left in endless
        # What only leads to such a symbol is mended with it.
        if left in set().union(*(reachable(s, endless) for rhs in endless[left] for s in rhs))
    ]


def terminal_problems(rules: Rules, *, terminals: Sequence[str]) -> list[str]:
    """What is wrong with sound rules if these are all their terminals."""
    known = [*rules, *terminals]
    found = [
        f"{left}: right-hand side {number} holds {symbol}, which is neither a nonterminal nor one of "
        f"the terminals{nearest(symbol, known)}"
        for left, right in rules.items()
        for number, rhs in enumerate(right, start=1)
        for symbol in dict.fromkeys(rhs)
        if symbol not in known
    ]
    used = {symbol for right in rules.values() for rhs in right for symbol in rhs}
    for symbol in terminals:
        if symbol in rules:
            found.append(f"{symbol}: is a terminal, but has rules; leave it out of the terminals")
        elif symbol not in used:
            found.append(f"{symbol}: is a terminal that no rule uses; leave it out")
    return found


def cycle(rules: Rules) -> list[str]:
    """Symbols that lead from one back to itself; empty if none do."""
    try:
        children_first(rules)
    except CycleError as error:
        around = error.args[1][:0:-1]
        start = around.index(next(left for left in rules if left in around))
        return [*around[start:], *around[:start], around[start]]
    return []


def children_first(rules: Mapping[str, Sequence[tuple[str, ...]]]) -> list[str]:
    """All symbols, each after those of its right-hand sides; CycleError if rules are recursive."""
    return list(
        TopologicalSorter({a: list(itertools.chain(*rules[a])) for a in rules}).static_order()
    )


def reachable(root: str, rules: Rules) -> set[str]:
    """The symbols that derivations from `root` can hold."""
    reached, waiting = {root}, [root]
    while waiting:
        new = set(itertools.chain(*rules.get(waiting.pop(), ()))) - reached
        reached |= new
        waiting += new
    return reached


def natural(symbol: str) -> tuple[int, int, str]:
    """Sort key: numbers by value, then text."""
    return (0, int(symbol), symbol) if re.fullmatch(r"-?[0-9]+", symbol) else (1, 0, symbol)


def begins(groups: Iterable[Sized]) -> np.ndarray:
    """Where each group begins, and the last one ends, if one is laid out after the other."""
    return np.cumsum([0, *map(len, groups)])
