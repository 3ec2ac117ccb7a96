"""Work on many strings, in pieces of bounded size, by one thread or several.

What is compiled lets go of the interpreter, so threads run side by side without copying anything.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

Job = TypeVar("Job")
Result = TypeVar("Result")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def mapped(work: Callable[[Job], Result], jobs: Iterable[Job], *, threads: int) -> list[Result]:
    """What `work` makes of every job, in their order; `threads` at a time, 0 for one a core."""
    if threads < 0:
        raise ValueError(f"threads >= 0 must hold, but got threads={threads}")
    threads = threads or cores()
    if threads == 1:
        return [work(job) for job in jobs]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, jobs))


def slices(offsets: np.ndarray, *, tokens: int) -> Iterator[slice]:
    """Cuts strings, given by their offsets, into runs of about so many tokens, of one at least."""
    begin = 0
    while begin < len(offsets) - 1:
        end = int(np.searchsorted(offsets, offsets[begin] + tokens, side="right")) - 1
        end = max(end, begin + 1)
        yield slice(begin, end)
        begin = end


def cut(tokens: np.ndarray, offsets: np.ndarray, part: slice) -> tuple[np.ndarray, np.ndarray]:
    """Some of the strings: their token ids, int64, and offsets."""
    begin, end = offsets[part.start], offsets[part.stop]
    return tokens[begin:end].astype(np.int64), offsets[part.start : part.stop + 1] - begin
