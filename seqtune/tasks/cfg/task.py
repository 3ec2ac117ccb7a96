"""The strings of a context-free grammar as a prediction task.

Alphabet: the grammar's terminals, tokens 1 to t in ascending order; BOS is 0, EOS is t + 1. The
language is the set of strings that the grammar derives; a string is drawn by expanding the root
with rules chosen at random. A string s of n tokens is laid out in one of three ways:

- `sentence`: reads BOS s1 .. sn and predicts s1 .. sn EOS. Padding never counts.
  Example (cfg3b, root 7, string 3 1): reads 0 3 1, predicts 3 1 4.
- `packed`: windows of the stream BOS s EOS BOS s' EOS ..., as in the training of language models.
  They start anywhere, so most begin with the rest of a sentence, whose floor is unknown. Example
  (windows of 4): reads 1 4 0 3, predicts 4 0 3 1; the floor covers all but the first.
- `padded`: reads s1 .. s(n-1) and predicts s2 .. sn, padded with 0 to the longest string of the
  batch. Example: 3 1 in a batch with 1 2 3 reads 3 0 and predicts 1 0. With `score_padding` the
  padding counts, as in the experiment that this project started from; the layout is kept to
  reproduce it.

Source: Allen-Zhu & Li 2023, arXiv 2305.13673 (the cfg3 grammars).
"""

import numpy as np
import numpy.typing as npt

from seqtune.tasks.base import Batch, Floor, Mask, Split, Strings, Task, Tokens, WithTrees
from seqtune.tasks.cfg.describe import describe
from seqtune.tasks.cfg.generative_evaluation import (
    CfgEvaluation,
    accepts,
    check_completions,
    prompt,
)
from seqtune.tasks.cfg.labels import draw_with_trees
from seqtune.tasks.cfg.layouts import Packed, Padded, Sentences, StringLayout
from seqtune.tasks.cfg.spec import WINDOW, CfgSpec
from seqtune.tasks.description import Description
from seqtune.tasks.generative_evaluation import GenerativeEvaluation, Prompt, Sample


class CfgTask(Task):
    """Draws, lays out and checks the strings of one grammar."""

    def __init__(self, spec: CfgSpec) -> None:
        self.grammar = grammar = spec.language()
        self.layout: StringLayout
        match spec.format:
            case "sentence":
                self.layout = Sentences(grammar)
            case "padded":
                self.layout = Padded(grammar, score_padding=spec.score_padding)
            case "packed":
                self.layout = Packed(grammar, window=spec.length or WINDOW)
        self.cut = spec.given
        self.bos, self.eos = self.layout.bos, self.layout.eos
        self.vocab_size = len(grammar.terminals) + 2
        self.outputs = self.layout.outputs
        self.max_length = self.layout.max_length

    def draw(
        self, count: int, *, generator: np.random.Generator, split: Split = "train"
    ) -> Strings:
        """Draw strings, or windows of the packed layout; alike for every split."""
        return self.layout.draw(count, generator=generator)

    def batch(self, strings: Strings) -> Batch:
        return self.layout.batch(strings)

    def floor(self, batch: Batch) -> Floor:
        """Return the exact floor, from the next-token distributions along these very strings."""
        return self.layout.floor(batch)

    def true_distributions(self, batch: Batch) -> npt.NDArray[np.float64]:
        """Return the grammar's distributions; layouts differ in what a model knows when it predicts."""
        return self.layout.true_distributions(batch)

    def sentences(self, strings: Strings) -> Strings:
        """Return the strings; of packed windows, the sentences that lie entirely within them."""
        return self.layout.sentences(strings)

    def with_trees(self, count: int, *, generator: np.random.Generator) -> WithTrees:
        """Draw strings, or windows of the packed layout, with their trees."""
        return draw_with_trees(self.layout, count=count, generator=generator)

    def generative_evaluation(
        self, count: int, *, generator: np.random.Generator
    ) -> GenerativeEvaluation | None:
        """Ask for strings from BOS on, and from a cut on; None for the padded layout, without ends."""
        if not self.layout.ends:
            return None
        return CfgEvaluation(self.layout, cut=self.cut).run(count, generator=generator)

    def accepts(self, completions: Tokens) -> Mask:
        """Return whether each completion [B, N] of BOS is a string with its end, bool [B]."""
        return accepts(self.layout, completions)

    def prompt(self, text: str | None, *, count: int, generator: np.random.Generator) -> Prompt:
        """Return the prompt of terminals by name, separated by blanks; None for a string's beginning."""
        return prompt(self.layout, text, count=count, generator=generator)

    def check_completions(self, prompt: Prompt, *, completions: Tokens) -> tuple[Sample, ...]:
        return check_completions(self.layout, prompt.tokens, completions=completions)

    @property
    def token_names(self) -> tuple[str, ...]:
        return ("BOS" if self.layout.ends else "PAD", *self.grammar.terminals, "EOS")

    def describe(self) -> Description:
        """Return rules, counts, lengths, entropy, floors and a few strings with their trees."""
        return describe(self.grammar)
