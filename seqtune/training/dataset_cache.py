"""Sets of strings that are drawn once: kept on the node, and read by every run that trains on them.

In a sweep the same set is wanted by many runs (search trial k has seed k in every cell). The first one
draws it and writes it to the cache folder; the others map the same pages of memory, read-only.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from seqtune import provenance, seeding
from seqtune.storage.files import cache_folder, write_atomically
from seqtune.tasks.base import Strings, Task

WORTH_KEEPING = 1_000_000
"""Tokens from which on a set is kept: a smaller one is drawn in less time than it takes to find."""

ROOM = 8 << 30
"""Bytes that all kept sets may take; the ones that were used longest ago go first."""

FILES = ("tokens.npy", "offsets.npy")
LAST = FILES[-1]
"""Where this one is, the set is whole; its time is that of the last use."""


@dataclass(frozen=True)
class CachedDataset:
    """A set: `strings` strings of a task, drawn by a seed.

    Attributes:
        language: hash of the task's spec; None if the set is not to be kept.
    """

    language: str | None
    strings: int
    seed: int

    def of(self, task: Task) -> Strings:
        """Its strings; a set of many tokens is read from where another run of this node has put it."""
        if self.language is None or self.strings * task.max_length < WORTH_KEEPING:
            return self._drawn(task)
        folder = cache_folder() / "sets" / self._name(task)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            fresh = not (folder / LAST).exists()
            if fresh:
                _write(self._drawn(task), folder=folder)
            (folder / LAST).touch()
            tokens, offsets = (np.load(folder / name, mmap_mode="r") for name in FILES)
        if fresh:
            _make_room(folder.parent, used=folder)
        return Strings(tokens=tokens, offsets=offsets)

    def _drawn(self, task: Task) -> Strings:
        return task.draw(self.strings, generator=seeding.generator(self.seed, "data"))

    def _name(self, task: Task) -> str:
        """Of all that its strings depend on: the code too."""
        known = [self.language, task.data_hash, self.strings, self.seed, provenance.versions()]
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def _alone(folder: Path, *, timeout: float = -1.0) -> FileLock:
    """Keeps other runs off a set while it is made, found or removed."""
    return FileLock(folder.with_suffix(".lock"), timeout=timeout)


def _write(strings: Strings, *, folder: Path) -> None:
    for name, array in zip(FILES, (strings.tokens, strings.offsets), strict=True):
        with write_atomically(folder / name) as file:
            np.save(file, array)


def _make_room(sets: Path, *, used: Path) -> None:
    """Removes the sets that were used longest ago; a run that has one mapped keeps its pages."""
    others = [path for path in sets.iterdir() if path.is_dir() and path != used]
    taken = _size(used)
    for path in sorted(others, key=_last_used, reverse=True):
        taken += _size(path)
        if taken <= ROOM:
            continue
        try:
            with _alone(path, timeout=0.0):
                shutil.rmtree(path)
        except Timeout:
            continue  # another run is looking for it right now


def _last_used(path: Path) -> float:
    last = path / LAST
    return last.stat().st_mtime if last.exists() else 0.0


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.glob("*.npy"))
