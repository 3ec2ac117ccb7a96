"""What a task is: it draws strings, lays them out as batches, knows their floor and examines models.

Everything here is NumPy: a task needs neither torch nor a device. Shapes: B strings, T time steps.
"""

import abc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from seqtune.config.spec import Spec
from seqtune.tasks.description import Description
from seqtune.tasks.generative_evaluation import Exam, Prompt, Sample

Tokens = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Split: TypeAlias = Literal["train", "valid"]
"""What strings are for. Only a language that is a given text has to keep the two apart."""


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
        known: bool [B, T], true where the floor is known as well; None where that is wherever
            a token is scored.
    """

    tokens: Tokens
    targets: Tokens
    scored: Mask
    strings: Strings
    known: Mask | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def compared(self) -> Mask:
        """Bool [B, T], true where a token is scored and its floor is known."""
        return self.scored if self.known is None else self.scored & self.known

    def rows(self, part: slice) -> "Batch":
        """Some of its strings, laid out as they are here."""
        return Batch(
            self.tokens[part],
            self.targets[part],
            self.scored[part],
            self.strings.take(np.arange(len(self))[part]),
            known=None if self.known is None else self.known[part],
        )


@dataclass(frozen=True)
class Floor:
    """The best that any model can do on given strings: sums, so that batches add up.

    Attributes:
        nats: the true distribution's total loss on the compared tokens of these very strings.
        correct: how many of them a predictor that knows the distribution expects to get right.
        scored: number of compared tokens: those scored whose floor is known.
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
class WithTrees:
    """Strings and what is known of their structure, for every token that a model reads.

    Attributes:
        batch: the strings, laid out; B strings of T tokens.
        levels: names of the L levels of structure, the lowest first.
        symbols: names of the classes that a node of any level may be of.
        ancestors: int64 [L, B, T], the class of the node of that level over the token that is read at t;
            -1 where there is none, as over BOS and padding.
        boundaries: int64 [L, B, T], 1 where that token is its node's last, 0 where not, -1 where there
            is no node.
    """

    batch: Batch
    levels: tuple[str, ...]
    symbols: tuple[str, ...]
    ancestors: Tokens
    boundaries: Tokens


class Task(abc.ABC):
    """A language to learn.

    Attributes:
        vocab_size: number of tokens that a model may read (embedding rows).
        outputs: number of tokens that it may predict (logits).
        max_length: the most tokens that a model reads, in a batch or in an exam.
        prompt_length: tokens at the beginning of every string that are given and never predicted.
        data_hash: SHA-256 of the data that the language is read from; None if it is made by rules.
    """

    vocab_size: int
    outputs: int
    max_length: int
    prompt_length: int = 0
    data_hash: str | None = None

    @abc.abstractmethod
    def draw(
        self, count: int, *, generator: np.random.Generator, split: Split = "train"
    ) -> Strings:
        """Draws strings of the language."""

    @abc.abstractmethod
    def batch(self, strings: Strings) -> Batch:
        """Lays strings out for a model, T being the longest of them."""

    @abc.abstractmethod
    def floor(self, batch: Batch) -> Floor | None:
        """The floor of a batch's own strings, over its compared tokens; None where there is none."""

    def truth(self, batch: Batch) -> npt.NDArray[np.float64] | None:
        """The true distribution of every target, float64 [B, T, outputs]; None where nobody knows it.

        None as well where every compared token is certain: there the floor is 0 and says all. Rows where
        `batch.compared` is false hold NaN.
        """
        return None

    def labelled(self, count: int, *, generator: np.random.Generator) -> WithTrees | None:
        """Strings with their structure; None where a language has none."""
        return None

    def references(self, strings: Strings) -> Mapping[str, float]:
        """Losses of named predictors on these strings, in nats a scored token.

        They are for languages whose floor nobody knows, and stand in no other.
        """
        return {}

    def parts(self, strings: Strings) -> Strings:
        """What is looked for in the training data to tell whether these strings were trained on."""
        return strings

    @abc.abstractmethod
    def exam(self, count: int, *, generator: np.random.Generator) -> Exam | None:
        """The generative scores, from about `count` completions of each kind; None where nothing is generated."""

    @abc.abstractmethod
    def prompt(self, text: str | None, *, count: int, generator: np.random.Generator) -> Prompt:
        """What a person asks to be continued, `count` times.

        Args:
            text: as people write it; None for what the language begins with, or for drawn prompts.
            count: how often.
            generator: what prompts are drawn by.

        Raises:
            ValueError: if the text is no beginning that a model can read.
        """

    @abc.abstractmethod
    def judge(self, prompt: Prompt, *, completions: Tokens) -> tuple[Sample, ...]:
        """Each completion int64 [B, N] of a prompt as people read it, with where it goes wrong."""

    @property
    @abc.abstractmethod
    def token_names(self) -> tuple[str, ...]:
        """What every token stands for [vocab_size]: a model can be asked about a task that names its own alike."""

    @abc.abstractmethod
    def describe(self) -> Description:
        """The language in figures: sizes, counts, floors, a few strings."""

    def sample(self, count: int, *, generator: np.random.Generator) -> Batch:
        """Draws strings and lays them out."""
        return self.batch(self.draw(count, generator=generator))


class LanguageSpec(Spec):
    """What a member of `TaskSpec` describes: a language and how it is laid out."""

    @property
    def prompt_length(self) -> int:
        """`Task.prompt_length`, known before anything is built."""
        return 0

    @property
    @abc.abstractmethod
    def longest(self) -> int:
        """`Task.max_length`, known before anything is built."""

    @property
    @abc.abstractmethod
    def scores(self) -> frozenset[str]:
        """The metrics that the task has and not every task has, by the names of `METRICS`."""

    @abc.abstractmethod
    def build(self) -> Task:
        """The task."""
