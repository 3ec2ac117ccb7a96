"""Probabilistic context-free grammars without recursion: rules, counts, lengths, entropies.

A grammar is a value: rules with their probabilities, and the root that strings are derived from.
Another nonterminal as the root keeps all rules, and so all terminals: a token id must mean the same
at every height. Recursive grammars are in `recursive`: they have no height, and no longest string.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache, cached_property, reduce
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from seqtune.config.errors import nearest
from seqtune.tasks.cfg.ambiguity import Ambiguity, find_ambiguity
from seqtune.tasks.cfg.language import Language, Lengths
from seqtune.tasks.cfg.named import RULES
from seqtune.tasks.cfg.parallel import Sampler, Scorer
from seqtune.tasks.cfg.rules import (
    Probabilities,
    RawRules,
    Rules,
    RuleTable,
    Word,
    begins,
    children_first,
    cycle,
    natural,
    probability_problems,
    problems,
    reachable,
    read_probabilities,
    read_rules,
    scale,
)

ENUMERABLE = 20_000
"""Most derivations for which the strings are listed, for exact figures of an ambiguous grammar."""

Folded = TypeVar("Folded")


@dataclass(frozen=True, kw_only=True)
class Grammar(Language):
    """A probabilistic context-free grammar without recursion.

    A symbol without rules is a terminal; number i of `terminals`, counted from 0, has token id i +
    1.

    Attributes:
        name: for messages and reports.
        root: the nonterminal that strings are derived from.
        rules: right-hand sides of every nonterminal, also of those that the root does not reach.
        probabilities: of every right-hand side; equal by default.

    Raises:
        ValueError: if the rules or the root are not a grammar, one line for each of the `problems`;
            or if the rules are recursive.

    Example:
        >>> rules = {"S": ["A A", "A"], "A": ["a", "b a"]}
        >>> toy = Grammar.from_rules(name="toy", root="S", rules=rules)
        >>> toy.terminals, toy.height, toy.count()
        (('a', 'b'), 2, 6)
    """

    name: str
    root: str
    rules: Rules
    probabilities: Probabilities = field(default_factory=dict)

    def __post_init__(self) -> None:
        if found := problems(self.root, self.rules):
            raise ValueError("\n".join(found))
        rules = read_rules(self.rules)
        if around := cycle(rules):
            raise ValueError(
                f"rules must not be recursive here, but got {' -> '.join(around)}; "
                "a recursive grammar needs a max_length"
            )
        object.__setattr__(self, "root", str(self.root))
        object.__setattr__(self, "rules", MappingProxyType(rules))
        probabilities = dict(self.probabilities) or read_probabilities(rules)
        if found := probability_problems(rules, probabilities):
            raise ValueError("\n".join(found))
        object.__setattr__(self, "probabilities", MappingProxyType(scale(probabilities)))

    @classmethod
    def from_rules(cls, *, name: str, root: str | int, rules: RawRules) -> Grammar:
        """Return the grammar of rules as users write them.

        Args:
            name: for messages and reports.
            root: the nonterminal that strings are derived from.
            rules: for every nonterminal its right-hand sides, each a text that is split at blanks,
                as "A B", or a list of symbols; integers become text. A mapping from texts to
                probabilities is for right-hand sides that are not equally likely.

        Raises:
            ValueError: one line for each of the `problems`.
        """
        if found := problems(root, rules):
            raise ValueError("\n".join(found))
        return cls(
            name=name,
            root=str(root),
            rules=read_rules(rules),
            probabilities=read_probabilities(rules),
        )

    def __hash__(self) -> int:
        return hash((self.name, self.root, frozenset(self.rules.items())))

    def __reduce__(self) -> tuple[Any, ...]:
        # Without tables: a worker process builds them faster than it could read them.
        return _restore, (self.name, self.root, dict(self.rules), dict(self.probabilities))

    @cached_property
    def heights(self) -> Mapping[str, int]:
        """Longest path from every nonterminal to a leaf; 1 if its rules hold terminals only."""
        heights = self._fold(0, lambda rules, _: 1 + max(map(max, rules)))
        return MappingProxyType(
            {symbol: heights[symbol] for symbol in sorted(self.rules, key=natural)}
        )

    @property
    def height(self) -> int:
        """Longest path from the root to a leaf."""
        return self.heights[self.root]

    def _find_lengths(self) -> Lengths:
        return Lengths(
            min=self._fold(1, lambda rules, _: min(map(sum, rules)))[self.root],
            mean=float(self._mean_lengths[self.root]),
            max=self._fold(1, lambda rules, _: max(map(sum, rules)))[self.root],
        )

    def _find_length_distribution(self) -> np.ndarray:
        one = np.array([0.0, 1.0])
        return self._fold(one, _mixture)[self.root]

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Exact number of derivations of every symbol."""
        return MappingProxyType(self._fold(1, lambda rules, _: sum(map(math.prod, rules))))

    def count(self) -> int:
        """Return the exact number of derivations; that of strings if the grammar is unambiguous."""
        return self.counts[self.root]

    def derivation_entropy(self) -> float:
        """Return the exact entropy of the derivations in nats; that of the strings is at most this."""
        entropies = self._fold(
            0.0,
            lambda rules, p: math.fsum(
                share * (sum(rhs) - math.log(share)) for share, rhs in zip(p, rules, strict=True)
            ),
        )
        return entropies[self.root]

    def strings(self) -> dict[Word, float]:
        """Return every string with its probability; see `RuleTable.strings`."""
        return self.table.strings(self.table.root)

    def derivations(self) -> list[tuple[Word, float]]:
        """Return string and probability of every derivation; see `strings`."""
        return self.table.derivations(self.table.root)

    def with_root(self, symbol: str | int) -> Grammar:
        """Return the grammar of the same rules and terminals with `symbol` as the root.

        Raises:
            ValueError: if `symbol` is not a nonterminal.
        """
        return replace(self, root=str(symbol))

    def with_height(self, height: int) -> Grammar:
        """Return the same with the root of that height whose mean length is largest; ties: the first.

        Raises:
            ValueError: if no nonterminal has that height.
        """
        tallest = max(self.heights.values())
        if isinstance(height, bool) or height not in range(1, tallest + 1):
            raise ValueError(
                f"height must be an integer from 1 to {tallest} for {self.name}, but got {height!r}"
            )
        candidates = [symbol for symbol, own in self.heights.items() if own == height]
        return self.with_root(max(candidates, key=self._mean_lengths.__getitem__))

    @cached_property
    def table(self) -> RuleTable:
        """The rules that the root reaches, as arrays: what sampler, scorer and ambiguity search read."""
        reached = reachable(self.root, self.rules)
        inner = sorted(reached & set(self.rules), key=lambda s: (self.heights[s], natural(s)))
        symbols = ("", *self.terminals, *inner)
        ids = {symbol: number for number, symbol in enumerate(symbols)}
        right = [
            [[ids[s] for s in rhs] for rhs in self.rules.get(symbol, ())] for symbol in symbols
        ]
        flat = [rhs for rules in right for rhs in rules]
        return RuleTable(
            symbols=symbols,
            terminals=len(self.terminals),
            heights=np.array([self.heights.get(symbol, 0) for symbol in symbols]),
            rule_begin=begins(right),
            rhs_begin=begins(flat),
            rhs=np.array([symbol for rhs in flat for symbol in rhs]),
            probability=np.array(
                [p for symbol in symbols for p in self.probabilities.get(symbol, ())]
            ),
        )

    def _make_sampler(self) -> Sampler:
        from seqtune.tasks.cfg.sampler import LevelSampler

        return LevelSampler(self.table, mean_length=self.lengths.mean)

    def _make_scorer(self) -> Scorer:
        from seqtune.tasks.cfg.chart import ChartScorer

        return ChartScorer(self.table)

    def _search_ambiguity(self) -> Ambiguity:
        return find_ambiguity(self.table)

    def _entropy_by_listing(self) -> float | None:
        if self.count() > ENUMERABLE:
            return None
        return -math.fsum(p * math.log(p) for p in self.strings().values())

    @cached_property
    def _mean_lengths(self) -> dict[str, Fraction]:
        # Exact, since a tie between nonterminals of equal mean must not be broken by rounding.
        return self._fold(
            Fraction(1),
            lambda rules, p: sum(
                (share * sum(rhs) for share, rhs in zip(_exact(p), rules, strict=True)), Fraction(0)
            ),
        )

    def _fold(
        self, leaf: Folded, join: Callable[[list[list[Folded]], tuple[float, ...]], Folded]
    ) -> dict[str, Folded]:
        """Fold the rules bottom-up: `leaf` for terminals, `join(rules, probabilities)` for others."""
        values: dict[str, Folded] = {}
        for symbol in children_first(self.rules):
            right = self.rules.get(symbol)
            values[symbol] = (
                join([[values[s] for s in rhs] for rhs in right], self.probabilities[symbol])
                if right
                else leaf
            )
        return values


def _mixture(rules: list[list[np.ndarray]], p: tuple[float, ...]) -> np.ndarray:
    """Return the length distribution of a symbol from those of the symbols in its rules."""
    sums = [reduce(np.convolve, rhs) for rhs in rules]
    whole = np.zeros(max(map(len, sums)))
    for share, own in zip(p, sums, strict=True):
        whole[: len(own)] += share * own
    return whole


def _exact(probabilities: tuple[float, ...]) -> list[Fraction]:
    """Return fractions that sum to 1, exactly equal if the probabilities are."""
    if len(set(probabilities)) == 1:
        return [Fraction(1, len(probabilities))] * len(probabilities)
    parts = [Fraction(p) for p in probabilities]
    return [part / sum(parts) for part in parts]


def grammar(name: str, *, root: int | str | None = None, height: int | None = None) -> Grammar:
    """Return a named grammar, whole or from another root.

    Args:
        name: one of `named.RULES`.
        root: the nonterminal that strings are derived from; None is the grammar's own root.
        height: height of the tree in place of a root; see `Grammar.with_height`.

    Raises:
        ValueError: if there is no such grammar, root or height, or both root and height are given.

    Example:
        >>> grammar("cfg3b", height=2).root
        '10'
    """
    if root is not None and height is not None:
        raise ValueError(f"give either root or height, but got (root={root}, height={height})")
    whole = _named(name)
    if root is not None:
        return whole.with_root(root)
    return whole if height is None else whole.with_height(height)


@cache
def _named(name: str) -> Grammar:
    if name not in RULES:
        raise ValueError(f"no such grammar: {name!r}{nearest(name, RULES)}")
    return Grammar.from_rules(name=name, root=next(iter(RULES[name])), rules=RULES[name])


def _restore(name: str, root: str, rules: Rules, probabilities: Probabilities) -> Grammar:
    return Grammar(name=name, root=root, rules=rules, probabilities=probabilities)
