"""What a model makes of a grammar's strings: whole ones, and the rest of true ones.

Asked are strings from BOS on, and then true strings of which the first tokens are given (the cut).
Completions are sampled at temperature 1 until they end, and are right if the whole string, what was given
included, is in the language. So the cut asks for the completion of a given tree, where a whole string may be
of the easiest kind.

Source: Allen-Zhu & Li 2023, arXiv 2305.13673, section 4 (completion accuracy, cuts 0 and 50).
"""

from dataclasses import dataclass, replace

import numpy as np

from seqtune.tasks.base import Mask, Strings, Tokens
from seqtune.tasks.cfg.judging import judged
from seqtune.tasks.cfg.layouts import Layout
from seqtune.tasks.generative_evaluation import Exam, GenerationResult, Prompt, Sample
from seqtune.tasks.score import Score

SAMPLES = 8
"""Strings of an exam that are kept to be looked at."""

CUT_SAMPLES = 4
"""Those of them, in addition, whose beginning was given."""


@dataclass(frozen=True)
class CfgEvaluation:
    """The exam of one language.

    Attributes:
        layout: how strings are laid out; one that ends them.
        cut: tokens that are given in the second part; 0 leaves it out.
    """

    layout: Layout
    cut: int

    def run(self, count: int, *, generator: np.random.Generator) -> Exam:
        """Asks for `count` whole strings, then for the rest of as many as are longer than the cut."""
        whole = self._prompt(np.empty((count, 0), dtype=np.int64))
        completions = yield whole
        scores = {"generate/valid": self._score(whole, completions)}
        samples = self._shown(whole, completions[:SAMPLES])
        if self.cut > 0:
            cut = self._prompt(self._beginnings(count, generator=generator))
            completions = yield cut
            scores["generate/valid_cut"] = self._score(cut, completions)
            samples += tuple(
                replace(each, title=f"cut {self.cut}, {each.title}")
                for each in self._shown(cut, completions[:CUT_SAMPLES])
            )
        return GenerationResult(scores, tables={}, samples=samples)

    def _score(self, prompt: Prompt, completions: Tokens) -> Score:
        rows = np.concatenate([prompt.tokens[:, 1:], completions], axis=1)
        return Score.mean(accepts(self.layout, rows))

    def _shown(self, prompt: Prompt, completions: Tokens) -> tuple[Sample, ...]:
        return judged(self.layout, prompt.tokens, completions=completions)

    def _prompt(self, given: Tokens) -> Prompt:
        """Asks for what comes after BOS and some tokens [B, c]."""
        bos = np.full((len(given), 1), self.layout.bos, dtype=np.int64)
        longest = self.layout.language.lengths.max + 1 - given.shape[1]
        return Prompt(np.concatenate([bos, given], axis=1), longest=longest, stop=self.layout.eos)

    def _beginnings(self, count: int, *, generator: np.random.Generator) -> Tokens:
        """The first tokens [B, c] of those of `count` strings that are longer than the cut; of one at least."""
        longer = Strings(np.empty(0, np.int64), offsets=np.zeros(1, np.int64))
        while len(longer) == 0:
            strings = Strings(*self.layout.language.sample_flat(count, generator))
            longer = strings.take(np.flatnonzero(strings.lengths > self.cut))
        return longer.padded(fill=self.layout.eos, length=longer.lengths.max(initial=self.cut))[
            :, : self.cut
        ]


def accepts(layout: Layout, rows: Tokens) -> Mask:
    """Whether each row [B, N], read up to its first EOS, is a string of the language and its end, bool [B]."""
    ended = rows == layout.eos
    lengths = np.where(ended.any(axis=1), ended.argmax(axis=1), rows.shape[1])
    strings = [row[:length] for row, length in zip(rows, lengths, strict=True)]
    return layout.language.accepts(strings) & ended.any(axis=1)
