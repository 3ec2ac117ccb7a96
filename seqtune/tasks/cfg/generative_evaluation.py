"""Prompts and completions of a grammar's strings, and the generative evaluation of models on them.

The evaluation asks for strings from BOS on, and then for the rest of true strings whose first
tokens are given (the cut). Completions are sampled at temperature 1 until they end, and are right
if the whole string, including what was given, is in the language. So the cut asks for the
completion of a given tree, while a whole string may be of the easiest kind.

A string is wrong from the first token on that has probability 0 after the tokens before it, by the
language's own next-token distributions; if there is none, it is wrong at its end if no string ends
there. The padded layout predicts no end, so there a completion is right if it is the beginning of a
string, and is read up to where every string would have to end.

Source: Allen-Zhu & Li 2023, arXiv 2305.13673, section 4 (completion accuracy, cuts 0 and 50).
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from seqtune.config.errors import listed, nearest
from seqtune.tasks.base import Mask, Strings, Tokens
from seqtune.tasks.cfg.language import Language
from seqtune.tasks.cfg.layouts import StringLayout
from seqtune.tasks.cfg.parallel import own_probability
from seqtune.tasks.generative_evaluation import (
    SEAM,
    GenerationResult,
    GenerativeEvaluation,
    Prompt,
    Sample,
)
from seqtune.tasks.score import Score

SAMPLES = 8
"""Most completions of BOS kept as samples."""

CUT_SAMPLES = 4
"""Most completions of cut strings kept as samples, in addition."""

MOST_NAMED = 5
"""Most tokens that a message names as possible."""

CUT = "…"
"""Shown where a completion was cut before its end."""

NO_END = (
    "the padded layout predicts no end: a string is right here if it is the beginning of one, "
    "and it is shown up to where every string ends"
)

Distributions = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CfgEvaluation:
    """The generative evaluation of one language.

    Attributes:
        layout: a layout with an end of strings.
        cut: tokens that are given in the second part; 0 leaves it out.
    """

    layout: StringLayout
    cut: int

    def run(self, count: int, *, generator: np.random.Generator) -> GenerativeEvaluation:
        """Ask for `count` whole strings, then for the rest of those that are longer than the cut."""
        whole = self._prompt(np.empty((count, 0), dtype=np.int64))
        completions = yield whole
        scores = {"generate/valid": self._score(whole, completions)}
        samples = check_completions(self.layout, whole.tokens, completions=completions[:SAMPLES])
        if self.cut > 0:
            cut = self._prompt(self._beginnings(count, generator=generator))
            completions = yield cut
            scores["generate/valid_cut"] = self._score(cut, completions)
            checked = check_completions(
                self.layout, cut.tokens, completions=completions[:CUT_SAMPLES]
            )
            samples += tuple(
                replace(sample, title=f"cut {self.cut}, {sample.title}") for sample in checked
            )
        return GenerationResult(scores, tables={}, samples=samples)

    def _score(self, prompt: Prompt, completions: Tokens) -> Score:
        rows = np.concatenate([prompt.tokens[:, 1:], completions], axis=1)
        return Score.mean(accepts(self.layout, rows))

    def _prompt(self, given: Tokens) -> Prompt:
        """Return the prompt of BOS and given tokens [B, c]."""
        bos = np.full((len(given), 1), self.layout.bos, dtype=np.int64)
        longest = self.layout.language.lengths.max + 1 - given.shape[1]
        return Prompt(np.concatenate([bos, given], axis=1), longest=longest, stop=self.layout.eos)

    def _beginnings(self, count: int, *, generator: np.random.Generator) -> Tokens:
        """Return the first tokens [B, c] of those of `count` strings that are longer than the cut."""
        # A small count may draw no such string, so draw until there is one.
        longer = Strings(np.empty(0, np.int64), offsets=np.zeros(1, np.int64))
        while len(longer) == 0:
            strings = Strings(*self.layout.language.sample_flat(count, generator))
            longer = strings.take(np.flatnonzero(strings.lengths > self.cut))
        return longer.padded(fill=self.layout.eos, length=longer.lengths.max(initial=self.cut))[
            :, : self.cut
        ]


def accepts(layout: StringLayout, rows: Tokens) -> Mask:
    """Return whether each row [B, N] up to its first EOS is a string of the language, bool [B]."""
    ended = rows == layout.eos
    lengths = np.where(ended.any(axis=1), ended.argmax(axis=1), rows.shape[1])
    strings = [row[:length] for row, length in zip(rows, lengths, strict=True)]
    return layout.language.accepts(strings) & ended.any(axis=1)


def prompt(
    layout: StringLayout, text: str | None, *, count: int, generator: np.random.Generator
) -> Prompt:
    """Return the prompt of `count` completions: the terminals of a text, or the beginning of a string.

    The padded layout has no BOS; there the first terminals are drawn.

    Raises:
        ValueError: if the text holds a word that is no terminal, or is empty in the padded layout.
    """
    language = layout.language
    notes = [] if layout.ends else [NO_END]
    if text is not None:
        own = read_terminals(text, language=language)
        if not own and not layout.ends:
            raise ValueError("must have a terminal: the padded layout has no other beginning")
        rows = np.tile(np.array([*_before(layout), *own], dtype=np.int64), (count, 1))
        notes.append(_prompt_note(own, layout=layout))
    elif layout.ends:
        rows = np.tile(np.array(_before(layout), dtype=np.int64), (count, 1))
    else:
        strings = Strings(*language.sample_flat(count, generator))
        rows = strings.padded(fill=0)[:, :1]
    left = language.lengths.max - (rows.shape[1] - len(_before(layout)))
    return Prompt(
        rows,
        longest=max(1, left + 1 if layout.ends else left),
        stop=layout.eos if layout.ends else None,
        note="\n".join(filter(None, notes)),
    )


def read_terminals(text: str, *, language: Language) -> list[int]:
    """Return the tokens of terminals by name; blanks are optional if all names are one character.

    Raises:
        ValueError: if a name is no terminal of the language.
    """
    single = all(len(name) == 1 for name in language.terminals)
    words = list("".join(text.split())) if single else text.split()
    tokens = {name: token for token, name in enumerate(language.terminals, start=1)}
    for number, word in enumerate(words, start=1):
        if word not in tokens:
            raise ValueError(
                f"token {number} must be a terminal of {language.name}, but got {word!r}"
                f"{nearest(word, language.terminals)}"
            )
    return [tokens[word] for word in words]


def check_completions(
    layout: StringLayout, prompts: Tokens, *, completions: Tokens
) -> tuple[Sample, ...]:
    """Return completions [B, N] of prompts int64 [B or more, P] as samples, numbered from 1."""
    before = len(_before(layout))
    given = prompts.shape[1] - before
    rows = np.concatenate([prompts[: len(completions), before:], completions], axis=1)
    ends = rows == layout.eos
    ended = ends.any(axis=1)
    lengths = np.where(ended, ends.argmax(axis=1), rows.shape[1])
    strings = [row[:length] for row, length in zip(rows, lengths, strict=True)]
    tables, offsets = layout.language.next_token_batch(strings)
    check = _check_string if layout.ends else _check_beginning
    return tuple(
        check(
            _Completed(layout, string, following=tables[begin:stop], given=given, ended=bool(end)),
            title=str(number),
        )
        for number, (string, end, begin, stop) in enumerate(
            zip(strings, ended, offsets[:-1], offsets[1:], strict=True), start=1
        )
    )


@dataclass(frozen=True, eq=False)
class _Completed:
    """A prompt and its completion.

    Attributes:
        layout: the layout of the strings.
        string: tokens of both, without the end.
        following: float64 [n + 1, terminals + 1], distributions as `Language.next_token` returns
        them.
        given: number of tokens of the prompt.
        ended: whether the end was predicted.
    """

    layout: StringLayout
    string: Tokens
    following: Distributions
    given: int
    ended: bool

    @cached_property
    def possible(self) -> int:
        """Number of tokens before the first that cannot follow."""
        return _count_possible(self.string, following=self.following)

    @property
    def impossible(self) -> str:
        """Why the first impossible token cannot follow."""
        return _cannot_follow(
            self.string[self.possible], row=self.following[self.possible], layout=self.layout
        )

    @property
    def must_end(self) -> bool:
        """Whether no terminal can follow the possible tokens."""
        return not self.following[self.possible, :-1].any()

    def sample(self, *, title: str, reason: str, tokens: int | None = None) -> Sample:
        """Return the first `tokens` tokens as a sample, which is wrong if there is a reason."""
        words = [_name(token, layout=self.layout) for token in self.string[:tokens]]
        cut = [] if self.ended or tokens is not None else [CUT]
        pieces, wrong = [*words, *cut], self.possible
        if self.given > 0:
            pieces.insert(self.given, SEAM)
            wrong += wrong >= self.given
        before = [*pieces[:wrong], ""] if wrong < len(pieces) else pieces
        return Sample(
            title=title,
            text=" ".join(pieces),
            right=not reason,
            wrong_at=len(" ".join(before)) if reason else None,
            reason=reason,
        )


def _check_string(read: _Completed, *, title: str) -> Sample:
    reason = ""
    if read.possible < len(read.string):
        reason = read.impossible
    elif not read.ended:
        reason = f"has not ended after {len(read.string)} tokens"
    elif not read.following[-1, -1] > 0:
        reason = "ends here, but no string of the language does"
    return read.sample(title=title, reason=reason)


def _check_beginning(read: _Completed, *, title: str) -> Sample:
    if read.must_end and read.possible >= read.given:
        return read.sample(title=title, reason="", tokens=read.possible)
    return read.sample(
        title=title, reason=read.impossible if read.possible < len(read.string) else ""
    )


def _prompt_note(own: list[int], *, layout: StringLayout) -> str:
    """Return a note on a prompt that no string begins with; empty if one does."""
    string = np.array(own, dtype=np.int64)
    following = layout.language.next_token(string)
    possible = _count_possible(string, following=following)
    if possible == len(string):
        return ""
    reason = _cannot_follow(string[possible], row=following[possible], layout=layout)
    return (
        f"no string of the language begins like the prompt: its token {possible + 1} is "
        f"{_name(string[possible], layout=layout)}, but {reason}"
    )


def _count_possible(string: Tokens, *, following: Distributions) -> int:
    """Return the number of tokens of a string before the first of probability 0."""
    offsets = np.array([0, len(string)])
    # Without the end; rows after an impossible token are NaN.
    impossible = ~(own_probability(following, string, offsets)[:-1] > 0)
    return int(impossible.argmax()) if impossible.any() else len(string)


def _cannot_follow(token: np.int64, *, row: Distributions, layout: StringLayout) -> str:
    """Return what could follow instead of a token; the end only if the layout has one."""
    names = [_name(each, layout=layout) for each in np.flatnonzero(row[:-1] > 0) + 1]
    if layout.ends and row[-1] > 0:
        names.append("the end")
    if not names:
        return "every string ends before it"
    if len(names) > MOST_NAMED:
        return f"{_name(token, layout=layout)} cannot follow"
    *first, last = names
    return f"only {listed(first)}{' or ' if first else ''}{last} can follow"


def _before(layout: StringLayout) -> list[int]:
    """Return the tokens that a model reads before the first terminal."""
    return [layout.bos] if layout.ends else []


def _name(token: np.integer, *, layout: StringLayout) -> str:
    return ("BOS" if layout.ends else "PAD", *layout.language.terminals)[token]
