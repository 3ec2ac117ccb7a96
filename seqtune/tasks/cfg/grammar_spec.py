"""Specs of grammars that a file describes: the user's own, random ones, bracket words."""

import abc
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, Tag, model_validator

from seqtune.config.errors import problem
from seqtune.config.spec import Spec
from seqtune.config.unions import ByKind, ByShape, OrInShort
from seqtune.tasks.cfg.dyck import dyck
from seqtune.tasks.cfg.grammar import Grammar
from seqtune.tasks.cfg.language import Language
from seqtune.tasks.cfg.random_families import random_grammar
from seqtune.tasks.cfg.recursive.grammar import RecursiveGrammar
from seqtune.tasks.cfg.rules import (
    cycle,
    problems,
    read_probabilities,
    read_rules,
    terminal_problems,
)

LONGEST_RECURSIVE = 2_048
"""Largest cap: the time to score strings of a recursive grammar grows at least with its square."""


def _as_text(value: object) -> object:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if whole else value


Symbol = Annotated[str, BeforeValidator(_as_text), OrInShort({"type": "integer"})]
"""Name of a terminal or nonterminal; a number stands for its digits."""
Symbols = Annotated[tuple[Symbol, ...], Field(strict=False)]
RightHandSide = Annotated[
    Annotated[Symbol, Tag("value")] | Annotated[Symbols, Tag("list")], ByShape
]
RightHandSides = Annotated[
    Annotated[tuple[RightHandSide, ...], Field(strict=False), Tag("list")]
    | Annotated[dict[Symbol, float], Tag("mapping")],
    ByShape,
]


Share = Annotated[float, Field(gt=0, lt=1)]


class _DescribedGrammar(Spec):
    """What all described grammars have in common."""

    @abc.abstractmethod
    def build(self) -> Language:
        """Return the grammar.

        Raises:
            ValueError: if there is no such grammar.
        """

    def _check_grammar(self) -> Self:
        try:
            self.build()
        except ValueError as error:
            field, _, rest = str(error).partition(": ")
            if field in type(self).model_fields:
                raise problem(rest, at=field) from None
            raise problem(str(error)) from None
        return self


class OwnSpec(_DescribedGrammar):
    """A grammar of the user's own. Right-hand sides in a list are equally likely.

    Example:
        `{root: S, rules: {S: [A B, B A], A: [x y, y x x], B: {x: 0.9, y y: 0.1}}}`, or, recursive,
        `{root: S, rules: {S: {a S b: 0.4, a b: 0.6}}, max_length: 40}`
    """

    kind: Literal["own"] = "own"
    name: str = "own"
    root: Symbol
    rules: dict[str, RightHandSides]
    """Right-hand sides of every symbol: a list, or a mapping to their probabilities. Each is a list of
    symbols, or their names separated by blanks."""
    terminals: Symbols | None = None
    """The symbols without rules; null takes all that have none. Listing them lets a misspelt
    nonterminal be found."""
    max_length: int | None = Field(default=None, ge=1, le=LONGEST_RECURSIVE)
    """Tokens of the longest string, for recursive grammars: longer strings are left out, and the
    probabilities of the others are scaled up to sum to 1."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        found = problems(root=self.root, rules=self.rules)
        if not found and self.terminals is not None:
            found = terminal_problems(read_rules(self.rules), terminals=self.terminals)
        if found:
            raise problem("\n".join(found))
        around = cycle(read_rules(self.rules))
        if around and self.max_length is None:
            raise problem(
                f"the grammar is recursive ({' -> '.join(around)}), so it has no longest string and "
                "no exact count; give it a max_length, such as max_length: 64"
            )
        if not around and self.max_length is not None:
            raise problem(
                "is for recursive grammars, and this one is not; leave it out", at="max_length"
            )
        return self._check_grammar()

    def build(self) -> Language:
        if self.max_length is None:
            return Grammar.from_rules(name=self.name, root=self.root, rules=self.rules)
        return RecursiveGrammar(
            name=self.name,
            root=self.root,
            rules=read_rules(self.rules),
            probabilities=read_probabilities(self.rules),
            max_length=self.max_length,
        )


class GeneratedSpec(_DescribedGrammar):
    """A random grammar like cfg3: all leaves at one depth, every nonterminal with as many rules."""

    kind: Literal["generated"] = "generated"
    height: int = Field(default=3, ge=1)
    """Height of the tree."""
    symbols: int = Field(default=3, ge=1, le=100)
    """Nonterminals of each height below the root."""
    rules: int = Field(default=2, ge=1, le=100)
    """Right-hand sides of a nonterminal, all equally likely."""
    lengths: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False)] = (2, 3)
    """Symbols of a right-hand side; each length is as likely as the others."""
    terminals: int = Field(default=3, ge=1)
    ambiguity: Literal["allow", "forbid"] = "allow"
    """`forbid`: draw again until it is proven that no string has two trees."""
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.lengths:
            raise problem("needs at least one length", at="lengths")
        return self._check_grammar()

    def build(self) -> Language:
        return random_grammar(
            height=self.height,
            symbols=self.symbols,
            rules=self.rules,
            lengths=self.lengths,
            terminals=self.terminals,
            unambiguous=self.ambiguity == "forbid",
            seed=self.seed,
        )


class DyckSpec(_DescribedGrammar):
    """Well-nested brackets of several kinds, of bounded depth."""

    kind: Literal["dyck"] = "dyck"
    pairs: int = Field(default=2, ge=1)
    """Kinds of brackets."""
    depth: int | None = Field(default=4, ge=1)
    """Deepest nesting; null for no bound."""
    max_length: int = Field(default=32, ge=2, le=LONGEST_RECURSIVE)
    """Tokens of the longest string."""
    more: Share = 0.5
    """Probability that another pair follows a pair."""
    nested: Share = 0.5
    """Probability that a pair holds something, where the depth allows it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        return self._check_grammar()

    def build(self) -> Language:
        return dyck(
            pairs=self.pairs,
            depth=self.depth,
            max_length=self.max_length,
            more=self.more,
            nested=self.nested,
        )


GrammarSpec: TypeAlias = Annotated[
    OwnSpec | GeneratedSpec | DyckSpec,
    ByKind(default="own"),
]
"""A grammar that is described rather than named."""

DESCRIBED = {"generated": GeneratedSpec, "dyck": DyckSpec}
"""Grammars that their kind alone describes."""
