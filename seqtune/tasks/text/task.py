"""A text as a prediction task: what comes next, given up to `length` units before.

A text is one stream of units, which are bytes, characters or words. Its last `split` share is the validation
part, the rest the training part. A string is a window of `length + 1` units that begins anywhere in one of
the two, all beginnings being equally likely, and lies within that part. The model reads all but its last
unit and predicts all but its first. What the vocabulary, taken from the training part, does not hold is
read and scored as one unknown unit.

Example (characters, length 3, the text `abcabd`): the window `bcab` reads `bca` and predicts `cab`. By
frequency, then code point, a, b, c, d are 1, 2, 3, 4, so it reads 2 3 1 and predicts 3 1 2.

Nobody knows the best score on a text, so there is no floor. In its place stand references: n-grams with
Kneser-Ney smoothing and the compressor lzma.

Source: Kneser & Ney 1995; Chen & Goodman 1999 (the n-grams).
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from seqtune import seeding
from seqtune.config.errors import listed
from seqtune.tasks.base import Batch, Split, Strings, Task, Tokens
from seqtune.tasks.description import Description
from seqtune.tasks.generative_evaluation import SEAM, Exam, GenerationResult, Prompt, Sample
from seqtune.tasks.text import describe, references
from seqtune.tasks.text.corpus import Corpus
from seqtune.tasks.text.units import UNKNOWN, tokenize

SAMPLES = 4
"""Windows that an exam has gone on with."""

LONGEST_SAMPLE = 200

DESCRIBED = 256
"""Windows that the references of a description are taken on."""


class TextTask(Task):
    """Draws and lays out the windows of one text.

    Attributes:
        data_hash: SHA-256 of the text's bytes, in hexadecimal.
    """

    def __init__(self, corpus: Corpus, *, length: int) -> None:
        self.corpus = corpus
        self.data_hash = corpus.measures.sha256
        self.vocab_size = self.outputs = corpus.vocabulary.size
        self.max_length = length

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
        """None: nobody knows the distribution that a text comes from."""

    def references(self, strings: Strings) -> Mapping[str, float]:
        return references.references(self.corpus, strings)

    def encode(self, text: str) -> Tokens:
        """The tokens of a text, such as a prompt of a person's own, int64 [T]."""
        return self.corpus.vocabulary.encode(text)

    def decode(self, tokens: npt.NDArray[np.integer]) -> str:
        """The text of tokens; unknown units, and bytes that are no text, show as U+FFFD."""
        return self.corpus.vocabulary.decode(tokens)

    def exam(self, count: int, *, generator: np.random.Generator) -> Exam:
        """A few beginnings of validation windows to go on with; nothing is judged."""
        windows = self.draw(min(count, SAMPLES), generator=generator, split="valid")
        prompts = windows.padded(fill=0)[:, : max(1, self.max_length // 2)]
        rest = self.max_length + 1 - prompts.shape[1]
        prompt = Prompt(prompts, longest=min(rest, LONGEST_SAMPLE))
        completions = yield prompt
        return GenerationResult(
            scores={}, tables={}, samples=self.judge(prompt, completions=completions)
        )

    def prompt(self, text: str | None, *, count: int, generator: np.random.Generator) -> Prompt:
        """Any text, whose unknown units are read as such; None for beginnings of validation windows."""
        if text is None:
            windows = self.draw(count, generator=generator, split="valid").padded(fill=0)
            return Prompt(windows[:, : max(1, self.max_length // 2)], longest=LONGEST_SAMPLE)
        own = self.encode(text)
        if len(own) == 0:
            raise ValueError("must have something to go on from, but is empty")
        note = self._unknown(text, tokens=own)
        return Prompt(np.tile(own, (count, 1)), longest=LONGEST_SAMPLE, note=note)

    def _unknown(self, text: str, *, tokens: Tokens) -> str:
        """A note on units that the vocabulary does not hold; empty if it holds all."""
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

    def judge(self, prompt: Prompt, *, completions: Tokens) -> tuple[Sample, ...]:
        """Each as it reads; nobody can say where a text goes wrong."""
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
