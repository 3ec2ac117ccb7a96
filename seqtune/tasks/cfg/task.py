"""The strings of a context-free grammar as a prediction task.

The language is the set of strings that a grammar derives; drawing a string expands the root by rules
chosen at random. Three layouts of a string s of n tokens (terminals are 1 to t in ascending order, BOS
is 0, EOS is t + 1):

- `sentence`: reads BOS s1 .. sn and predicts s1 .. sn EOS. Padding never counts.
  Example (cfg3b, root 7, string 3 1): reads 0 3 1, predicts 3 1 4.
- `packed`: windows of the stream BOS s EOS BOS s' EOS ..., as language models are trained. They start
  anywhere, so the beginning of most is the rest of a sentence whose floor is unknown.
  Example (windows of 4): reads 1 4 0 3, predicts 4 0 3 1; the floor covers all but the first.
- `padded`: reads s1 .. s(n-1) and predicts s2 .. sn, filled up with 0 to the longest string of the batch.
  Example: 3 1 beside 1 2 3 reads 3 0 and predicts 1 0. With `score_padding` the padding counts; so it was
  in the experiment that this project descends from, and the layout is kept to reproduce it.

Source: Allen-Zhu & Li 2023, arXiv 2305.13673 (the cfg3 grammars).
"""

from typing import Literal

import numpy as np

from seqtune.tasks.cfg.describe import describe
from seqtune.tasks.cfg.language import Language
from seqtune.tasks.cfg.layouts import Layout, Packed, Padded, Sentences
from seqtune.tasks.cfg.spec import WINDOW
from seqtune.tasks.description import Description
from seqtune.tasks.exam import Exam, Examination, Prompt, Sample
from seqtune.tasks.task import Batch, Floor, Mask, Split, Strings, Task, Tokens

SAMPLES = 8
"""Strings of an exam that are kept to be looked at."""


class CfgTask(Task):
    """Draws, lays out and judges the strings of one grammar."""

    def __init__(
        self,
        grammar: Language,
        *,
        format: Literal["sentence", "padded", "packed"] = "sentence",
        window: int = WINDOW,
        score_padding: bool = False,
    ) -> None:
        self.grammar = grammar
        self.layout: Layout
        match format:
            case "sentence":
                self.layout = Sentences(grammar)
            case "padded":
                self.layout = Padded(grammar, score_padding=score_padding)
            case "packed":
                self.layout = Packed(grammar, window=window)
        self.bos, self.eos = self.layout.bos, self.layout.eos
        self.vocab_size = len(grammar.terminals) + 2
        self.outputs = self.layout.outputs
        self.max_length = self.layout.max_length

    def draw(
        self, count: int, *, generator: np.random.Generator, split: Split = "train"
    ) -> Strings:
        """Draws strings, or windows of the packed layout; what for makes no difference."""
        return self.layout.draw(count, generator=generator)

    def batch(self, strings: Strings) -> Batch:
        return self.layout.batch(strings)

    def floor(self, batch: Batch) -> Floor:
        """Exact: the true next-token distributions along these very strings."""
        return self.layout.floor(batch)

    def parts(self, strings: Strings) -> Strings:
        """The strings; of packed windows, the sentences that lie in them whole."""
        return self.layout.parts(strings)

    def exam(self, count: int, *, generator: np.random.Generator) -> Exam | None:
        """Strings from BOS on, judged; none for the padded layout, which ends no string."""
        return self._exam(count) if self.layout.ends else None

    def _exam(self, count: int) -> Exam:
        tokens = np.full((count, 1), self.bos, dtype=np.int64)
        longest = self.grammar.lengths.max + 1
        completions = yield Prompt(tokens, longest=longest, stop=self.eos)
        right = self.judge(completions)
        samples = tuple(
            Sample(title=str(number), text=self.text(row), right=bool(valid))
            for number, (row, valid) in enumerate(
                zip(completions[:SAMPLES], right[:SAMPLES], strict=True), start=1
            )
        )
        return Examination({"generate/valid": float(right.mean())}, tables={}, samples=samples)

    def judge(self, completions: Tokens) -> Mask:
        """Whether each completion [B, N] of BOS is a string of the language and its end, bool [B]."""
        ended = completions == self.eos
        lengths = np.where(ended.any(axis=1), ended.argmax(axis=1), completions.shape[1])
        strings = [row[:length] for row, length in zip(completions, lengths, strict=True)]
        return self.grammar.accepts(strings) & ended.any(axis=1)

    def text(self, completion: Tokens) -> str:
        """A completion as people read it: the names of its terminals up to its end, … if it has none."""
        names = ("BOS", *self.grammar.terminals)
        ends = np.flatnonzero(completion == self.eos)
        if len(ends) == 0:
            return " ".join([*(names[token] for token in completion), "…"])
        return " ".join(names[token] for token in completion[: ends[0]])

    def describe(self) -> Description:
        """Rules, counts, lengths, entropy, floors and a few strings with their trees."""
        return describe(self.grammar)
