"""Probabilistic context-free grammars with recursion, made finite by a cap on the length of strings.

The distribution is that of the grammar, conditioned on at most `max_length` tokens: strings within
the cap keep their proportions. So all figures are exact for every kind of recursion: they follow
from the probability by length (`by_length`), and log P(x) = log inside(x) - log kept. Derivations
without the cap need not terminate; those of S -> S S with probability 0.6 often would not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

import numpy as np

from seqtune.tasks.cfg.ambiguity import Ambiguity
from seqtune.tasks.cfg.language import Language, Lengths
from seqtune.tasks.cfg.parallel import Sampler, Scorer
from seqtune.tasks.cfg.recursive.ambiguity import find_ambiguity, list_strings
from seqtune.tasks.cfg.recursive.binarization import BinaryRules, binarize, shortest
from seqtune.tasks.cfg.recursive.by_length import (
    count_derivations,
    log_probability_by_length,
    possible_by_length,
    probability_by_length,
)
from seqtune.tasks.cfg.rules import (
    Rules,
    probability_problems,
    problems,
    read_rules,
    scale,
)

LEAST_KEPT = 1e-250
"""Smallest share of the distribution that a cap may keep; below it, figures would lose digits."""


@dataclass(frozen=True, kw_only=True)
class RecursiveGrammar(Language):
    """A probabilistic context-free grammar, of which strings of at most `max_length` tokens are kept.

    A symbol without rules is a terminal; number i of `terminals`, counted from 0, has token id i +
    1. Recursion may be of any sort; right-hand sides are not empty.

    Attributes:
        name: for messages and reports.
        root: the nonterminal that strings are derived from.
        rules: right-hand sides of every nonterminal, also of those that the root does not reach.
        probabilities: one for each right-hand side; they sum to 1 for every nonterminal.
        max_length: tokens of the longest string that is kept.
        is_unambiguous: whether it is known by construction that every string has one derivation; in
            general that is undecidable.

    Raises:
        ValueError: if arguments are wrong, one line for each error; or the cap keeps almost
            nothing.

    Example:
        >>> rules = {"S": (("a", "S", "b"), ("a", "b"))}
        >>> halves = {"S": (0.5, 0.5)}
        >>> own = RecursiveGrammar(name="anbn", root="S", rules=rules, probabilities=halves,
        max_length=6) >>> own.kept, own.count(), own.length_distribution.round(3).tolist() (0.875,
        3, [0.0, 0.0, 0.571, 0.0, 0.286, 0.0, 0.143])
    """

    name: str
    root: str
    rules: Rules
    probabilities: Mapping[str, tuple[float, ...]]
    max_length: int
    is_unambiguous: bool = False

    def __post_init__(self) -> None:
        if found := _recursive_problems(
            self.root,
            self.rules,
            probabilities=self.probabilities,
            max_length=self.max_length,
        ):
            raise ValueError("\n".join(found))
        object.__setattr__(self, "root", str(self.root))
        object.__setattr__(self, "rules", MappingProxyType(read_rules(self.rules)))
        object.__setattr__(self, "probabilities", MappingProxyType(scale(self.probabilities)))
        if self.kept < LEAST_KEPT:
            raise ValueError(
                f"max_length: must keep a share of at least {LEAST_KEPT:g} of the distribution, but "
                f"{self.max_length} tokens keep {self.kept:g}; write more"
            )

    def __hash__(self) -> int:
        return hash((self.name, self.root, frozenset(self.rules.items()), self.max_length))

    def __reduce__(self) -> tuple[Any, ...]:
        # Without tables: a worker process builds them faster than it could read them.
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
        """Return the exact number of derivations; that of strings if the grammar is unambiguous.

        Raises:
            ValueError: if there are infinitely many, since a symbol derives itself by unit rules.
        """
        return count_derivations(self.table, longest=self.max_length)

    def derivation_entropy(self) -> float:
        """Return the exact entropy of the derivations in nats; that of the strings is at most this."""
        # P(d) = p(d) / kept, with p(d) that of the grammar without its cap.
        return math.log(self.kept) - math.fsum(self._log_by_length[self.table.root]) / self.kept

    def with_root(self, symbol: str | int) -> RecursiveGrammar:
        """Return the grammar of the same rules, terminals and cap with `symbol` as the root.

        Raises:
            ValueError: if `symbol` is not a nonterminal, or has no string within the cap.
        """
        return replace(self, root=str(symbol))

    @cached_property
    def table(self) -> BinaryRules:
        """The binarized rules that strings within the cap need; all tables are computed from them."""
        return binarize(
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

    def _make_sampler(self) -> Sampler:
        from seqtune.tasks.cfg.recursive.sampler import RecursiveSampler

        return RecursiveSampler(self.table, lengths=self._by_length)

    def _make_scorer(self) -> Scorer:
        from seqtune.tasks.cfg.recursive.prefix_probabilities import RecursiveScorer

        return RecursiveScorer(self.table, lengths=self._by_length, kept=self.kept)

    def _search_ambiguity(self) -> Ambiguity:
        if self.is_unambiguous:
            reason = "the construction of the grammar guarantees it"
            return Ambiguity(verdict="unambiguous", reason=reason)
        return find_ambiguity(self.table, max_length=self.max_length)

    def _entropy_by_listing(self) -> float | None:
        listed = dict(list_strings(self.table, max_length=self.max_length))
        if self.max_length not in listed:
            return None
        strings = [string for own in listed.values() for string in own]
        nats = self.log_probability(strings)
        return -math.fsum(np.exp(nats) * nats)


def _recursive_problems(
    root: str, rules: Rules, *, probabilities: Any, max_length: Any
) -> list[str]:
    """Return all errors in the arguments of a `RecursiveGrammar`, one line each."""
    found = []
    if isinstance(max_length, bool) or not isinstance(max_length, int) or max_length < 1:
        found.append(
            f"max_length: must be an integer of at least 1, but got {max_length!r}; "
            "write the tokens of the longest string"
        )
    if wrong := problems(root, rules):
        return wrong + found
    read = read_rules(rules)
    found = probability_problems(read, probabilities) + found
    least = shortest(read)[str(root)]
    if not found and least > max_length:
        found.append(
            f"max_length: must be at least {least}, the tokens of the shortest string of {root}, "
            f"but got {max_length}; write {least} or more"
        )
    return found
