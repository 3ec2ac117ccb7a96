"""The batches that a model trains on, made ahead of time by a thread of their own.

What is drawn depends on seed and epoch alone, never on who was faster: one thread makes the batches one
after the other from one generator, and at most `AHEAD` of them wait.

While batches are made it is noted which validation strings are among them: in a small language, or after
long enough, a model is measured on strings that it has been trained on, and a report has to say so.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from seqtune import seeding
from seqtune.tasks.base import Batch, Mask, Strings, Task, Tokens
from seqtune.training.dataset_cache import CachedDataset
from seqtune.training.spec import DataSpec, FixedData, TrainingSpec

Prepared = TypeVar("Prepared")

AHEAD = 4
"""Batches that are made before they are asked for; enough to even out a slow one."""


class Batches:
    """The batches of every epoch.

    Attributes:
        seen: bool [V], which of the watched strings' parts are in batches made so far, or in the fixed set.
        waited_seconds: how long the last epoch's steps had to wait for their batches.
    """

    def __init__(
        self,
        task: Task,
        *,
        data: DataSpec,
        training: TrainingSpec,
        seed: int,
        watched: Strings,
        seen: Mask | None = None,
        language: str | None = None,
    ) -> None:
        """Draws the set, if there is one.

        Args:
            task: what is drawn from.
            data: fresh strings, or a set of them.
            training: how many a batch and an epoch.
            seed: of all draws.
            watched: validation strings.
            seen: which parts of these were seen in earlier sittings.
            language: hash of the task's spec, by which a set is shared on this node; None for not at all.
        """
        self._task = task
        self._training = training
        self._seed = seed
        parts = task.sentences(watched)
        self._watch = _Watch(parts)
        self.seen = np.zeros(len(parts), dtype=bool) if seen is None else seen.copy()
        self.waited_seconds = 0.0
        self._set: Strings | None = None
        if isinstance(data, FixedData):
            self._set = CachedDataset(language, strings=data.strings, seed=seed).of(task)
            self.seen |= self._watch.among(task.sentences(self._set))

    def of_epoch(
        self, epoch: int, *, prepare: Callable[[Batch], Prepared]
    ) -> Generator[Prepared, None, None]:
        """Hands out an epoch's batches while the next ones are being made.

        Args:
            epoch: which, from 0.
            prepare: what else the thread does to a batch, such as sending it to a device.
        """
        self.waited_seconds = 0.0
        making = (prepare(batch) for batch in self._made(epoch))
        waiting: deque[Future[Prepared | None]] = deque()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as pool:
            try:
                for _ in range(AHEAD):
                    waiting.append(_begun(pool, making))
                while (batch := self._wait(waiting.popleft())) is not None:
                    waiting.append(_begun(pool, making))
                    yield batch
            finally:
                pool.shutdown(cancel_futures=True)

    def _wait(self, future: "Future[Prepared | None]") -> Prepared | None:
        started = time.perf_counter()
        batch = future.result()
        self.waited_seconds += time.perf_counter() - started
        return batch

    def _made(self, epoch: int) -> Iterator[Batch]:
        for strings in self._fresh(epoch) if self._set is None else self._shuffled(epoch):
            yield self._task.batch(strings)

    def _fresh(self, epoch: int) -> Iterator[Strings]:
        generator = seeding.generator(self._seed, "data", epoch)
        for _ in range(self._training.batches_per_epoch):
            strings = self._task.draw(self._training.batch_size, generator=generator)
            self.seen |= self._watch.among(self._task.sentences(strings))
            yield strings

    def _shuffled(self, epoch: int) -> Iterator[Strings]:
        assert self._set is not None
        generator = seeding.generator(self._seed, "order", epoch)
        rows = np.empty(0, dtype=np.int64)
        for _ in range(self._training.batches_per_epoch):
            if len(rows) == 0:
                rows = generator.permutation(len(self._set))
            yield self._set.take(rows[: self._training.batch_size])
            rows = rows[self._training.batch_size :]


def _begun(pool: ThreadPoolExecutor, making: Iterator[Prepared]) -> "Future[Prepared | None]":
    """The next of what is being made.

    Raises:
        SystemExit: if this process is ending. That is no fault of a run, which goes on elsewhere.
    """
    try:
        return pool.submit(next, making, None)
    except RuntimeError as error:
        # While batches are asked for, nobody but the interpreter shuts the pool down, or refuses it a thread.
        if "shutdown" not in str(error):
            raise
        raise SystemExit(f"the process is ending: {error}") from error


class _Watch:
    """Finds strings again by a 64-bit fingerprint."""

    def __init__(self, strings: Strings) -> None:
        self._factors = _factors(int(strings.lengths.max(initial=0)))
        self._longest = len(self._factors)
        self._sorted, self._which = np.unique(self._fingerprints(strings), return_inverse=True)

    def among(self, strings: Strings) -> Mask:
        """Which of the watched strings are among these, bool [V]."""
        prints = self._fingerprints(strings)
        found = np.zeros(len(self._sorted), dtype=bool)
        if len(found) == 0:
            return found
        places = np.searchsorted(self._sorted, prints).clip(max=len(self._sorted) - 1)
        found[places[self._sorted[places] == prints]] = True
        return found[self._which]

    def _fingerprints(self, strings: Strings) -> npt.NDArray[np.uint64]:
        """uint64 [B]: of a linear hash modulo 2^64; a string longer than any that is watched has 0."""
        lengths = strings.lengths
        short = lengths <= self._longest
        if not short.all():
            prints = np.zeros(len(strings), dtype=np.uint64)
            prints[short] = self._fingerprints(strings.take(np.flatnonzero(short)))
            return prints
        if len(strings) == 0:
            return np.zeros(0, dtype=np.uint64)
        positions = np.arange(len(strings.tokens)) - np.repeat(strings.offsets[:-1], lengths)
        # One more than the token, so that a 0 at the end counts.
        terms = (strings.tokens.astype(np.uint64) + np.uint64(1)) * self._factors[positions]
        return np.add.reduceat(terms, strings.offsets[:-1])


def _factors(count: int) -> npt.NDArray[np.uint64]:
    """Random odd numbers: strings that differ in one token never share a fingerprint."""
    drawn: Tokens = np.random.default_rng(0).integers(1 << 63, size=count)
    return drawn.astype(np.uint64) * np.uint64(2) + np.uint64(1)
