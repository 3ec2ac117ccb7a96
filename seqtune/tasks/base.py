"""The contract of a task: it draws strings, lays them out, knows their floor and checks completions.

Tasks use NumPy only: neither torch nor a device. Shapes: B strings, T time steps.
"""

import abc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from seqtune.config.spec import Spec
from seqtune.tasks.description import Description
from seqtune.tasks.generative_evaluation import GenerativeEvaluation, Prompt, Sample

Tokens = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Split: TypeAlias = Literal["train", "valid"]
"""What strings are drawn for. Only a language given by a text has to keep the two apart."""


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
        """Number of tokens of each string, int64 [B]."""
        return np.diff(self.offsets)

    def take(self, rows: Tokens) -> "Strings":
        """Return the strings at `rows`, in that order."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        source = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Strings(tokens=self.tokens[source], offsets=offsets)

    def padded(self, *, fill: int, length: int | None = None) -> Tokens:
        """Return the strings as int64 [B, T], padded at the right; T is the longest by default."""
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
        strings: the strings that were laid out, one per row.
        known: bool [B, T], true where the floor is known; None if it is known for every scored
            token.
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
        """Where a token is scored and its floor is known, bool [B, T]."""
        return self.scored if self.known is None else self.scored & self.known

    def rows(self, part: slice) -> "Batch":
        """Return some rows of the batch, laid out as before."""
        return Batch(
            self.tokens[part],
            self.targets[part],
            self.scored[part],
            self.strings.take(np.arange(len(self))[part]),
            known=None if self.known is None else self.known[part],
        )


@dataclass(frozen=True)
class Floor:
    """The best that any model can do on given strings, as sums, so that batches add up.

    Attributes:
        nats: total loss of the true distribution on the compared tokens of these very strings.
        correct: how many of these a predictor that knows the distribution gets right on average.
        scored: number of compared tokens: those that are scored and whose floor is known.
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
        """Nats per compared token."""
        return self.nats / self.scored

    @property
    def accuracy(self) -> float:
        """Best expected share of compared tokens that are right, in [0, 1]."""
        return self.correct / self.scored


@dataclass(frozen=True, eq=False)
class WithTrees:
    """Strings and their trees, as labels of every token that a model reads.

    Attributes:
        batch: the strings, laid out; B strings of T tokens.
        levels: names of the L levels of the trees, the lowest first.
        symbols: names of the classes of nodes.
        ancestors: int64 [L, B, T], class of the node of that level above the token read at t; -1
            where there is none, as above BOS and padding.
        boundaries: int64 [L, B, T], 1 if that token is its node's last, 0 if not, -1 where there is
            no node.
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
        max_length: the most tokens that a model reads, in a batch or in a generative evaluation.
        prompt_length: tokens at the beginning of every string that are given and never predicted.
        data_hash: SHA-256 of the data that the language is read from; None if rules define it.
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
        """Draw strings of the language."""

    @abc.abstractmethod
    def batch(self, strings: Strings) -> Batch:
        """Lay strings out for a model; T is the longest of them."""

    @abc.abstractmethod
    def floor(self, batch: Batch) -> Floor | None:
        """Return the floor of these very strings over the compared tokens; None if it is unknown."""

    def true_distributions(self, batch: Batch) -> npt.NDArray[np.float64] | None:
        """Return the true distribution of every target, float64 [B, T, outputs]; None if unknown.

        None as well if every compared token is certain, where the floor of 0 says the same. Rows
        where `batch.compared` is false hold NaN.
        """
        return None

    def with_trees(self, count: int, *, generator: np.random.Generator) -> WithTrees | None:
        """Draw strings together with their structure; None if the language has none."""
        return None

    def references(self, strings: Strings) -> Mapping[str, float]:
        """Return losses of reference predictors on these strings, in nats per scored token.

        For languages whose floor is unknown; empty for all others.
        """
        return {}

    def sentences(self, strings: Strings) -> Strings:
        """Return the units to look up in the training data when train-validation overlap is measured."""
        return strings

    @abc.abstractmethod
    def generative_evaluation(
        self, count: int, *, generator: np.random.Generator
    ) -> GenerativeEvaluation | None:
        """Return the evaluation of about `count` completions of each kind; None if there is none."""

    @abc.abstractmethod
    def prompt(self, text: str | None, *, count: int, generator: np.random.Generator) -> Prompt:
        """Return a prompt to be continued `count` times.

        Args:
            text: the prompt as a user writes it; None for the beginning of a string, or drawn
            prompts.
            count: number of completions.
            generator: draws the prompts.

        Raises:
            ValueError: if a model cannot read the text as the beginning of a string.
        """

    @abc.abstractmethod
    def check_completions(self, prompt: Prompt, *, completions: Tokens) -> tuple[Sample, ...]:
        """Return each completion int64 [B, N] of a prompt as text, with the place of its first error."""

    @property
    @abc.abstractmethod
    def token_names(self) -> tuple[str, ...]:
        """What every token stands for [vocab_size]. A model can be evaluated on tasks of equal names."""

    @abc.abstractmethod
    def describe(self) -> Description:
        """Return the language in figures: sizes, counts, floors, a few strings."""

    def sample(self, count: int, *, generator: np.random.Generator) -> Batch:
        """Draw strings and lay them out."""
        return self.batch(self.draw(count, generator=generator))


class LanguageSpec(Spec):
    """What the members of `TaskSpec` have in common: a language and how it is laid out.

    Attributes:
        size_field: the field that makes strings longer when it grows, and in which a trained model
            can be evaluated beyond its training; None if there is none.
        generation_ignores: fields without effect on what `seqtune generate` prints, each with what
            to write instead.
        probe_ignores: the same for `seqtune probe`.
    """

    size_field: ClassVar[str | None] = None
    generation_ignores: ClassVar[Mapping[str, str]] = {}
    probe_ignores: ClassVar[Mapping[str, str]] = {}

    @property
    def prompt_length(self) -> int:
        """`Task.prompt_length`, known before the task is built."""
        return 0

    @property
    @abc.abstractmethod
    def longest(self) -> int:
        """`Task.max_length`, known before the task is built."""

    @property
    @abc.abstractmethod
    def scores(self) -> frozenset[str]:
        """Names of the metrics that this task has and that not every task has."""
