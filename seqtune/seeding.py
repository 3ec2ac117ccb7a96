"""Independent named random generators from one seed.

A stream is named by its purpose and, if it is used repeatedly, by an index such as the epoch. So a
run that resumes in epoch 7 draws what an uninterrupted run draws there, without saved generator
state, and a change in one stream (more validation strings) changes no draw of another.
"""

import zlib
from typing import Literal, TypeAlias

import numpy as np

Stream: TypeAlias = Literal[
    "data",
    "order",
    "valid",
    "init",
    "dropout",
    "forcing",
    "generate",
    "search",
    "audit",
    "grammar",
    "probe",
]


def generator(seed: int, stream: Stream, *index: int) -> np.random.Generator:
    """Return NumPy's generator of a stream; equal arguments give equal draws on every machine."""
    return np.random.default_rng(_sequence(seed, stream, index))


def integer_seed(seed: int, stream: Stream, *index: int) -> int:
    """Return a 63-bit seed of a stream, for generators other than NumPy's."""
    return int(_sequence(seed, stream, index).generate_state(1, np.uint64)[0] >> 1)


def _sequence(seed: int, stream: Stream, index: tuple[int, ...]) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=(zlib.crc32(stream.encode()), *index))
