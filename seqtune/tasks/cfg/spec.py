"""Which grammar, and how its strings are laid out: the specs of the family."""

import abc
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, Tag, model_validator

from seqtune.spec import ByKind, ByShape, Spec, problem
from seqtune.tasks.cfg.dyck import dyck
from seqtune.tasks.cfg.generated import generated
from seqtune.tasks.cfg.grammar import Grammar, grammar
from seqtune.tasks.cfg.language import Language
from seqtune.tasks.cfg.probabilities import read_probabilities
from seqtune.tasks.cfg.recursive import RecursiveGrammar
from seqtune.tasks.cfg.rules import cycle, problems, read_rules, terminal_problems
from seqtune.tasks.task import LanguageSpec

if TYPE_CHECKING:
    from seqtune.tasks.cfg.task import CfgTask

WINDOW = 512
"""Tokens of a packed window unless `length` says otherwise; those of the cfg3 papers."""


def _as_text(value: object) -> object:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if whole else value


Symbol = Annotated[str, BeforeValidator(_as_text)]
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


class _Described(Spec):
    """A grammar that is described rather than named."""

    @abc.abstractmethod
    def build(self) -> Language:
        """The grammar.

        Raises:
            ValueError: if there is none like that.
        """

    def _checked(self) -> Self:
        try:
            self.build()
        except ValueError as error:
            raise problem(str(error)) from None
        return self


class OwnSpec(_Described):
    """A grammar of the user's own. Right-hand sides in a list are equally likely.

    Example:
        `{root: S, rules: {S: [A B, B A], A: [x y, y x x], B: {x: 0.9, y y: 0.1}}}`, or, recursive,
        `{root: S, rules: {S: {a S b: 0.4, a b: 0.6}}, max_length: 40}`
    """

    kind: Literal["own"] = "own"
    name: str = "own"
    root: Symbol
    rules: dict[str, RightHandSides]
    """Symbol -> its right-hand sides: a list, or a mapping to their probabilities. Each is a list of
    symbols or their names with blanks between."""
    terminals: Symbols | None = None
    """The symbols that need no rules; null takes for one whatever has none. Listed, they let a misspelt
    nonterminal be found."""
    max_length: int | None = Field(default=None, ge=1)
    """Tokens of the longest string. A recursive grammar needs it: longer strings are left out, and
    the probabilities of the others are scaled up to sum to 1."""

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
        return self._checked()

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


class GeneratedSpec(_Described):
    """A random grammar like the cfg3 ones: all leaves at one depth, the same number of rules everywhere."""

    kind: Literal["generated"] = "generated"
    height: int = Field(default=3, ge=1)
    """Of the tree."""
    symbols: int = Field(default=3, ge=1)
    """Nonterminals of every height below the root."""
    rules: int = Field(default=2, ge=1)
    """Right-hand sides of a nonterminal, all equally likely."""
    lengths: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False)] = (2, 3)
    """Symbols of a right-hand side; each length is as likely as the others."""
    terminals: int = Field(default=3, ge=1)
    ambiguity: Literal["allow", "forbid"] = "allow"
    """`forbid`: drawn anew until it is proven that no string has two trees."""
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.lengths:
            raise problem("needs at least one length", at="lengths")
        return self._checked()

    def build(self) -> Language:
        return generated(
            height=self.height,
            symbols=self.symbols,
            rules=self.rules,
            lengths=self.lengths,
            terminals=self.terminals,
            unambiguous=self.ambiguity == "forbid",
            seed=self.seed,
        )


class DyckSpec(_Described):
    """Well-nested brackets of several kinds, nested at most so deep."""

    kind: Literal["dyck"] = "dyck"
    pairs: int = Field(default=2, ge=1)
    """Kinds of brackets."""
    depth: int | None = Field(default=4, ge=1)
    """Brackets inside one another at most; null for no bound."""
    max_length: int = Field(default=32, ge=2)
    """Tokens of the longest string."""
    more: Share = 0.5
    """Probability that another pair follows beside a pair."""
    nested: Share = 0.5
    """Probability that a pair holds something, where the depth allows it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        return self._checked()

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
"""Grammars whose kind alone is a description."""


class CfgSpec(LanguageSpec):
    """Strings of a context-free grammar; `root` or `height` takes a part of the grammar's tree."""

    kind: Literal["cfg"] = "cfg"
    grammar: Annotated[
        Annotated[str, Tag("value")] | Annotated[GrammarSpec, Tag("mapping")], ByShape
    ] = "cfg3b"
    """A named grammar (cfg3b, cfg3f, ..., dyck), or one that is described: `kind` own, generated, dyck."""
    root: Symbol | None = None
    height: int | None = Field(default=None, ge=1)
    format: Literal["sentence", "padded", "packed"] = "sentence"
    length: int | None = Field(default=None, ge=1)
    """Tokens of a window of the packed format; 512 if null."""
    score_padding: bool = False
    """Whether the padded format counts its padding in loss and accuracy, as the seed log does."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            self.language()
        except ValueError as error:
            raise problem(str(error), at=self._culprit()) from None
        if self.length is not None and self.format != "packed":
            raise problem(
                f"is the window of the packed format, but the format is {self.format}; leave it out",
                at="length",
            )
        if self.score_padding and self.format != "padded":
            raise problem(
                f"is for the padded format, but the format is {self.format}; leave it out",
                at="score_padding",
            )
        return self

    def _culprit(self) -> str:
        try:
            self._whole()
        except ValueError:
            return "grammar"
        return "height" if self.height is not None else "root"

    def _whole(self) -> Language:
        if not isinstance(self.grammar, str):
            return self.grammar.build()
        described = DESCRIBED.get(self.grammar)
        return grammar(self.grammar) if described is None else described().build()

    def language(self) -> Language:
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
        if self.height is None:
            return whole
        if not isinstance(whole, Grammar):
            raise ValueError("a recursive grammar has no height; take a part of it by its root")
        return whole.with_height(self.height)

    @property
    def scores(self) -> frozenset[str]:
        """The metrics that not every task has; the padded layout ends no string that it generates."""
        floors = {"valid/excess", "valid/excess_string"}
        return frozenset(floors if self.format == "padded" else floors | {"generate/valid"})

    def build(self) -> "CfgTask":
        from seqtune.tasks.cfg.task import CfgTask

        return CfgTask(
            self.language(),
            format=self.format,
            window=self.length or WINDOW,
            score_padding=self.score_padding,
        )
