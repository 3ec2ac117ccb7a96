"""The batches that a model trains on, made ahead of time by one thread.

What is drawn depends on seed and epoch alone, never on timing: one thread makes the batches one
after another from one generator, and at most `AHEAD` of them wait.

A fixed set is drawn once and cached on the node, because in a sweep many runs want the same set
(search trial k has seed k in every cell). The first run writes it; the others map the same pages of
memory, read-only.

While batches are made, validation strings among them are recorded: in a small language, or after
long enough, a model is evaluated on strings that it was trained on, and a report has to say so.
"""

import hashlib
import json
import shutil
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from seqtune import provenance, seeding
from seqtune.storage.files import cache_folder, write_atomically
from seqtune.tasks.base import Batch, Mask, Strings, Task
from seqtune.training.spec import DataSpec, FixedData, TrainingSpec

Prepared = TypeVar("Prepared")

AHEAD = 4
"""Batches that are made before they are requested; enough to even out a slow one."""

CACHED_TOKENS = 1_000_000
"""Smallest size of a set that is cached: a smaller one is drawn faster than it is found."""

CACHE_BYTES = 8 << 30
"""Limit for all cached sets; the least recently used are removed first."""

_FILES = ("tokens.npy", "offsets.npy")
_LAST_FILE = _FILES[-1]
"""Written last: if it exists the set is complete. Its modification time is that of the last use."""


class Batches:
    """The batches of every epoch.

    Attributes:
        seen: bool [V], which parts of the validation strings were in batches made so far, or are in
            the fixed set.
        waited_seconds: how long the steps of the last epoch waited for their batches.
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
        """Draw the fixed set, if there is one.

        Args:
            task: source of the strings.
            data: fresh strings, or a fixed set of them.
            training: strings per batch and batches per epoch.
            seed: of all draws.
            watched: the validation strings.
            seen: which parts of them were seen before the run was resumed.
            language: hash of the task's spec, under which a set is cached; None for no caching.
        """
        self._task = task
        self._training = training
        self._seed = seed
        parts = task.sentences(watched)
        self._overlap = _Overlap(parts)
        self.seen = np.zeros(len(parts), dtype=bool) if seen is None else seen.copy()
        self.waited_seconds = 0.0
        self._set: Strings | None = None
        if isinstance(data, FixedData):
            self._set = CachedDataset(language, strings=data.strings, seed=seed).load(task)
            self.seen |= self._overlap.find(task.sentences(self._set))

    def of_epoch(
        self, epoch: int, *, prepare: Callable[[Batch], Prepared]
    ) -> Generator[Prepared, None, None]:
        """Yield an epoch's batches while the next ones are being made.

        Args:
            epoch: from 0.
            prepare: further work of the thread on a batch, such as sending it to a device.
        """
        self.waited_seconds = 0.0
        batches = (prepare(self._task.batch(strings)) for strings in self._draw(epoch))
        waiting: deque[Future[Prepared | None]] = deque()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as pool:
            try:
                for _ in range(AHEAD):
                    waiting.append(_submit_next(pool, batches))
                while (batch := self._wait_for(waiting.popleft())) is not None:
                    waiting.append(_submit_next(pool, batches))
                    yield batch
            finally:
                pool.shutdown(cancel_futures=True)

    def _wait_for(self, future: "Future[Prepared | None]") -> Prepared | None:
        started = time.perf_counter()
        batch = future.result()
        self.waited_seconds += time.perf_counter() - started
        return batch

    def _draw(self, epoch: int) -> Iterator[Strings]:
        return self._draw_fresh(epoch) if self._set is None else self._shuffle(self._set, epoch)

    def _draw_fresh(self, epoch: int) -> Iterator[Strings]:
        generator = seeding.generator(self._seed, "data", epoch)
        for _ in range(self._training.batches_per_epoch):
            strings = self._task.draw(self._training.batch_size, generator=generator)
            self.seen |= self._overlap.find(self._task.sentences(strings))
            yield strings

    def _shuffle(self, strings: Strings, epoch: int) -> Iterator[Strings]:
        generator = seeding.generator(self._seed, "order", epoch)
        rows = np.empty(0, dtype=np.int64)
        for _ in range(self._training.batches_per_epoch):
            if len(rows) == 0:
                rows = generator.permutation(len(strings))
            yield strings.take(rows[: self._training.batch_size])
            rows = rows[self._training.batch_size :]


def _submit_next(
    pool: ThreadPoolExecutor, batches: Iterator[Prepared]
) -> "Future[Prepared | None]":
    """Start making the next batch; its future holds None after the last.

    Raises:
        SystemExit: if this process is ending. That is not the run's fault; it is resumed elsewhere.
    """
    try:
        return pool.submit(next, batches, None)
    except RuntimeError as error:
        # While batches are requested, only the exiting interpreter shuts the pool down or refuses a
        # thread.
        if "shutdown" not in str(error):
            raise
        raise SystemExit(f"the process is ending: {error}") from error


@dataclass(frozen=True)
class CachedDataset:
    """A set of `strings` strings of a task, drawn with `seed`.

    Attributes:
        language: hash of the task's spec; None for no caching.
    """

    language: str | None
    strings: int
    seed: int

    def load(self, task: Task) -> Strings:
        """Return the strings; a large set is read from the cache, where the first run writes it."""
        if self.language is None or self.strings * task.max_length < CACHED_TOKENS:
            return self._draw(task)
        folder = cache_folder() / "sets" / self._key(task)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder):
            fresh = not (folder / _LAST_FILE).exists()
            if fresh:
                strings = self._draw(task)
                for name, array in zip(_FILES, (strings.tokens, strings.offsets), strict=True):
                    with write_atomically(folder / name) as file:
                        np.save(file, array)
            (folder / _LAST_FILE).touch()
            tokens, offsets = (np.load(folder / name, mmap_mode="r") for name in _FILES)
        if fresh:
            _evict(folder.parent, used=folder)
        return Strings(tokens=tokens, offsets=offsets)

    def _draw(self, task: Task) -> Strings:
        return task.draw(self.strings, generator=seeding.generator(self.seed, "data"))

    def _key(self, task: Task) -> str:
        """Hash everything that the strings depend on, the code included."""
        known = [self.language, task.data_hash, self.strings, self.seed, provenance.versions()]
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def _lock(folder: Path, *, timeout: float = -1.0) -> FileLock:
    """Return the lock that is held while a set is written, found or removed."""
    return FileLock(folder.with_suffix(".lock"), timeout=timeout)


def _evict(sets: Path, *, used: Path) -> None:
    """Remove the least recently used sets; a run that has mapped one keeps its pages."""
    others = [path for path in sets.iterdir() if path.is_dir() and path != used]
    total = _size_bytes(used)
    for path in sorted(others, key=_last_use, reverse=True):
        total += _size_bytes(path)
        if total <= CACHE_BYTES:
            continue
        try:
            with _lock(path, timeout=0.0):
                shutil.rmtree(path)
        except Timeout:
            continue  # another run is opening it


def _last_use(path: Path) -> float:
    last = path / _LAST_FILE
    return last.stat().st_mtime if last.exists() else 0.0


def _size_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.glob("*.npy"))


class _Overlap:
    """Finds the strings of one set among others, by a 64-bit fingerprint."""

    def __init__(self, strings: Strings) -> None:
        longest = int(strings.lengths.max(initial=0))
        # Random odd factors: strings that differ in one token never share a fingerprint.
        factors = np.random.default_rng(0).integers(1 << 63, size=longest)
        self._factors = factors.astype(np.uint64) * np.uint64(2) + np.uint64(1)
        self._sorted, self._which = np.unique(self._fingerprints(strings), return_inverse=True)

    def find(self, strings: Strings) -> Mask:
        """Return which of the set's strings are among `strings`, bool [V]."""
        prints = self._fingerprints(strings)
        found = np.zeros(len(self._sorted), dtype=bool)
        if len(found) == 0:
            return found
        places = np.searchsorted(self._sorted, prints).clip(max=len(self._sorted) - 1)
        found[places[self._sorted[places] == prints]] = True
        return found[self._which]

    def _fingerprints(self, strings: Strings) -> npt.NDArray[np.uint64]:
        """Return a linear hash modulo 2^64, uint64 [B]; 0 for strings too long to match."""
        lengths = strings.lengths
        short = lengths <= len(self._factors)
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
