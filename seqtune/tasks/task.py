"""What a task is: it draws strings, lays them out as batches, knows their floor and judges completions.

Everything here is NumPy: a task needs neither torch nor a device. Shapes: B strings, T time steps.
"""

import abc
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Strings:
    """Strings of unequal length, end to end: string i is `tokens[offsets[i]:offsets[i + 1]]`."""

    tokens: npt.NDArray[np.integer]
    offsets: Tokens

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> npt.NDArray[np.integer]:
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]

    def __iter__(self) -> Iterator[npt.NDArray[np.integer]]:
        return (self[index] for index in range(len(self)))

    @property
    def lengths(self) -> Tokens:
        """Tokens of each string, int64 [B]."""
        return np.diff(self.offsets)

    def take(self, rows: Tokens) -> "Strings":
        """The strings at `rows`, in that order."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        source = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Strings(tokens=self.tokens[source], offsets=offsets)

    def padded(self, *, fill: int, length: int | None = None) -> Tokens:
        """The strings as rows of int64 [B, T], filled up at the right; T is the longest by default."""
        lengths = self.lengths
        width = int(lengths.max(initial=0)) if length is None else length
        rows = np.full((len(self), width), fill, dtype=np.int64)
        rows[np.arange(width) < lengths[:, None]] = self.tokens
        return rows


@dataclass(frozen=True, eq=False)
class Batch:
    """What a model reads and what it is scored on.

    Attributes:
        tokens: int64 [B, T], what the model reads.
        targets: int64 [B, T], what it has to predict at each step.
        scored: bool [B, T], true where loss and accuracy count.
        strings: the strings that were laid out, one a row.
    """

    tokens: Tokens
    targets: Tokens
    scored: Mask
    strings: Strings

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class Floor:
    """The best that any model can do on given strings: sums, so that batches add up.

    Attributes:
        nats: the true distribution's total loss on the scored tokens of these very strings.
        correct: how many scored tokens a predictor that knows the distribution expects to get right.
        scored: number of scored tokens.
        strings: number of strings.
    """

    nats: float
    correct: float
    scored: int
    strings: int

    def __add__(self, other: "Floor") -> "Floor":
        return Floor(
            nats=self.nats + other.nats,
            correct=self.correct + other.correct,
            scored=self.scored + other.scored,
            strings=self.strings + other.strings,
        )

    @property
    def loss(self) -> float:
        """Nats per scored token."""
        return self.nats / self.scored

    @property
    def accuracy(self) -> float:
        """Best expected share of scored tokens right, in [0, 1]."""
        return self.correct / self.scored


@dataclass(frozen=True, eq=False)
class Prompt:
    """What generation starts from.

    Attributes:
        tokens: int64 [B, P], read before the first token is sampled.
        stop: the token that ends a completion.
        longest: completions are cut after this many tokens.
    """

    tokens: Tokens
    stop: int
    longest: int


class Task(abc.ABC):
    """A language to learn.

    Attributes:
        vocab_size: number of tokens that a model may read (embedding rows).
        outputs: number of tokens that it may predict (logits).
        max_length: the largest T of any batch.
    """

    vocab_size: int
    outputs: int
    max_length: int

    @abc.abstractmethod
    def draw(self, count: int, *, generator: np.random.Generator) -> Strings:
        """Draws strings of the language."""

    @abc.abstractmethod
    def batch(self, strings: Strings) -> Batch:
        """Lays strings out for a model, T being the longest of them."""

    @abc.abstractmethod
    def floor(self, batch: Batch) -> Floor | None:
        """The floor of a batch's own strings; None where it is not known exactly."""

    @abc.abstractmethod
    def prompt(self, count: int) -> Prompt | None:
        """What `count` completions start from; None where completions cannot be judged."""

    @abc.abstractmethod
    def judge(self, completions: Tokens) -> Mask:
        """Whether each completion is right, bool [B]; `completions` [B, N] hold the stop where they end."""

    def sample(self, count: int, *, generator: np.random.Generator) -> Batch:
        """Draws strings and lays them out."""
        return self.batch(self.draw(count, generator=generator))
