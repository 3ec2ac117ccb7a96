"""Prompts in a grammar's terminals, and completions with the place where they go wrong.

A string is wrong from the first token on that no string of the language has there: one of probability 0
after the tokens before it, by the language's own next-token distributions. If there is no such token, it
is wrong at its end where no string ends. The padded layout has no end to predict, so there a completion
is right if it is the beginning of a string, and it is read up to where every string would have to end.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from seqtune.config.errors import listed, nearest
from seqtune.tasks.base import Strings, Tokens
from seqtune.tasks.cfg.language import Language
from seqtune.tasks.cfg.layouts import Layout
from seqtune.tasks.cfg.rows import own_probability
from seqtune.tasks.generative_evaluation import SEAM, Prompt, Sample

MOST_NAMED = 5
"""Tokens that could follow are named if there are at most so many."""

CUT = "…"
"""Stands where a completion was cut before its end."""

NO_END = (
    "the padded layout predicts no end: a string is right here if it is the beginning of one, "
    "and it is shown up to where every string ends"
)

Distributions = npt.NDArray[np.float64]


def prompt(
    layout: Layout, text: str | None, *, count: int, generator: np.random.Generator
) -> Prompt:
    """What `count` completions go on from: the terminals of a text, or the beginning of a string.

    The padded layout has no token that strings begin with; there the first terminals are drawn.

    Raises:
        ValueError: if the text holds what is no terminal, or nothing where something is needed.
    """
    language = layout.language
    notes = [] if layout.ends else [NO_END]
    if text is not None:
        own = terminals(text, language=language)
        if not own and not layout.ends:
            raise ValueError("must have a terminal: the padded layout has no other beginning")
        rows = np.tile(np.array([*_before(layout), *own], dtype=np.int64), (count, 1))
        notes.append(_impossible_prompt(own, layout=layout))
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


def terminals(text: str, *, language: Language) -> list[int]:
    """The tokens of terminals by name; blanks may be left out where every name is one character.

    Raises:
        ValueError: if one is no terminal of the language.
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


def judged(layout: Layout, prompts: Tokens, *, completions: Tokens) -> tuple[Sample, ...]:
    """Every completion [B, N] of its prompt, numbered from 1; prompts are int64 [B or more, P]."""
    before = len(_before(layout))
    given = prompts.shape[1] - before
    rows = np.concatenate([prompts[: len(completions), before:], completions], axis=1)
    ends = rows == layout.eos
    ended = ends.any(axis=1)
    lengths = np.where(ended, ends.argmax(axis=1), rows.shape[1])
    strings = [row[:length] for row, length in zip(rows, lengths, strict=True)]
    tables, offsets = layout.language.next_token_batch(strings)
    judge = _sentence if layout.ends else _beginning
    return tuple(
        judge(
            _Read(layout, string, following=tables[begin:stop], given=given, ended=bool(end)),
            title=str(number),
        )
        for number, (string, end, begin, stop) in enumerate(
            zip(strings, ended, offsets[:-1], offsets[1:], strict=True), start=1
        )
    )


@dataclass(frozen=True, eq=False)
class _Read:
    """A prompt and its completion.

    Attributes:
        layout: what the model was taught.
        string: tokens of both, without the end.
        following: float64 [n + 1, terminals + 1], what may follow every prefix; see `Language.next_token`.
        given: tokens of the prompt.
        ended: whether the end was predicted.
    """

    layout: Layout
    string: Tokens
    following: Distributions
    given: int
    ended: bool

    @cached_property
    def possible(self) -> int:
        """How many of the tokens there are before one that cannot follow."""
        return _possible(self.string, following=self.following)

    @property
    def impossible(self) -> str:
        """Why the first token that cannot follow cannot."""
        return _cannot_follow(
            self.string[self.possible], row=self.following[self.possible], layout=self.layout
        )

    @property
    def must_end(self) -> bool:
        """Whether no terminal can follow what is possible."""
        return not self.following[self.possible, :-1].any()

    def sample(self, *, title: str, reason: str, tokens: int | None = None) -> Sample:
        """The first so many of its tokens, wrong where they are no longer possible if there is a reason."""
        words = [_name(token, layout=self.layout) for token in self.string[:tokens]]
        cut = [] if self.ended or tokens is not None else [CUT]
        pieces, place = [*words, *cut], self.possible
        if self.given > 0:
            pieces.insert(self.given, SEAM)
            place += place >= self.given
        before = [*pieces[:place], ""] if place < len(pieces) else pieces
        return Sample(
            title=title,
            text=" ".join(pieces),
            right=not reason,
            wrong_at=len(" ".join(before)) if reason else None,
            reason=reason,
        )


def _sentence(read: _Read, *, title: str) -> Sample:
    reason = ""
    if read.possible < len(read.string):
        reason = read.impossible
    elif not read.ended:
        reason = f"has not ended after {len(read.string)} tokens"
    elif not read.following[-1, -1] > 0:
        reason = "ends here, but no string of the language does"
    return read.sample(title=title, reason=reason)


def _beginning(read: _Read, *, title: str) -> Sample:
    if read.must_end and read.possible >= read.given:
        return read.sample(title=title, reason="", tokens=read.possible)
    return read.sample(
        title=title, reason=read.impossible if read.possible < len(read.string) else ""
    )


def _impossible_prompt(own: list[int], *, layout: Layout) -> str:
    """A note on a prompt that no string begins with; empty if one does."""
    string = np.array(own, dtype=np.int64)
    following = layout.language.next_token(string)
    place = _possible(string, following=following)
    if place == len(string):
        return ""
    reason = _cannot_follow(string[place], row=following[place], layout=layout)
    return (
        f"no string of the language begins like the prompt: its token {place + 1} is "
        f"{_name(string[place], layout=layout)}, but {reason}"
    )


def _possible(string: Tokens, *, following: Distributions) -> int:
    """How many tokens of a string there are before the first one of probability 0."""
    offsets = np.array([0, len(string)])
    # Without the end; what comes after an impossible token is NaN.
    impossible = ~(own_probability(following, string, offsets)[:-1] > 0)
    return int(impossible.argmax()) if impossible.any() else len(string)


def _cannot_follow(token: np.int64, *, row: Distributions, layout: Layout) -> str:
    """What could follow instead of a token; a layout without an end asks for none."""
    names = [_name(each, layout=layout) for each in np.flatnonzero(row[:-1] > 0) + 1]
    if layout.ends and row[-1] > 0:
        names.append("the end")
    if not names:
        return "every string ends before it"
    if len(names) > MOST_NAMED:
        return f"{_name(token, layout=layout)} cannot follow"
    *first, last = names
    return f"only {listed(first)}{' or ' if first else ''}{last} can follow"


def _before(layout: Layout) -> list[int]:
    """What a model reads before the first terminal."""
    return [layout.bos] if layout.ends else []


def _name(token: np.integer, *, layout: Layout) -> str:
    return ("BOS" if layout.ends else "PAD", *layout.language.terminals)[token]
