"""What samplers and scorers have in common: many strings, in parts of bounded memory, on several threads.

Compiled functions release the interpreter's lock, so threads run side by side without copying
anything. Strings are drawn by one generator per part and scored one by one, so the number of
threads changes no result.
"""

import abc
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from seqtune.tasks.cfg.trees import Trees

Job = TypeVar("Job")
Result = TypeVar("Result")


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_jobs(work: Callable[[Job], Result], jobs: Iterable[Job], *, threads: int) -> list[Result]:
    """Return `work(job)` of every job, in order, with that many threads; 0 is one per core."""
    if threads < 0:
        raise ValueError(f"threads >= 0 must hold, but got threads={threads}")
    threads = threads or cores()
    if threads == 1:
        return [work(job) for job in jobs]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, jobs))


def slices(offsets: np.ndarray, *, tokens: int) -> Iterator[slice]:
    """Split strings, given by their offsets, into runs of about that many tokens, at least one string."""
    begin = 0
    while begin < len(offsets) - 1:
        end = int(np.searchsorted(offsets, offsets[begin] + tokens, side="right")) - 1
        end = max(end, begin + 1)
        yield slice(begin, end)
        begin = end


def _cut(tokens: np.ndarray, offsets: np.ndarray, part: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return token ids, int64, and offsets of some of the strings."""
    begin, end = offsets[part.start], offsets[part.stop]
    return tokens[begin:end].astype(np.int64), offsets[part.start : part.stop + 1] - begin


def own_probability(rows: np.ndarray, tokens: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the probability of every token and of every string's end, given what precedes it.

    Args:
        rows: float64 [total + n, terminals + 1]; the distributions after all prefixes of n strings.
        tokens: token ids [total].
        offsets: int64 [n + 1].

    Returns:
        float64 [total + n]; 0 where a token is no terminal, NaN where the row is NaN.
    """
    end = rows.shape[1]
    own = np.full(len(rows), end, dtype=np.int64)
    strings = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    own[np.arange(len(tokens)) + strings] = tokens
    known = (own >= 1) & (own <= end)
    column = np.where(known, own, end) - 1
    # A factor, so that NaN stays NaN.
    return rows[np.arange(len(rows)), column] * known


class Sampler(abc.ABC):
    """Draws strings of one grammar.

    Attributes:
        chunk_strings: strings drawn by one generator. This is part of what a seed means: another
            value gives other strings.
    """

    chunk_strings: int

    @abc.abstractmethod
    def _draw(self, n: int, *, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return token ids and offsets of `n` strings."""

    @abc.abstractmethod
    def sample_trees(self, n: int, *, generator: np.random.Generator) -> Trees:
        """Draw `n` strings with their derivations."""

    def sample(
        self, n: int, *, generator: np.random.Generator, threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return token ids and offsets of `n` strings, as described at `Language.sample_flat`."""
        if n < 0:
            raise ValueError(f"n >= 0 must hold, but got n={n}")
        if n <= self.chunk_strings:
            return self._draw(n, generator=generator)
        sizes = [min(self.chunk_strings, n - done) for done in range(0, n, self.chunk_strings)]
        jobs = zip(sizes, generator.spawn(len(sizes)), strict=True)
        parts = run_jobs(lambda job: self._draw(job[0], generator=job[1]), jobs, threads=threads)
        lengths = np.concatenate([np.diff(offsets) for _, offsets in parts])
        return np.concatenate([tokens for tokens, _ in parts]), np.cumsum(np.insert(lengths, 0, 0))


class Scorer(abc.ABC):
    """Scores strings of one grammar, given as token ids [total], one after the other, and offsets [n + 1].

    Attributes:
        terminals: number of terminals.
        slice_tokens: about this many tokens are scored at once; this bounds the memory.
    """

    terminals: int
    slice_tokens: int

    @abc.abstractmethod
    def _nats(self, tokens: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Return the log probability of the strings of a slice, float64 [n]."""

    @abc.abstractmethod
    def _rows(self, tokens: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Return the distributions after all prefixes of a slice, float64 [total + n, terminals + 1]."""

    def log_probability(
        self, tokens: np.ndarray, offsets: np.ndarray, *, threads: int = 1
    ) -> np.ndarray:
        """Return log probabilities in nats, float64 [n]; -inf outside the language."""
        out = np.empty(len(offsets) - 1)

        def score(part: slice) -> None:
            out[part] = self._nats(*_cut(tokens, offsets, part))

        run_jobs(score, slices(offsets, tokens=self.slice_tokens), threads=threads)
        return out

    def next_token(
        self, tokens: np.ndarray, offsets: np.ndarray, *, threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and their offsets, as described at `Language.next_token_batch`."""
        row_offsets = offsets + np.arange(len(offsets))
        out = np.empty((row_offsets[-1], self.terminals + 1))

        def score(part: slice) -> None:
            begin, end = row_offsets[part.start], row_offsets[part.stop]
            out[begin:end] = self._rows(*_cut(tokens, offsets, part))

        run_jobs(score, slices(offsets, tokens=self.slice_tokens), threads=threads)
        return out, row_offsets

    def token_log_probability(
        self, tokens: np.ndarray, offsets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return nats and their offsets, as described at `Language.token_log_probabilities`."""
        out = [np.empty(0)]
        for part in slices(offsets, tokens=self.slice_tokens):
            own, begins = _cut(tokens, offsets, part)
            out.append(own_probability(self._rows(own, begins), own, begins))
        with np.errstate(divide="ignore"):
            return np.log(np.concatenate(out)), offsets + np.arange(len(offsets))
