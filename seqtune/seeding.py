"""One seed, many independent generators, each with a name.

A stream is named by what it is drawn for and, where it is used again and again, by an index (the epoch).
So a run that goes on in epoch 7 draws what a run never interrupted draws there, with no generator state
to save; and a change in one place (more validation strings) moves no draw elsewhere.
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
    """NumPy's generator of a stream: equal arguments give equal draws on every machine."""
    return np.random.default_rng(_sequence(seed, stream, index))


def integer_seed(seed: int, stream: Stream, *index: int) -> int:
    """A 63-bit seed of a stream, for generators that are not NumPy's."""
    return int(_sequence(seed, stream, index).generate_state(1, np.uint64)[0] >> 1)


def _sequence(seed: int, stream: Stream, index: tuple[int, ...]) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=(zlib.crc32(stream.encode()), *index))
