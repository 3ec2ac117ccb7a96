"""Probabilistic context-free grammars without recursion: rules, counts, lengths, entropies.

A grammar is a value: rules, and the root that strings grow from. Another nonterminal as the root
keeps every rule and so every terminal, since a token id must mean the same at every height.

Sampling and parsing are compiled by numba, which is imported only when the first string is drawn or
parsed: a mistake in a grammar is reported at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from seqtune.spec import nearest
from seqtune.tasks.cfg.ambiguity import Ambiguity, Entropy, judge, string_entropy
from seqtune.tasks.cfg.named import RULES
from seqtune.tasks.cfg.rules import (
    RawRules,
    Rules,
    RuleTable,
    begins,
    children_first,
    natural,
    problems,
    reachable,
    read_rules,
)

if TYPE_CHECKING:
    from seqtune.tasks.cfg.chart import Chart
    from seqtune.tasks.cfg.sampler import Sampler

TokenStrings = Iterable[Sequence[int] | np.ndarray]
Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Tokens a string: the least, the mean under the distribution, and the most; all exact."""

    min: int
    mean: float
    max: int


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """A probabilistic context-free grammar without recursion.

    All rules of a nonterminal are equally likely. A symbol without rules is a terminal; number i of
    `terminals`, counted from 0, has token id i + 1.

    Attributes:
        name: For messages and reports.
        root: The nonterminal that strings are derived from.
        rules: Right-hand sides of every nonterminal, also of those that the root does not reach.

    Raises:
        ValueError: The rules or the root are not a grammar; one line for each of the `problems`.

    Example:
        >>> rules = {"S": ["A A", "A"], "A": ["a", "b a"]}
        >>> toy = Grammar.from_rules(name="toy", root="S", rules=rules)
        >>> toy.terminals, toy.height, toy.count()
        (('a', 'b'), 2, 6)
    """

    name: str
    root: str
    rules: Rules

    def __post_init__(self) -> None:
        if found := problems(self.root, self.rules):
            raise ValueError("\n".join(found))
        object.__setattr__(self, "root", str(self.root))
        object.__setattr__(self, "rules", MappingProxyType(read_rules(self.rules)))

    @classmethod
    def from_rules(cls, *, name: str, root: str | int, rules: RawRules) -> Grammar:
        """The grammar of rules as a person writes them.

        Args:
            name: For messages and reports.
            root: The nonterminal that strings are derived from.
            rules: For every nonterminal its right-hand sides, each a text that is split at blanks,
                as "A B", or a list of symbols; integers are turned into text.

        Raises:
            ValueError: One line for each of the `problems`.
        """
        return cls(name=name, root=str(root), rules=cast(Rules, rules))

    def __hash__(self) -> int:
        return hash((self.name, self.root, frozenset(self.rules.items())))

    def __reduce__(self) -> tuple[Any, ...]:
        # Tables stay behind: a worker process builds its own sooner than it could read them.
        return _restore, (self.name, self.root, dict(self.rules))

    @cached_property
    def terminals(self) -> tuple[str, ...]:
        """The terminals of all rules in natural ascending order: numbers by value, then text."""
        used = {symbol for right in self.rules.values() for symbol in itertools.chain(*right)}
        return tuple(sorted(used - set(self.rules), key=natural))

    @cached_property
    def heights(self) -> Mapping[str, int]:
        """Longest path to a leaf from every nonterminal; 1 where all rules hold terminals only."""
        heights = self._fold(0, lambda rules: 1 + max(map(max, rules)))
        return MappingProxyType(
            {symbol: heights[symbol] for symbol in sorted(self.rules, key=natural)}
        )

    @property
    def height(self) -> int:
        """Longest path from the root to a leaf."""
        return self.heights[self.root]

    @cached_property
    def lengths(self) -> Lengths:
        """Shortest, mean and longest string."""
        return Lengths(
            min=self._fold(1, lambda rules: min(map(sum, rules)))[self.root],
            mean=float(self._mean_lengths[self.root]),
            max=self._fold(1, lambda rules: max(map(sum, rules)))[self.root],
        )

    def count(self) -> int:
        """Exact number of derivations, which is that of strings if the grammar is unambiguous."""
        return self._fold(1, lambda rules: sum(map(math.prod, rules)))[self.root]

    def derivation_entropy(self) -> float:
        """Entropy of the derivations in nats, exact; that of the strings is at most this."""
        entropies = self._fold(
            0.0, lambda rules: math.log(len(rules)) + sum(map(sum, rules)) / len(rules)
        )
        return entropies[self.root]

    def ambiguity(self) -> Ambiguity:
        """Whether a string has more than one derivation: proven, shown by a witness, or unknown."""
        return self._ambiguity

    def entropy(self) -> Entropy:
        """Entropy of the strings in nats, with its standard error as an attribute.

        Exact, with a standard error of 0, if the grammar is proven unambiguous or has few
        derivations; else from a fixed number of samples of a fixed seed, as
        `ambiguity.string_entropy` describes.
        """
        return self._entropy

    def strings(self, symbol: str | None = None) -> dict[tuple[int, ...], float]:
        """Every string of `symbol` (the root if None) with its probability.

        Only for small languages: time and memory grow with the number of derivations.
        """
        merged: dict[tuple[int, ...], float] = {}
        for string, probability in self.derivations(symbol):
            merged[string] = merged.get(string, 0.0) + probability
        return merged

    def derivations(self, symbol: str | None = None) -> list[tuple[tuple[int, ...], float]]:
        """String and probability of every derivation of `symbol`; see `strings`."""
        symbol = self.root if symbol is None else symbol
        if symbol not in self.rules:
            return [((self.terminals.index(symbol) + 1,), 1.0)]
        right = self.rules[symbol]
        return [
            (sum((string for string, _ in parts), ()), math.prod(p for _, p in parts) / len(right))
            for rhs in right
            for parts in itertools.product(*map(self.derivations, rhs))
        ]

    def with_root(self, symbol: str | int) -> Grammar:
        """The same rules and terminals, with strings derived from `symbol`.

        Raises:
            ValueError: `symbol` is not a nonterminal.
        """
        return Grammar(name=self.name, root=str(symbol), rules=self.rules)

    def with_height(self, height: int) -> Grammar:
        """The same from the root of that height whose mean string is longest; the first of equals.

        Raises:
            ValueError: No nonterminal has that height.
        """
        tallest = max(self.heights.values())
        if isinstance(height, bool) or height not in range(1, tallest + 1):
            raise ValueError(
                f"height must be an integer from 1 to {tallest} for {self.name}, but got {height!r}"
            )
        candidates = [symbol for symbol, own in self.heights.items() if own == height]
        return self.with_root(max(candidates, key=self._mean_lengths.__getitem__))

    def sample(self, n: int, seed: int | np.random.Generator) -> list[np.ndarray]:
        """`n` strings as int64 arrays of token ids; the same for the same seed on every machine."""
        return _split(*self.sample_flat(n, np.random.default_rng(seed)))

    def sample_flat(self, n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """`n` strings, one after the other: what `sample` wraps.

        Returns:
            Token ids [total], int8 (int32 if the grammar has more than 127 symbols), and offsets
            [n + 1], int64: string i is tokens[offsets[i]:offsets[i + 1]].
        """
        return self._sampler.sample(n, generator=generator)

    def sample_derivations(
        self, n: int, generator: np.random.Generator
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """`n` strings and the log probability in nats of the derivation that each was drawn by."""
        tokens, offsets, log_probability = self._sampler.sample_derivations(n, generator=generator)
        return _split(tokens, offsets), log_probability

    def log_probability(self, strings: TokenStrings) -> np.ndarray:
        """Log probability of every string in nats, float64 [n]; -inf outside the language.

        A string is a sequence of token ids. The empty one is outside, as is any with an id that no
        terminal has.
        """
        return self._chart.log_probability(*_flatten(strings))

    def accepts(self, strings: TokenStrings) -> np.ndarray:
        """Whether every string is in the language, bool [n]."""
        return self.log_probability(strings) > -np.inf

    def next_token(self, string: Sequence[int] | np.ndarray) -> np.ndarray:
        """Distribution of what follows every prefix of a string, float64 [n + 1, terminals + 1].

        Row k is P(next | first k tokens): terminals in ascending order, the end of the string last.
        Rows of prefixes that no string of the language begins with are NaN: there is no such P.
        """
        return self.next_token_batch([string])[0]

    def next_token_batch(self, strings: TokenStrings) -> tuple[np.ndarray, np.ndarray]:
        """`next_token` of many strings.

        Returns:
            Rows [total, terminals + 1], float64, string after string, and offsets [n + 1], int64:
            those of string i are rows[offsets[i]:offsets[i + 1]], one more than it has tokens.
        """
        return self._chart.next_token(*_flatten(strings))

    def token_log_probabilities(self, strings: TokenStrings) -> tuple[np.ndarray, np.ndarray]:
        """Log probability in nats of every token and of every end, given what is before it.

        They sum to the string's log probability. A token that cannot follow has -inf, and whatever
        comes after it NaN.

        Returns:
            A flat float64 array and offsets [n + 1], laid out as the rows of `next_token_batch`.
        """
        return self._chart.token_log_probability(*_flatten(strings))

    @cached_property
    def table(self) -> RuleTable:
        """The rules that the root reaches, as arrays: what sampler and chart read."""
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
            probability=np.array([1 / len(rules) for rules in right for _ in rules]),
        )

    @cached_property
    def _sampler(self) -> Sampler:
        from seqtune.tasks.cfg.sampler import Sampler

        return Sampler(self)

    @cached_property
    def _chart(self) -> Chart:
        from seqtune.tasks.cfg.chart import Chart

        return Chart(self)

    @cached_property
    def _ambiguity(self) -> Ambiguity:
        return judge(self)

    @cached_property
    def _entropy(self) -> Entropy:
        return string_entropy(self)

    @cached_property
    def _mean_lengths(self) -> dict[str, Fraction]:
        # Exact, since a tie between nonterminals of equal mean must not be broken by rounding.
        return self._fold(Fraction(1), lambda rules: Fraction(sum(map(sum, rules)), len(rules)))

    def _fold(self, leaf: Value, join: Callable[[list[list[Value]]], Value]) -> dict[str, Value]:
        """A value of every symbol: of terminals `leaf`, of others what `join` makes of the rules."""
        values: dict[str, Value] = {}
        for symbol in children_first(self.rules):
            right = self.rules.get(symbol)
            values[symbol] = join([[values[s] for s in rhs] for rhs in right]) if right else leaf
        return values


def grammar(name: str, *, root: int | str | None = None, height: int | None = None) -> Grammar:
    """A named grammar, whole or from another root.

    Args:
        name: One of `named.RULES`.
        root: The nonterminal that strings are derived from; the grammar's own if None.
        height: Height of the tree in place of a root: see `Grammar.with_height`.

    Raises:
        ValueError: No such grammar, root or height, or both root and height.

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


def _restore(name: str, root: str, rules: Rules) -> Grammar:
    return Grammar(name=name, root=root, rules=rules)


def _split(tokens: np.ndarray, offsets: np.ndarray) -> list[np.ndarray]:
    """Strings as int64 arrays."""
    tokens = tokens.astype(np.int64)
    return [tokens[begin:end] for begin, end in itertools.pairwise(offsets.tolist())]


def _flatten(strings: TokenStrings) -> tuple[np.ndarray, np.ndarray]:
    """Token ids [total] and offsets [n + 1] of strings, both int64."""
    arrays = [np.asarray(string) for string in strings]
    if any(array.ndim != 1 for array in arrays):
        raise ValueError(
            "strings must be a sequence of one-dimensional strings; for a single one write [string]"
        )
    tokens = np.concatenate([array for array in arrays if len(array)] or [np.empty(0, np.int64)])
    if tokens.dtype.kind not in "iu":
        raise ValueError(f"strings must hold integer token ids, but got {tokens.dtype}")
    return tokens.astype(np.int64), begins(arrays)
