"""What every probabilistic context-free grammar can do, recursive or not.

A language is a value: rules with their probabilities, and the root that strings grow from. Drawing and
scoring are compiled by numba, which is imported only when the first string is drawn or scored: a mistake
in a grammar is reported at once.
"""

from __future__ import annotations

import abc
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from seqtune.tasks.base import Strings
from seqtune.tasks.cfg.ambiguity import Ambiguity, Entropy
from seqtune.tasks.cfg.probabilities import Probabilities
from seqtune.tasks.cfg.rules import Rules, begins, natural
from seqtune.tasks.cfg.scoring import Scorer
from seqtune.tasks.cfg.trees import Trees

TokenStrings = Iterable[Sequence[int] | np.ndarray] | Strings


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Tokens a string: the least, the mean under the distribution, and the most; all exact."""

    min: int
    mean: float
    max: int


class Sampler(Protocol):
    """Draws strings: `Language.sample_flat` and `Language.sample_trees`."""

    def sample(
        self, n: int, *, generator: np.random.Generator, threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]: ...

    def sample_trees(self, n: int, *, generator: np.random.Generator) -> Trees: ...


class Language(abc.ABC):
    """A distribution over strings, given by a grammar.

    A symbol without rules is a terminal; number i of `terminals`, counted from 0, has token id i + 1.

    Attributes:
        name: For messages and reports.
        root: The nonterminal that strings are derived from.
        rules: Right-hand sides of every nonterminal, also of those that the root does not reach.
        probabilities: One for each right-hand side; they sum to 1 for every nonterminal.
    """

    name: str
    root: str
    rules: Rules
    probabilities: Probabilities

    @abc.abstractmethod
    def count(self) -> int:
        """Exact number of derivations, which is that of strings if the grammar is unambiguous.

        Raises:
            ValueError: There is no end of them.
        """

    @abc.abstractmethod
    def derivation_entropy(self) -> float:
        """Entropy of the derivations in nats, exact; that of the strings is at most this."""

    @abc.abstractmethod
    def with_root(self, symbol: str | int) -> Language:
        """The same rules and terminals, with strings derived from `symbol`.

        Raises:
            ValueError: `symbol` is not a nonterminal, or derives no string that is short enough.
        """

    @abc.abstractmethod
    def _find_lengths(self) -> Lengths: ...

    @abc.abstractmethod
    def _find_length_distribution(self) -> np.ndarray: ...

    @abc.abstractmethod
    def _find_ambiguity(self) -> Ambiguity: ...

    @abc.abstractmethod
    def _find_entropy(self) -> Entropy: ...

    @abc.abstractmethod
    def _make_sampler(self) -> Sampler: ...

    @abc.abstractmethod
    def _make_chart(self) -> Scorer: ...

    @cached_property
    def terminals(self) -> tuple[str, ...]:
        """The terminals of all rules in natural ascending order: numbers by value, then text."""
        used = {symbol for right in self.rules.values() for symbol in itertools.chain(*right)}
        return tuple(sorted(used - set(self.rules), key=natural))

    @cached_property
    def lengths(self) -> Lengths:
        """Shortest, mean and longest string."""
        return self._find_lengths()

    @cached_property
    def length_distribution(self) -> np.ndarray:
        """P(a string has n tokens), float64 [longest + 1]."""
        return self._find_length_distribution()

    def ambiguity(self) -> Ambiguity:
        """Whether a string has more than one derivation: known, shown by a witness, or unknown."""
        return self._ambiguity

    def entropy(self) -> Entropy:
        """Entropy of the strings in nats, with its standard error as an attribute.

        Exact, with a standard error of 0, if the grammar is known to be unambiguous or its strings
        can be listed; else from a fixed number of samples of a fixed seed.
        """
        return self._entropy

    def sample(
        self, n: int, seed: int | np.random.Generator, *, threads: int = 1
    ) -> list[np.ndarray]:
        """`n` strings as int64 arrays of token ids; the same for the same seed on every machine."""
        tokens, offsets = self.sample_flat(n, np.random.default_rng(seed), threads=threads)
        tokens = tokens.astype(np.int64)
        return [tokens[begin:end] for begin, end in itertools.pairwise(offsets.tolist())]

    def sample_flat(
        self, n: int, generator: np.random.Generator, *, threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """`n` strings, one after the other: what `sample` wraps.

        Args:
            n: Number of strings.
            generator: What they are drawn by.
            threads: How many draw, 0 for one a core; the strings are the same.

        Returns:
            Token ids [total], int8 (int32 where those are too few), and offsets [n + 1], int64:
            string i is tokens[offsets[i]:offsets[i + 1]].
        """
        return self._sampler.sample(n, generator=generator, threads=threads)

    def sample_trees(self, n: int, seed: int | np.random.Generator) -> Trees:
        """`n` strings with the derivations that they were drawn by: labels for probing."""
        return self._sampler.sample_trees(n, generator=np.random.default_rng(seed))

    def log_probability(self, strings: TokenStrings, *, threads: int = 1) -> np.ndarray:
        """Log probability of every string in nats, float64 [n]; -inf outside the language.

        A string is a sequence of token ids. The empty one is outside, as is any with an id that no
        terminal has. Strings are scored by so many threads, 0 for one a core.
        """
        return self._chart.log_probability(*_flat(strings), threads=threads)

    def accepts(self, strings: TokenStrings) -> np.ndarray:
        """Whether every string is in the language, bool [n]."""
        return self.log_probability(strings) > -np.inf

    def next_token(self, string: Sequence[int] | np.ndarray) -> np.ndarray:
        """Distribution of what follows every prefix of a string, float64 [n + 1, terminals + 1].

        Row k is P(next | first k tokens): terminals in ascending order, the end of the string last.
        Rows of prefixes that no string of the language begins with are NaN: there is no such P.
        """
        return self.next_token_batch([string])[0]

    def next_token_batch(
        self, strings: TokenStrings, *, threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """`next_token` of many strings, by so many threads, 0 for one a core.

        Returns:
            Rows [total, terminals + 1], float64, string after string, and offsets [n + 1], int64:
            those of string i are rows[offsets[i]:offsets[i + 1]], one more than it has tokens.
        """
        return self._chart.next_token(*_flat(strings), threads=threads)

    def token_log_probabilities(self, strings: TokenStrings) -> tuple[np.ndarray, np.ndarray]:
        """Log probability in nats of every token and of every end, given what is before it.

        They sum to the string's log probability. A token that cannot follow has -inf, and whatever
        comes after it NaN.

        Returns:
            A flat float64 array and offsets [n + 1], laid out as the rows of `next_token_batch`.
        """
        return self._chart.token_log_probability(*_flat(strings))

    @cached_property
    def _ambiguity(self) -> Ambiguity:
        return self._find_ambiguity()

    @cached_property
    def _entropy(self) -> Entropy:
        return self._find_entropy()

    @cached_property
    def _sampler(self) -> Sampler:
        return self._make_sampler()

    @cached_property
    def _chart(self) -> Scorer:
        return self._make_chart()


def _flat(strings: TokenStrings) -> tuple[np.ndarray, np.ndarray]:
    """Token ids [total] and offsets [n + 1] of strings; what is flat already is not copied.

    Raises:
        ValueError: They are not one-dimensional, or no integers.
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
