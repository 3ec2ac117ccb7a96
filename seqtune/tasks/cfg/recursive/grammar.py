"""Probabilistic context-free grammars with recursion, made finite by a cap on the length of strings.

The language is what the grammar derives, given that it has at most `max_length` tokens: strings
within the cap keep their proportions, and share what the others would have had. So every figure is
exact, whatever the recursion: all of them follow from the probability by length (`by_length`), and
log P(x) = log inside(x) - log kept. It does not matter whether the grammar without its cap would
ever come to an end; S -> S S of probability 0.6 often would not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from seqtune.tasks.cfg.ambiguity import Ambiguity, Entropy
from seqtune.tasks.cfg.language import Language, Lengths
from seqtune.tasks.cfg.probabilities import scaled
from seqtune.tasks.cfg.recursive.ambiguity import capped_entropy, judge_capped
from seqtune.tasks.cfg.recursive.binarization import BinaryRules, binary_rules
from seqtune.tasks.cfg.recursive.by_length import (
    count_derivations,
    log_probability_by_length,
    possible_by_length,
    probability_by_length,
)
from seqtune.tasks.cfg.recursive.errors import recursive_problems
from seqtune.tasks.cfg.rules import Rules, read_rules

if TYPE_CHECKING:
    from seqtune.tasks.cfg.recursive.chart import SpanChart
    from seqtune.tasks.cfg.recursive.sampler import Descent

LEAST_KEPT = 1e-250
"""A cap must keep this share of the distribution; with less, figures would lose their digits."""


@dataclass(frozen=True, kw_only=True)
class RecursiveGrammar(Language):
    """A probabilistic context-free grammar, of which strings of at most `max_length` tokens are kept.

    A symbol without rules is a terminal; number i of `terminals`, counted from 0, has token id i + 1.
    Recursion may be of any sort; right-hand sides are not empty.

    Attributes:
        name: For messages and reports.
        root: The nonterminal that strings are derived from.
        rules: Right-hand sides of every nonterminal, also of those that the root does not reach.
        probabilities: One for each right-hand side; they sum to 1 for every nonterminal.
        max_length: Tokens of the longest string that is kept.
        is_unambiguous: Whether it is known, by construction, that every string has one derivation.
            In general that is undecidable.

    Raises:
        ValueError: One line for each of the `recursive_problems`; or the cap keeps almost nothing.

    Example:
        >>> rules = {"S": (("a", "S", "b"), ("a", "b"))}
        >>> halves = {"S": (0.5, 0.5)}
        >>> own = RecursiveGrammar(name="anbn", root="S", rules=rules, probabilities=halves, max_length=6)
        >>> own.kept, own.count(), own.length_distribution.round(3).tolist()
        (0.875, 3, [0.0, 0.0, 0.571, 0.0, 0.286, 0.0, 0.143])
    """

    name: str
    root: str
    rules: Rules
    probabilities: Mapping[str, tuple[float, ...]]
    max_length: int
    is_unambiguous: bool = False

    def __post_init__(self) -> None:
        if found := recursive_problems(
            self.root,
            self.rules,
            probabilities=self.probabilities,
            max_length=self.max_length,
        ):
            raise ValueError("\n".join(found))
        object.__setattr__(self, "root", str(self.root))
        object.__setattr__(self, "rules", MappingProxyType(read_rules(self.rules)))
        object.__setattr__(self, "probabilities", MappingProxyType(scaled(self.probabilities)))
        if self.kept < LEAST_KEPT:
            raise ValueError(
                f"max_length: must keep a share of at least {LEAST_KEPT:g} of the distribution, but "
                f"{self.max_length} tokens keep {self.kept:g}; write more"
            )

    def __hash__(self) -> int:
        return hash((self.name, self.root, frozenset(self.rules.items()), self.max_length))

    def __reduce__(self) -> tuple[Any, ...]:
        # Tables stay behind: a worker process builds its own sooner than it could read them.
        build = partial(
            RecursiveGrammar,
            name=self.name,
            root=self.root,
            rules=dict(self.rules),
            probabilities=dict(self.probabilities),
            max_length=self.max_length,
            is_unambiguous=self.is_unambiguous,
        )
        return build, ()

    def _find_lengths(self) -> Lengths:
        possible = possible_by_length(self.table, longest=self.max_length)[self.table.root]
        found = np.flatnonzero(possible)
        mean = float(self.length_distribution @ np.arange(self.max_length + 1))
        return Lengths(min=int(found[0]), mean=mean, max=int(found[-1]))

    def _find_length_distribution(self) -> np.ndarray:
        return self._by_length[self.table.root] / self.kept

    @cached_property
    def kept(self) -> float:
        """Share of the distribution without the cap that the cap keeps."""
        return math.fsum(self._by_length[self.table.root])

    def count(self) -> int:
        """Exact number of derivations, which is that of strings if the grammar is unambiguous.

        Raises:
            ValueError: There is no end of them: a symbol derives itself by unit rules.
        """
        return count_derivations(self.table, longest=self.max_length)

    def derivation_entropy(self) -> float:
        """Entropy of the derivations in nats, exact; that of the strings is at most this."""
        # P(d) = p(d) / kept, with p(d) of the grammar without its cap.
        return math.log(self.kept) - math.fsum(self._log_by_length[self.table.root]) / self.kept

    def with_root(self, symbol: str | int) -> RecursiveGrammar:
        """The same rules, terminals and cap, with strings derived from `symbol`.

        Raises:
            ValueError: `symbol` is not a nonterminal, or has no string within the cap.
        """
        return replace(self, root=str(symbol))

    @cached_property
    def table(self) -> BinaryRules:
        """The rules that strings within the cap need, in pairs: what every table is computed from."""
        return binary_rules(
            root=self.root,
            rules=self.rules,
            probabilities=self.probabilities,
            terminals=self.terminals,
            max_length=self.max_length,
        )

    @cached_property
    def _by_length(self) -> np.ndarray:
        return probability_by_length(self.table, longest=self.max_length)

    @cached_property
    def _log_by_length(self) -> np.ndarray:
        return log_probability_by_length(self.table, self._by_length, longest=self.max_length)

    def _make_sampler(self) -> Descent:
        from seqtune.tasks.cfg.recursive.sampler import Descent

        return Descent(self.table, lengths=self._by_length)

    def _make_chart(self) -> SpanChart:
        from seqtune.tasks.cfg.recursive.chart import SpanChart

        return SpanChart(self.table, lengths=self._by_length, kept=self.kept)

    def _find_ambiguity(self) -> Ambiguity:
        return judge_capped(self)

    def _find_entropy(self) -> Entropy:
        return capped_entropy(self)
