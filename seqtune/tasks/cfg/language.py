"""What all probabilistic context-free grammars have in common, recursive or not.

A language is a value: rules with their probabilities, and the root that strings are derived from.
Samplers and scorers are compiled by numba, which is imported only when the first string is drawn or
scored, so that errors in a grammar are reported at once.
"""

from __future__ import annotations

import abc
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seqtune.tasks.base import Strings
from seqtune.tasks.cfg.ambiguity import SAMPLES, Ambiguity, Entropy
from seqtune.tasks.cfg.parallel import Sampler, Scorer
from seqtune.tasks.cfg.rules import Probabilities, Rules, begins, natural
from seqtune.tasks.cfg.trees import Trees

TokenStrings = Iterable[Sequence[int] | np.ndarray] | Strings

SAMPLE_SEED = 0
"""Seed of the samples that figures are estimated from."""

ROUNDING = 1e-6
"""A string this many nats likelier than its derivation has another one; rounding adds less."""


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Tokens per string: the minimum, the mean under the distribution and the maximum; all exact."""

    min: int
    mean: float
    max: int


class Language(abc.ABC):
    """A distribution over strings, given by a grammar.

    A symbol without rules is a terminal; number i of `terminals`, counted from 0, has token id i +
    1.

    Attributes:
        name: for messages and reports.
        root: the nonterminal that strings are derived from.
        rules: right-hand sides of every nonterminal, also of those that the root does not reach.
        probabilities: one for each right-hand side; they sum to 1 for every nonterminal.
    """

    name: str
    root: str
    rules: Rules
    probabilities: Probabilities

    @abc.abstractmethod
    def count(self) -> int:
        """Return the exact number of derivations; that of strings if the grammar is unambiguous.

        Raises:
            ValueError: if there are infinitely many.
        """

    @abc.abstractmethod
    def derivation_entropy(self) -> float:
        """Return the exact entropy of the derivations in nats; that of the strings is at most this."""

    @abc.abstractmethod
    def with_root(self, symbol: str | int) -> Language:
        """Return the language of the same rules and terminals with `symbol` as the root.

        Raises:
            ValueError: if `symbol` is not a nonterminal, or derives no string that is short enough.
        """

    @abc.abstractmethod
    def _find_lengths(self) -> Lengths: ...

    @abc.abstractmethod
    def _find_length_distribution(self) -> np.ndarray: ...

    @abc.abstractmethod
    def _search_ambiguity(self) -> Ambiguity:
        """Return what is known without sampling."""

    @abc.abstractmethod
    def _entropy_by_listing(self) -> float | None:
        """Return the entropy of the strings in nats by listing them; None if they are too many."""

    @abc.abstractmethod
    def _make_sampler(self) -> Sampler: ...

    @abc.abstractmethod
    def _make_scorer(self) -> Scorer: ...

    @cached_property
    def terminals(self) -> tuple[str, ...]:
        """The terminals of all rules in ascending order: numbers by value, then text."""
        used = {symbol for right in self.rules.values() for symbol in itertools.chain(*right)}
        return tuple(sorted(used - set(self.rules), key=natural))

    @cached_property
    def lengths(self) -> Lengths:
        """Shortest, mean and longest length."""
        return self._find_lengths()

    @cached_property
    def length_distribution(self) -> np.ndarray:
        """P(a string has n tokens), float64 [longest + 1]."""
        return self._find_length_distribution()

    def ambiguity(self) -> Ambiguity:
        """Return whether some string has more than one derivation: proven, or unknown."""
        return self._ambiguity

    def entropy(self) -> Entropy:
        """Return the entropy of the strings in nats, with its standard error as an attribute.

        Exact, with a standard error of 0, if the grammar is known to be unambiguous or its strings
        can be listed. Else it is the entropy of the derivations, which is exact, minus the mean of
        log P(x) - log P(d) over derivations d of strings x. Only that small difference is sampled,
        with an error tens of times smaller than that of averaging -log P(x). The standard error is
        at least log 2 / `SAMPLES`, what a single sample with a second derivation adds: ambiguity
        may be too rare to be sampled.
        """
        return self._entropy

    def sample(
        self, n: int, seed: int | np.random.Generator, *, threads: int = 1
    ) -> list[np.ndarray]:
        """Draw `n` strings, int64 arrays of token ids; the same for a seed on every machine."""
        tokens, offsets = self.sample_flat(n, np.random.default_rng(seed), threads=threads)
        tokens = tokens.astype(np.int64)
        return [tokens[begin:end] for begin, end in itertools.pairwise(offsets.tolist())]

    def sample_flat(
        self, n: int, generator: np.random.Generator, *, threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw `n` strings, laid end to end.

        Args:
            n: number of strings.
            generator: draws them.
            threads: number of threads, 0 for one per core; the strings are the same.

        Returns:
            Token ids [total], int8 (int32 if there are many symbols), and offsets [n + 1], int64:
            string i is tokens[offsets[i]:offsets[i + 1]].
        """
        return self._sampler.sample(n, generator=generator, threads=threads)

    def sample_trees(self, n: int, seed: int | np.random.Generator) -> Trees:
        """Draw `n` strings with their derivations, for instance as labels for probes."""
        return self._sampler.sample_trees(n, generator=np.random.default_rng(seed))

    def log_probability(self, strings: TokenStrings, *, threads: int = 1) -> np.ndarray:
        """Return the log probability of every string in nats, float64 [n]; -inf outside the language.

        A string is a sequence of token ids. The empty one is outside, as is any with an id that is
        no terminal's. `threads` is the number of threads, 0 for one per core.
        """
        return self._scorer.log_probability(*_flat(strings), threads=threads)

    def accepts(self, strings: TokenStrings) -> np.ndarray:
        """Return whether each string is in the language, bool [n]."""
        return self.log_probability(strings) > -np.inf

    def next_token(self, string: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the distribution after every prefix of a string, float64 [n + 1, terminals + 1].

        Row k is P(next | first k tokens): terminals in ascending order, the end of the string last.
        Rows of prefixes that no string of the language has are NaN.
        """
        return self.next_token_batch([string])[0]

    def next_token_batch(
        self, strings: TokenStrings, *, threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return `next_token` of many strings; `threads` is 0 for one per core.

        Returns:
            Rows [total, terminals + 1], float64, string after string, and offsets [n + 1], int64:
            those of string i are rows[offsets[i]:offsets[i + 1]], one more than it has tokens.
        """
        return self._scorer.next_token(*_flat(strings), threads=threads)

    def token_log_probabilities(self, strings: TokenStrings) -> tuple[np.ndarray, np.ndarray]:
        """Return the log probability in nats of every token and every end, given what precedes it.

        They sum to the string's log probability. A token that cannot follow has -inf, and all after
        it NaN.

        Returns:
            A flat float64 array and offsets [n + 1], laid out as the rows of `next_token_batch`.
        """
        return self._scorer.token_log_probability(*_flat(strings))

    @cached_property
    def _ambiguity(self) -> Ambiguity:
        found = self._search_ambiguity()
        if found.verdict != "unknown":
            return found
        strings, gains = self._sample_gains
        best = int(gains.argmax())
        if gains[best] <= ROUNDING:
            return found
        return Ambiguity(
            verdict="ambiguous",
            reason="a sampled string is likelier than the derivation that it was drawn by",
            witness=tuple(strings[best].tolist()),
        )

    @cached_property
    def _entropy(self) -> Entropy:
        if self._ambiguity.verdict == "unambiguous":
            return Entropy(self.derivation_entropy())
        if (exact := self._entropy_by_listing()) is not None:
            return Entropy(exact)
        _, gains = self._sample_gains
        spread = float(gains.std(ddof=1)) / math.sqrt(SAMPLES)
        return Entropy(
            self.derivation_entropy() - float(gains.mean()),
            standard_error=max(spread, math.log(2) / SAMPLES),
        )

    @cached_property
    def _sample_gains(self) -> tuple[Strings, np.ndarray]:
        """Sampled strings, and by how many nats each is likelier than its derivation, float64 [n]."""
        trees = self.sample_trees(SAMPLES, SAMPLE_SEED)
        strings = Strings(trees.tokens, trees.offsets)
        return strings, self.log_probability(strings) - trees.log_probability

    @cached_property
    def _sampler(self) -> Sampler:
        return self._make_sampler()

    @cached_property
    def _scorer(self) -> Scorer:
        return self._make_scorer()


def _flat(strings: TokenStrings) -> tuple[np.ndarray, np.ndarray]:
    """Return token ids [total] and offsets [n + 1] of strings; `Strings` are not copied.

    Raises:
        ValueError: if they are not one-dimensional, or not integers.
    """
    if isinstance(strings, Strings):
        return strings.tokens, strings.offsets
    arrays = [np.asarray(string) for string in strings]
    if any(array.ndim != 1 for array in arrays):
        raise ValueError(
            "strings must be a sequence of one-dimensional strings; for a single one write [string]"
        )
    tokens = np.concatenate([array for array in arrays if len(array)] or [np.empty(0, np.int64)])
    if tokens.dtype.kind not in "iu":
        raise ValueError(f"strings must hold integer token ids, but got {tokens.dtype}")
    return tokens, begins(arrays)
