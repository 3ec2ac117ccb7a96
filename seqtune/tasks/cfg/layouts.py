"""The ways to lay a grammar's strings out for a model, each with its true distributions and its floor.

Terminals are tokens 1 to t; BOS is 0, EOS is t + 1.
"""

import abc
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from seqtune.tasks.base import Batch, Floor, Mask, Strings, Tokens
from seqtune.tasks.cfg.language import Language
from seqtune.tasks.cfg.threads import slices

Truth: TypeAlias = npt.NDArray[np.float64]

FLOOR_TOKENS = 1 << 18
"""For a floor, next-token distributions of about so many tokens are held at once."""

SENTENCES_SKIPPED = 4
"""Packed windows begin at a random place within so many of the longest sentences."""


class Layout(abc.ABC):
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
        """Draws what becomes a row of a batch: here, a string."""
        tokens, offsets = self.language.sample_flat(count, generator)
        return Strings(tokens=tokens, offsets=offsets)

    @abc.abstractmethod
    def batch(self, strings: Strings) -> Batch:
        """Lays strings out."""

    @abc.abstractmethod
    def truth(self, batch: Batch) -> Truth:
        """The true distribution of every compared token, float64 [B, T, outputs]; NaN elsewhere."""

    def floor(self, batch: Batch) -> Floor:
        """The floor of the compared tokens."""
        nats = correct = 0.0
        for part in slices(batch.strings.offsets, tokens=FLOOR_TOKENS):
            own = batch.rows(part)
            true = self.truth(own)[own.compared]
            chosen = np.take_along_axis(true, own.targets[own.compared][:, None], axis=1)
            nats -= float(np.log(chosen).sum())
            correct += float(true.max(axis=1).sum())
        compared = int(batch.compared.sum())
        return Floor(nats=nats, correct=correct, scored=compared, strings=len(batch))

    def parts(self, strings: Strings) -> Strings:
        """The sentences that the rows of a batch hold whole."""
        return strings


class Sentences(Layout):
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

    def truth(self, batch: Batch) -> Truth:
        rows, _ = self.language.next_token_batch(batch.strings)
        truth = _unknown(batch, outputs=self.outputs)
        truth[batch.scored] = _after_zero(rows)
        return truth


class Padded(Layout):
    """Reads s1 .. s(n-1), predicts s2 .. sn, and 0 from there to the end of the longest string.

    Wherever the target is padding, so is the input: the end of a string is never predicted, nor is its
    first token. A model knows from its input that the string goes on, so the floor takes each
    distribution given that it does; padding, where it is scored, costs nothing.
    """

    ends = False

    def __init__(self, language: Language, *, score_padding: bool) -> None:
        super().__init__(language)
        self._score_padding = score_padding
        self.outputs = self.eos
        # One step at least: where every string has one token, there is only padding to read.
        self.max_length = max(1, language.lengths.max - 1)

    def batch(self, strings: Strings) -> Batch:
        rows = strings.padded(fill=0, length=max(2, int(strings.lengths.max(initial=0))))
        targets = rows[:, 1:]
        tokens = np.where(targets > 0, rows[:, :-1], 0)
        scored = np.ones_like(targets, dtype=bool) if self._score_padding else targets > 0
        return Batch(tokens, targets, scored, strings)

    def truth(self, batch: Batch) -> Truth:
        rows, offsets = self.language.next_token_batch(batch.strings)
        kept = np.ones(len(rows), dtype=bool)
        kept[offsets[:-1]] = kept[offsets[1:] - 1] = False
        going_on = rows[kept, :-1] / (1.0 - rows[kept, -1:])
        truth = _unknown(batch, outputs=self.outputs)
        truth[batch.targets > 0] = _after_zero(going_on)
        truth[batch.scored & (batch.targets == 0)] = np.eye(1, self.outputs)
        return truth


class Packed(Layout):
    """Windows of the endless stream BOS string EOS BOS string EOS ..., starting anywhere in it.

    A string of this layout is a window: one token more than the model reads. The floor of a token is
    exact from the first BOS of its window on, a last sentence that is cut included; before it nobody
    knows how the sentence began, and the floor is unknown. A BOS is certain after EOS, always.
    """

    def __init__(self, language: Language, *, window: int) -> None:
        super().__init__(language)
        self.window = window
        self.outputs = self.eos + 1
        # Generation reads a whole sentence, however short the windows are.
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

    def parts(self, strings: Strings) -> Strings:
        sentences, is_whole = self._sentences(strings.padded(fill=self.eos))
        return sentences.take(np.flatnonzero(is_whole))

    def _stream(self, sentences: Strings) -> np.ndarray:
        """The sentences one after the other, each between BOS and EOS."""
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

    def truth(self, batch: Batch) -> Truth:
        sentences, is_whole = self._sentences(batch.strings.padded(fill=self.eos))
        rows, offsets = self.language.next_token_batch(sentences)
        kept = np.ones(len(rows), dtype=bool)
        kept[offsets[1:] - 1] = is_whole
        begins = batch.targets == self.bos
        truth = _unknown(batch, outputs=self.outputs)
        truth[batch.compared & ~begins] = _after_zero(rows[kept])
        truth[begins] = np.eye(1, self.outputs)
        return truth

    def _sentences(self, rows: Tokens) -> tuple[Strings, Mask]:
        """What follows every BOS up to EOS or the window's end, and whether it comes to EOS."""
        number = np.cumsum(rows == self.bos, axis=1)
        # A number for every sentence of the batch; those that began before their window have none.
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


def _unknown(batch: Batch, *, outputs: int) -> Truth:
    return np.full((*batch.targets.shape, outputs), np.nan)


def _after_zero(rows: np.ndarray) -> np.ndarray:
    """Distributions whose first column is token 1, with a column for token 0: it cannot follow."""
    return np.pad(rows, ((0, 0), (1, 0)))
