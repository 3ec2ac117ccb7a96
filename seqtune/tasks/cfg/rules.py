"""Rules of a grammar and their probabilities: reading, checking, and as arrays."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np

from seqtune.config.errors import listed, nearest

Rules = Mapping[str, tuple[tuple[str, ...], ...]]
Probabilities = Mapping[str, tuple[float, ...]]
RawRules = Mapping[Any, Sequence[Any] | Mapping[Any, float]]
"""Rules as users write them: for every nonterminal a list of right-hand sides, all equally likely, or a
mapping from right-hand sides to their probabilities. A right-hand side is text or a list of symbols."""

Word = tuple[int, ...]
"""A sequence of symbol ids, such as the token ids of a string."""

ROUNDING = 1e-6
"""By how much the sum of written probabilities may differ from 1; they are then scaled to it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RuleTable:
    """The rules that the root reaches, as arrays; they are not recursive.

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

    @property
    def root(self) -> int:
        """Id of the root."""
        return len(self.symbols) - 1

    def right_hand_sides(self, symbol: int) -> list[Word]:
        """Return the right-hand sides of a symbol's rules; none for a terminal."""
        begins = self.rhs_begin[self.rule_begin[symbol] : self.rule_begin[symbol + 1] + 1].tolist()
        return [tuple(self.rhs[i:j].tolist()) for i, j in itertools.pairwise(begins)]

    def derivations(self, symbol: int) -> list[tuple[Word, float]]:
        """Return string and probability of every derivation of a symbol; see `strings`."""
        if symbol <= self.terminals:
            return [((symbol,), 1.0)]
        shares = self.probability[self.rule_begin[symbol] : self.rule_begin[symbol + 1]].tolist()
        return [
            (sum((string for string, _ in parts), ()), math.prod(p for _, p in parts) * share)
            for rhs, share in zip(self.right_hand_sides(symbol), shares, strict=True)
            for parts in itertools.product(*map(self.derivations, rhs))
        ]

    def strings(self, symbol: int) -> dict[Word, float]:
        """Return every string of a symbol with its probability.

        Only for small languages: time and memory grow with the number of derivations.
        """
        merged: dict[Word, float] = {}
        for string, probability in self.derivations(symbol):
            merged[string] = merged.get(string, 0.0) + probability
        return merged


def problems(root: str | int, rules: RawRules) -> list[str]:
    """Return all errors in a grammar's root and rules, one line each; empty if there are none.

    Rules are as in `Grammar.from_rules`. If they cannot be read, nothing else is checked. Recursion
    is not an error; `cycle` finds it.
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
    """Return rules with every symbol as text, without their probabilities."""
    return {
        str(left): tuple(
            tuple(str(rhs).split() if isinstance(rhs, str | int) else map(str, rhs))
            for rhs in right
        )
        for left, right in rules.items()
    }


def _shape_problems(rules: Any) -> list[str]:
    """Return why rules cannot be read."""
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
    """Return the errors in the rules of one nonterminal."""
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
    """Return the errors in the root."""
    if root in rules:
        return []
    names = sorted(rules, key=natural)
    if any(root in rhs for right in rules.values() for rhs in right):
        return [f"root {root} is a terminal, which has no rules; a root is one of {listed(names)}"]
    return [f"no such root: {root!r}{nearest(root, names)}"]


def productive_problems(rules: Rules) -> list[str]:
    """Return an error for each nonterminal that derives no string, since all its rules recur."""
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
        # A symbol that only leads to such a one is right once that is.
        if left in set().union(*(reachable(s, endless) for rhs in endless[left] for s in rhs))
    ]


def terminal_problems(rules: Rules, *, terminals: Sequence[str]) -> list[str]:
    """Return the errors in rules that are otherwise correct, if these are all their terminals."""
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


def read_probabilities(rules: Mapping[Any, Any]) -> dict[str, tuple[float, ...]]:
    """Return the probability of every right-hand side; those of a list are equally likely."""
    return scale(
        {
            str(left): tuple(right.values()) if isinstance(right, Mapping) else (1.0,) * len(right)
            for left, right in rules.items()
        }
    )


def scale(weights: Mapping[Any, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    """Scale weights to probabilities that sum to 1 over the rules of a nonterminal."""
    return {str(left): _scale_to_one(values) for left, values in weights.items()}


def _scale_to_one(values: Sequence[float]) -> tuple[float, ...]:
    total = math.fsum(values)
    # Values that sum to 1 already stay as they are, to the last digit.
    return tuple(float(value) if abs(total - 1) < 1e-15 else value / total for value in values)


def probability_problems(rules: Mapping[str, Sequence[Any]], probabilities: Any) -> list[str]:
    """Return the errors in the probabilities of rules that are otherwise correct, one line each."""
    if not isinstance(probabilities, Mapping):
        return [
            "probabilities must map nonterminals to one number for each right-hand side, such as "
            f"{{'S': (0.4, 0.6)}}, but got {probabilities!r}"
        ]
    own = {str(left): values for left, values in probabilities.items()}
    found = [
        f"{left}: must have rules, since it has probabilities, but got none; leave out {left}"
        for left in own
        if left not in rules
    ]
    for left, right in rules.items():
        values = own.get(left, ())
        is_list = isinstance(values, Sequence) and not isinstance(values, str)
        if not is_list or len(values) != len(right):
            found.append(
                f"{left}: must have as many probabilities as right-hand sides, {len(right)}, "
                f"but got {len(values) if is_list else values!r}; write one for each"
            )
        else:
            numbered = {f"number {number}": value for number, value in enumerate(values, start=1)}
            found += value_problems(left, numbered)
    return found


def value_problems(left: str, values: Mapping[Any, Any]) -> list[str]:
    """Return the errors in the probabilities of a nonterminal's rules, given by rule names."""
    found = [
        f"{left}: a probability must be a number above 0 and at most 1, but {name} is {value!r}; "
        "leave out a rule that is never used"
        for name, value in values.items()
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1
    ]
    if not found and abs(math.fsum(values.values()) - 1) > ROUNDING:
        terms = " + ".join(f"{value:g}" for value in values.values())
        found.append(
            f"{left}: probabilities must sum to 1, but got {terms} = {math.fsum(values.values()):g}"
        )
    return found


def cycle(rules: Rules) -> list[str]:
    """Return symbols that lead from one back to itself; empty if the rules are not recursive."""
    try:
        children_first(rules)
    except CycleError as error:
        around = error.args[1][:0:-1]
        start = around.index(next(left for left in rules if left in around))
        return [*around[start:], *around[:start], around[start]]
    return []


def children_first(rules: Mapping[str, Sequence[tuple[str, ...]]]) -> list[str]:
    """Return all symbols, each after those of its right-hand sides.

    Raises:
        CycleError: if the rules are recursive.
    """
    return list(
        TopologicalSorter({a: list(itertools.chain(*rules[a])) for a in rules}).static_order()
    )


def reachable(root: str, rules: Rules) -> set[str]:
    """Return the symbols that derivations from `root` can contain."""
    reached, waiting = {root}, [root]
    while waiting:
        new = set(itertools.chain(*rules.get(waiting.pop(), ()))) - reached
        reached |= new
        waiting += new
    return reached


def natural(symbol: str) -> tuple[int, int, str]:
    """Return a sort key: numbers by value, then text."""
    return (0, int(symbol), symbol) if re.fullmatch(r"-?[0-9]+", symbol) else (1, 0, symbol)


def begins(groups: Iterable[Sized]) -> np.ndarray:
    """Return where each group begins, and the last one ends, if they are laid end to end."""
    return np.cumsum([0, *map(len, groups)])
