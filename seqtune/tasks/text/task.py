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
from seqtune.tasks.description import Description
from seqtune.tasks.exam import Exam, Examination, Prompt, Sample
from seqtune.tasks.task import Batch, Split, Strings, Task, Tokens
from seqtune.tasks.text import describe, references
from seqtune.tasks.text.corpus import Corpus

SAMPLES = 4
"""Windows that an exam has gone on with."""

LONGEST_SAMPLE = 200

DESCRIBED = 256
"""Windows that the references of a description are taken on."""

SEAM = "\N{MATHEMATICAL RIGHT DOUBLE ANGLE BRACKET}"
"""Stands in a sample between the prompt and what the model made of it."""


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
        completions = yield Prompt(prompts, longest=min(rest, LONGEST_SAMPLE))
        samples = tuple(
            Sample(title=str(number), text=self.decode(prompt) + SEAM + self.decode(completion))
            for number, (prompt, completion) in enumerate(
                zip(prompts, completions, strict=True), start=1
            )
        )
        return Examination(scores={}, tables={}, samples=samples)

    def describe(self) -> Description:
        windows = self.draw(DESCRIBED, generator=seeding.generator(0, "valid"), split="valid")
        return describe.describe(self.corpus, length=self.max_length, windows=windows)
