"""Ways to lay a grammar's strings out for a model, each with its true distributions and floor.

Terminals are tokens 1 to t; BOS is 0, EOS is t + 1.
"""

import abc
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from seqtune.tasks.base import Batch, Floor, Mask, Strings, Tokens
from seqtune.tasks.cfg.language import Language
from seqtune.tasks.cfg.parallel import slices

Distributions: TypeAlias = npt.NDArray[np.float64]

FLOOR_TOKENS = 1 << 18
"""For a floor, distributions of about this many tokens are held at once."""

SENTENCES_SKIPPED = 4
"""Packed windows begin at a random position within this many of the longest sentences."""


class StringLayout(abc.ABC):
    """How strings become batches.

    Attributes:
        outputs: number of tokens that a model may predict.
        max_length: the largest T of any batch.
        ends: whether the end of a string is predicted, so that strings can be generated.
    """

    outputs: int
    max_length: int
    ends: bool = True

    def __init__(self, language: Language) -> None:
        self.language = language
        self.bos, self.eos = 0, len(language.terminals) + 1

    def draw(self, count: int, *, generator: np.random.Generator) -> Strings:
        """Draw what becomes the rows of a batch; by default, strings."""
        tokens, offsets = self.language.sample_flat(count, generator)
        return Strings(tokens=tokens, offsets=offsets)

    @abc.abstractmethod
    def batch(self, strings: Strings) -> Batch:
        """Lay strings out."""

    @abc.abstractmethod
    def true_distributions(self, batch: Batch) -> Distributions:
        """Return the distribution of every compared token, float64 [B, T, outputs]; NaN elsewhere."""

    def floor(self, batch: Batch) -> Floor:
        """Return the floor of the compared tokens."""
        nats = correct = 0.0
        for part in slices(batch.strings.offsets, tokens=FLOOR_TOKENS):
            own = batch.rows(part)
            true = self.true_distributions(own)[own.compared]
            chosen = np.take_along_axis(true, own.targets[own.compared][:, None], axis=1)
            nats -= float(np.log(chosen).sum())
            correct += float(true.max(axis=1).sum())
        compared = int(batch.compared.sum())
        return Floor(nats=nats, correct=correct, scored=compared, strings=len(batch))

    def sentences(self, strings: Strings) -> Strings:
        """Return the sentences that lie entirely within the rows of a batch."""
        return strings


class Sentences(StringLayout):
    """Reads BOS s1 .. sn and predicts s1 .. sn EOS; padding never counts."""

    def __init__(self, language: Language) -> None:
        super().__init__(language)
        self.outputs = self.eos + 1
        self.max_length = language.lengths.max + 1

    def batch(self, strings: Strings) -> Batch:
        longest = int(strings.lengths.max(initial=0))
        rows = strings.padded(fill=self.eos, length=longest + 1)
        tokens = np.concatenate([np.full((len(rows), 1), self.bos), rows[:, :-1]], axis=1)
        scored = np.arange(longest + 1) <= strings.lengths[:, None]
        return Batch(tokens, rows, scored, strings)

    def true_distributions(self, batch: Batch) -> Distributions:
        rows, _ = self.language.next_token_batch(batch.strings)
        true = _unknown(batch, outputs=self.outputs)
        true[batch.scored] = _after_zero(rows)
        return true


class Padded(StringLayout):
    """Reads s1 .. s(n-1), predicts s2 .. sn, and 0 from there to the end of the longest string.

    Where the target is padding, so is the input: neither the end of a string nor its first token is
    ever predicted. A model knows from its input that the string continues, so the floor conditions
    each distribution on that; padding is certain, so where it is scored its loss is 0.
    """

    ends = False

    def __init__(self, language: Language, *, score_padding: bool) -> None:
        super().__init__(language)
        self._score_padding = score_padding
        self.outputs = self.eos
        # At least one step: if every string has one token, there is only padding to read.
        self.max_length = max(1, language.lengths.max - 1)

    def batch(self, strings: Strings) -> Batch:
        rows = strings.padded(fill=0, length=max(2, int(strings.lengths.max(initial=0))))
        targets = rows[:, 1:]
        tokens = np.where(targets > 0, rows[:, :-1], 0)
        scored = np.ones_like(targets, dtype=bool) if self._score_padding else targets > 0
        return Batch(tokens, targets, scored, strings)

    def true_distributions(self, batch: Batch) -> Distributions:
        rows, offsets = self.language.next_token_batch(batch.strings)
        used = np.ones(len(rows), dtype=bool)
        used[offsets[:-1]] = used[offsets[1:] - 1] = False
        going_on = rows[used, :-1] / (1.0 - rows[used, -1:])
        true = _unknown(batch, outputs=self.outputs)
        true[batch.targets > 0] = _after_zero(going_on)
        true[batch.scored & (batch.targets == 0)] = np.eye(1, self.outputs)
        return true


class Packed(StringLayout):
    """Windows of the endless stream BOS string EOS BOS string EOS ..., starting anywhere in it.

    A string of this layout is a window: one token more than the model reads. The floor of a token
    is exact from the first BOS of its window on, including a last sentence that is cut; before it
    the beginning of the sentence is missing, and the floor is unknown. After EOS, BOS is certain.
    """

    def __init__(self, language: Language, *, window: int) -> None:
        super().__init__(language)
        self.window = window
        self.outputs = self.eos + 1
        # Generation reads a whole sentence, even if windows are shorter.
        self.max_length = max(window, language.lengths.max + 1)

    def draw(self, count: int, *, generator: np.random.Generator) -> Strings:
        size = self.window + 1
        skipped = int(generator.random() * max(size, SENTENCES_SKIPPED * self.language.lengths.max))
        needed = skipped + count * size
        mean = self.language.lengths.mean + 2
        pieces: list[np.ndarray] = []
        while (missing := needed - sum(map(len, pieces))) > 0:
            sentences = super().draw(int(missing / mean) + 2, generator=generator)
            pieces.append(self._stream(sentences))
        stream = np.concatenate(pieces)[skipped:needed]
        return Strings(tokens=stream, offsets=np.arange(count + 1) * size)

    def sentences(self, strings: Strings) -> Strings:
        sentences, is_whole = self._split(strings.padded(fill=self.eos))
        return sentences.take(np.flatnonzero(is_whole))

    def _stream(self, sentences: Strings) -> np.ndarray:
        """Return the sentences end to end, each between BOS and EOS."""
        begins = sentences.offsets[:-1] + 2 * np.arange(len(sentences))
        stream = np.empty(len(sentences.tokens) + 2 * len(sentences), sentences.tokens.dtype)
        inner = np.ones(len(stream), dtype=bool)
        stream[begins] = self.bos
        stream[begins + sentences.lengths + 1] = self.eos
        inner[begins] = inner[begins + sentences.lengths + 1] = False
        stream[inner] = sentences.tokens
        return stream

    def batch(self, strings: Strings) -> Batch:
        rows = strings.padded(fill=self.eos)
        begun = np.logical_or.accumulate(rows[:, :-1] == self.bos, axis=1)
        targets = rows[:, 1:]
        known = begun | (targets == self.bos)
        scored = np.ones_like(targets, dtype=bool)
        return Batch(rows[:, :-1], targets, scored, strings, known=known)

    def true_distributions(self, batch: Batch) -> Distributions:
        sentences, is_whole = self._split(batch.strings.padded(fill=self.eos))
        rows, offsets = self.language.next_token_batch(sentences)
        used = np.ones(len(rows), dtype=bool)
        used[offsets[1:] - 1] = is_whole
        begins = batch.targets == self.bos
        true = _unknown(batch, outputs=self.outputs)
        true[batch.compared & ~begins] = _after_zero(rows[used])
        true[begins] = np.eye(1, self.outputs)
        return true

    def _split(self, rows: Tokens) -> tuple[Strings, Mask]:
        """Return what follows every BOS up to EOS or the window's end, and whether it reaches EOS."""
        number = np.cumsum(rows == self.bos, axis=1)
        # A number for every sentence of the batch; those that began before their window have 0.
        keys = np.where(number > 0, number + np.arange(len(rows))[:, None] * (rows.shape[1] + 1), 0)
        # A BOS as the last target of a window begins a sentence of which nothing is predicted.
        inside = (keys > 0) & (rows != self.bos)
        found, of_token = np.unique(keys[inside], return_inverse=True)
        ends = rows[inside] == self.eos
        is_whole = np.zeros(len(found), dtype=bool)
        is_whole[of_token[ends]] = True
        lengths = np.bincount(of_token[~ends], minlength=len(found))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return Strings(tokens=rows[inside][~ends], offsets=offsets), is_whole


def _unknown(batch: Batch, *, outputs: int) -> Distributions:
    return np.full((*batch.targets.shape, outputs), np.nan)


def _after_zero(rows: np.ndarray) -> np.ndarray:
    """Insert a column for token 0, which cannot follow, before that of token 1."""
    return np.pad(rows, ((0, 0), (1, 0)))
