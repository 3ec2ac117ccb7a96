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
import numpy.typing as npt

from seqtune.tasks.base import Batch, Floor, Mask, Split, Strings, Task, Tokens, WithTrees
from seqtune.tasks.cfg import judging
from seqtune.tasks.cfg.describe import describe
from seqtune.tasks.cfg.generative_evaluation import CfgEvaluation, accepts
from seqtune.tasks.cfg.labels import labelled
from seqtune.tasks.cfg.language import Language
from seqtune.tasks.cfg.layouts import Layout, Packed, Padded, Sentences
from seqtune.tasks.cfg.spec import WINDOW
from seqtune.tasks.description import Description
from seqtune.tasks.generative_evaluation import Exam, Prompt, Sample


class CfgTask(Task):
    """Draws, lays out and judges the strings of one grammar."""

    def __init__(
        self,
        grammar: Language,
        *,
        format: Literal["sentence", "padded", "packed"] = "sentence",
        window: int = WINDOW,
        score_padding: bool = False,
        cut: int = 0,
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
        self.cut = cut
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

    def truth(self, batch: Batch) -> npt.NDArray[np.float64]:
        """By the grammar's own dynamic program; see the layouts for what a model knows when it predicts."""
        return self.layout.truth(batch)

    def parts(self, strings: Strings) -> Strings:
        """The strings; of packed windows, the sentences that lie in them whole."""
        return self.layout.parts(strings)

    def labelled(self, count: int, *, generator: np.random.Generator) -> WithTrees:
        """Strings, or windows of the packed layout, with the trees that they were drawn by."""
        return labelled(self.layout, count=count, generator=generator)

    def exam(self, count: int, *, generator: np.random.Generator) -> Exam | None:
        """Strings from BOS on, and from a cut on; none for the padded layout, which ends no string."""
        if not self.layout.ends:
            return None
        return CfgEvaluation(self.layout, cut=self.cut).run(count, generator=generator)

    def accepts(self, completions: Tokens) -> Mask:
        """Whether each completion [B, N] of BOS is a string of the language and its end, bool [B]."""
        return accepts(self.layout, completions)

    def prompt(self, text: str | None, *, count: int, generator: np.random.Generator) -> Prompt:
        """Terminals by name, separated by blanks; None for the beginning of a string."""
        return judging.prompt(self.layout, text, count=count, generator=generator)

    def judge(self, prompt: Prompt, *, completions: Tokens) -> tuple[Sample, ...]:
        return judging.judged(self.layout, prompt.tokens, completions=completions)

    @property
    def token_names(self) -> tuple[str, ...]:
        return ("BOS" if self.layout.ends else "PAD", *self.grammar.terminals, "EOS")

    def describe(self) -> Description:
        """Rules, counts, lengths, entropy, floors and a few strings with their trees."""
        return describe(self.grammar)
