"""The strings of a context-free grammar as a prediction task.

The language is the set of strings that a grammar derives; drawing a string expands the root by rules
chosen at random. Two layouts of a string s of n tokens (terminals are 1..t, in ascending order):

- `sentence`: reads BOS s1 .. sn and predicts s1 .. sn EOS; BOS is 0, EOS is t + 1; padding never counts.
  Example (cfg3b, root 7, string 3 1): reads 0 3 1, predicts 3 1 4.
- `padded`: reads s1 .. s(n-1) and predicts s2 .. sn, filled up with 0 to the longest string of the batch,
  and the padding *is* scored. Wherever the target is padding, so is the input; so the end of a string is
  never predicted, and the first token neither. Example: 3 1 beside 1 2 3 reads 3 0 and predicts 1 0.
  It is the layout of the experiment that this project descends from, kept to reproduce it.

Source: Allen-Zhu & Li 2023, arXiv 2305.13673 (the cfg3 grammars).
"""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, Tag, model_validator

from seqtune.spec import ByShape, Spec, problem
from seqtune.tasks.cfg.grammar import Grammar, grammar
from seqtune.tasks.cfg.rules import problems
from seqtune.tasks.task import Batch, Floor, Mask, Prompt, Strings, Task, Tokens


def _as_text(value: object) -> object:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if whole else value


Symbol = Annotated[str, BeforeValidator(_as_text)]
"""Name of a terminal or nonterminal; a number stands for its digits."""
Symbols = Annotated[tuple[Symbol, ...], Field(strict=False)]
RightHandSide = Annotated[
    Annotated[Symbol, Tag("value")] | Annotated[Symbols, Tag("list")], ByShape
]


class GrammarSpec(Spec):
    """A grammar of the user's own: every rule of a symbol is equally likely.

    Example:
        `{root: S, rules: {S: [A B, B A], A: [x y, y x x], B: [x, y y]}}`
    """

    name: str = "own"
    root: Symbol
    rules: dict[str, Annotated[tuple[RightHandSide, ...], Field(strict=False)]]
    """Symbol -> its right-hand sides, each a list of symbols or their names with blanks between."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        found = problems(root=self.root, rules=self.rules)
        if found:
            raise problem("\n".join(found))
        return self

    def build(self) -> Grammar:
        return Grammar.from_rules(name=self.name, root=self.root, rules=self.rules)


class CfgSpec(Spec):
    """Strings of a context-free grammar; `root` or `height` takes a part of the grammar's tree."""

    kind: Literal["cfg"] = "cfg"
    grammar: Annotated[
        Annotated[str, Tag("value")] | Annotated[GrammarSpec, Tag("mapping")], ByShape
    ] = "cfg3b"
    """A named grammar, or one of the user's own."""
    root: Symbol | None = None
    height: int | None = Field(default=None, ge=1)
    format: Literal["sentence", "padded"] = "sentence"

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            self.grammar_of_root()
        except ValueError as error:
            raise problem(str(error), at=self._culprit()) from None
        return self

    def _culprit(self) -> str:
        try:
            self._whole()
        except ValueError:
            return "grammar"
        return "height" if self.height is not None else "root"

    def _whole(self) -> Grammar:
        return grammar(self.grammar) if isinstance(self.grammar, str) else self.grammar.build()

    def grammar_of_root(self) -> Grammar:
        """The grammar with its root moved to `root` or to `height`.

        Raises:
            ValueError: if the grammar, the root or the height is unknown, or both are given.
        """
        whole = self._whole()
        if self.root is not None and self.height is not None:
            raise ValueError(
                f"give either root or height, but got (root={self.root}, height={self.height})"
            )
        if self.root is not None:
            return whole.with_root(self.root)
        return whole if self.height is None else whole.with_height(self.height)

    @property
    def judges_completions(self) -> bool:
        """Whether `generate/valid` can be measured: the padded layout has no end of string."""
        return self.format == "sentence"

    def build(self) -> "CfgTask":
        return CfgTask(self.grammar_of_root(), format=self.format)


class CfgTask(Task):
    """Draws, lays out and judges the strings of one grammar."""

    def __init__(self, grammar: Grammar, *, format: Literal["sentence", "padded"]) -> None:
        self.grammar = grammar
        self.format = format
        terminals = len(grammar.terminals)
        self.bos, self.eos = 0, terminals + 1
        self.vocab_size = terminals + 2
        self.outputs = terminals + 2 if format == "sentence" else terminals + 1
        self.max_length = grammar.lengths.max + (1 if format == "sentence" else -1)

    def draw(self, count: int, *, generator: np.random.Generator) -> Strings:
        tokens, offsets = self.grammar.sample_flat(count, generator)
        return Strings(tokens=tokens, offsets=offsets)

    def batch(self, strings: Strings) -> Batch:
        if self.format == "padded":
            rows = strings.padded(fill=0)
            targets = rows[:, 1:]
            tokens = np.where(targets > 0, rows[:, :-1], 0)
            return Batch(tokens, targets, np.ones_like(targets, dtype=bool), strings)
        longest = int(strings.lengths.max(initial=0))
        rows = strings.padded(fill=self.eos, length=longest + 1)
        tokens = np.concatenate([np.full((len(rows), 1), self.bos), rows[:, :-1]], axis=1)
        scored = np.arange(longest + 1) <= strings.lengths[:, None]
        return Batch(tokens, rows, scored, strings)

    def floor(self, batch: Batch) -> Floor:
        """Exact: the true next-token distributions along these very strings.

        In the padded layout a model knows from its input that the string goes on, so each distribution is
        taken given that it does, and padding costs nothing.
        """
        strings = batch.strings
        flat, offsets = self.grammar.next_token_batch(strings)
        own = self._own_tokens(strings)
        scored = int(batch.scored.sum())
        if self.format == "padded":
            kept = np.ones(len(flat), dtype=bool)
            kept[offsets[:-1]] = kept[offsets[1:] - 1] = False
            flat, own = flat[kept, :-1] / (1.0 - flat[kept, -1:]), own[kept]
        nats = float(-np.log(np.take_along_axis(flat, own[:, None], axis=1)).sum())
        correct = float(flat.max(axis=1).sum())
        padding = scored - len(flat)
        return Floor(nats=nats, correct=correct + padding, scored=scored, strings=len(strings))

    def _own_tokens(self, strings: Strings) -> Tokens:
        """Column of each string's own next token in the distributions, its end last."""
        own = np.full(len(strings.tokens) + len(strings), self.eos - 1, dtype=np.int64)
        positions = np.arange(len(strings.tokens)) + np.repeat(
            np.arange(len(strings)), strings.lengths
        )
        own[positions] = strings.tokens.astype(np.int64) - 1
        return own

    def prompt(self, count: int) -> Prompt | None:
        """BOS; none for the padded layout, which has no end of string to generate."""
        if self.format == "padded":
            return None
        tokens = np.full((count, 1), self.bos, dtype=np.int64)
        return Prompt(tokens, stop=self.eos, longest=self.max_length)

    def judge(self, completions: Tokens) -> Mask:
        ended = completions == self.eos
        lengths = np.where(ended.any(axis=1), ended.argmax(axis=1), completions.shape[1])
        strings = [row[:length] for row, length in zip(completions, lengths, strict=True)]
        return self.grammar.accepts(strings) & ended.any(axis=1)
