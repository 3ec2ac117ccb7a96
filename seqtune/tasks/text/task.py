"""A text as a prediction task: what comes next, given up to `length` units before.

A text is one stream of units: bytes, characters or words. Its last `split` share is the validation
part, the rest the training part. A string is a window of `length + 1` units within one of the two
parts, all positions being equally likely. The model reads all but its last unit and predicts all
but its first. Units outside the vocabulary, which is that of the training part, are read and scored
as one unknown unit.

Example (characters, length 3, the text `abcabd`): the window `bcab` reads `bca` and predicts `cab`.
By frequency, then code point, a, b, c, d are 1, 2, 3, 4, so it reads 2 3 1 and predicts 3 1 2.

The best possible score on a text is unknown, so there is no floor. References take its place:
n-grams with Kneser-Ney smoothing and the compressor lzma.

Source: Kneser & Ney 1995; Chen & Goodman 1999 (the n-grams).
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from seqtune import seeding
from seqtune.config.errors import listed
from seqtune.tasks.base import Batch, Split, Strings, Task, Tokens
from seqtune.tasks.description import Description
from seqtune.tasks.generative_evaluation import (
    SEAM,
    GenerationResult,
    GenerativeEvaluation,
    Prompt,
    Sample,
)
from seqtune.tasks.text import describe, references
from seqtune.tasks.text.corpus import open_corpus
from seqtune.tasks.text.files import find
from seqtune.tasks.text.spec import TextSpec
from seqtune.tasks.text.units import UNKNOWN, tokenize

SAMPLES = 4
"""Windows that the generative evaluation continues."""

LONGEST_SAMPLE = 200
"""Most units of a completion."""

DESCRIBED = 256
"""Windows on which the references of a description are computed."""


class TextTask(Task):
    """Draws and lays out the windows of one text.

    Attributes:
        data_hash: SHA-256 of the text's bytes, in hexadecimal.
    """

    def __init__(self, spec: TextSpec) -> None:
        self.corpus = open_corpus(find(spec.path), encoding=spec.encoding)
        self.data_hash = self.corpus.measures.sha256
        self.vocab_size = self.outputs = self.corpus.vocabulary.size
        self.max_length = spec.length

    def draw(
        self, count: int, *, generator: np.random.Generator, split: Split = "train"
    ) -> Strings:
        part = self.corpus.train if split == "train" else self.corpus.valid
        window = self.max_length + 1
        starts = generator.integers(len(part) - window + 1, size=count)
        tokens = np.asarray(part[starts[:, None] + np.arange(window)]).reshape(-1)
        return Strings(tokens=tokens, offsets=np.arange(count + 1) * window)

    def batch(self, strings: Strings) -> Batch:
        rows = strings.padded(fill=0)
        scored = np.arange(1, rows.shape[1]) < strings.lengths[:, None]
        return Batch(rows[:, :-1], rows[:, 1:], scored, strings)

    def floor(self, batch: Batch) -> None:
        """None: the distribution of texts is unknown."""

    def references(self, strings: Strings) -> Mapping[str, float]:
        return references.references(self.corpus, strings)

    def encode(self, text: str) -> Tokens:
        """Return the tokens of a text, int64 [T]."""
        return self.corpus.vocabulary.encode(text)

    def decode(self, tokens: npt.NDArray[np.integer]) -> str:
        """Return the text of tokens; unknown units and bytes that are not UTF-8 are U+FFFD."""
        return self.corpus.vocabulary.decode(tokens)

    def generative_evaluation(
        self, count: int, *, generator: np.random.Generator
    ) -> GenerativeEvaluation:
        """Ask for the continuation of a few validation windows, for reading: there are no scores."""
        windows = self.draw(min(count, SAMPLES), generator=generator, split="valid")
        prompts = windows.padded(fill=0)[:, : max(1, self.max_length // 2)]
        rest = self.max_length + 1 - prompts.shape[1]
        prompt = Prompt(prompts, longest=min(rest, LONGEST_SAMPLE))
        completions = yield prompt
        samples = self.check_completions(prompt, completions=completions)
        return GenerationResult(scores={}, tables={}, samples=samples)

    def prompt(self, text: str | None, *, count: int, generator: np.random.Generator) -> Prompt:
        """Return the prompt of any text; None for the beginnings of validation windows."""
        if text is None:
            windows = self.draw(count, generator=generator, split="valid").padded(fill=0)
            return Prompt(windows[:, : max(1, self.max_length // 2)], longest=LONGEST_SAMPLE)
        own = self.encode(text)
        if len(own) == 0:
            raise ValueError("must have something to go on from, but is empty")
        note = self._unknown_note(text, tokens=own)
        return Prompt(np.tile(own, (count, 1)), longest=LONGEST_SAMPLE, note=note)

    def _unknown_note(self, text: str, *, tokens: Tokens) -> str:
        """Return a note on units outside the vocabulary; empty if there are none."""
        unit = self.corpus.unit
        if unit == "byte":
            return ""
        units = (each for piece in tokenize([text], unit=unit) for each in piece)
        unknown = dict.fromkeys(
            repr(each) for each, token in zip(units, tokens, strict=True) if token == 0
        )
        if not unknown:
            return ""
        return (
            f"not in the vocabulary, so read as unknown and shown as {UNKNOWN}: {listed(unknown)}"
        )

    def check_completions(self, prompt: Prompt, *, completions: Tokens) -> tuple[Sample, ...]:
        """Return the completions as text, unchecked: no text is wrong."""
        return tuple(
            Sample(title=str(number), text=self.decode(given) + SEAM + self.decode(completion))
            for number, (given, completion) in enumerate(
                zip(prompt.tokens[: len(completions)], completions, strict=True), start=1
            )
        )

    @property
    def token_names(self) -> tuple[str, ...]:
        vocabulary = self.corpus.vocabulary
        return tuple(vocabulary.show(token) for token in range(vocabulary.size))

    def describe(self) -> Description:
        windows = self.draw(DESCRIBED, generator=seeding.generator(0, "valid"), split="valid")
        return describe.describe(self.corpus, length=self.max_length, windows=windows)
