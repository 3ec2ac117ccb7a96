"""Spec of a context-free grammar: the language, and how its strings are laid out."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, Tag, model_validator

from seqtune.config.errors import problem
from seqtune.config.unions import ByShape
from seqtune.tasks.base import LanguageSpec
from seqtune.tasks.cfg.grammar import Grammar, grammar
from seqtune.tasks.cfg.grammar_spec import DESCRIBED, GeneratedSpec, GrammarSpec, Symbol
from seqtune.tasks.cfg.language import Language

WINDOW = 512
"""Tokens of a packed window unless `length` says otherwise, as in the cfg3 papers."""

CUT = 50
"""Given tokens of cut strings unless `cut` says otherwise, as in the cfg3 papers."""

RARE = 0.01
"""More than this share of strings must be longer than the cut: these are found by drawing."""

LONGEST = 8_192
"""Most tokens of a string: bounds the time of what is computed per length and per prefix."""


class CfgSpec(LanguageSpec):
    """Strings of a context-free grammar; `root` or `height` takes a part of the grammar's tree."""

    size_field: ClassVar = "height"
    generation_ignores: ClassVar = {
        "cut": "write --prompt TEXT with the tokens to be gone on with",
        "score_padding": "leave it out: it is of losses",
    }
    probe_ignores: ClassVar = {
        "cut": "leave it out: it is of what is generated",
        "score_padding": "leave it out: padding is in no tree",
    }

    kind: Literal["cfg"] = "cfg"
    grammar: Annotated[
        Annotated[str, Tag("value")] | Annotated[GrammarSpec, Tag("mapping")], ByShape
    ] = GeneratedSpec()
    """A named grammar (cfg3b, ..., dyck), or a description of `kind` own, generated or dyck."""
    root: Symbol | None = None
    height: int | None = Field(default=None, ge=1)
    format: Literal["sentence", "padded", "packed"] = "sentence"
    length: int | None = Field(default=None, ge=1)
    """Tokens of a window of the packed format; 512 if null."""
    score_padding: bool = False
    """Whether the padded format counts its padding in loss and accuracy, as the seed log does."""
    cut: int | None = Field(default=None, ge=0)
    """Tokens of a true string that are given before the model continues it, in the second part of the
    generative evaluation; 0 leaves that part out, null is 50 or half the shortest string if less."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            longest = self.language().lengths.max
        except ValueError as error:
            raise problem(str(error), at=self._wrong_field()) from None
        if longest > LONGEST:
            raise problem(
                f"has strings of up to {longest:,} tokens, but at most {LONGEST:,} are supported; "
                "take a lower height or shorter right-hand sides",
                at="grammar",
            )
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
        self._check_cut(longest)
        return self

    def _check_cut(self, longest: int) -> None:
        if self.cut is None:
            return
        if self.format == "padded":
            raise problem(
                "is for generative evaluation, which the padded format does not have; leave it out",
                at="cut",
            )
        if self.cut >= longest:
            raise problem(
                f"must leave something of the longest string, which has {longest} tokens, "
                f"but got {self.cut}; write at most {longest - 1}",
                at="cut",
            )
        longer = float(self.language().length_distribution[self.cut + 1 :].sum())
        if longer < RARE:
            raise problem(
                f"must leave something of more than {RARE:.0%} of the strings, but only "
                f"{longer:.2g} of them are longer than {self.cut} tokens; write a smaller cut",
                at="cut",
            )

    def _wrong_field(self) -> str:
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
        """Return the grammar with its root at `root` or at `height`.

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
    def longest(self) -> int:
        longest = self.language().lengths.max
        match self.format:
            case "sentence":
                return longest + 1
            case "padded":
                return max(1, longest - 1)
            case "packed":
                return max(self.length or WINDOW, longest + 1)

    @property
    def scores(self) -> frozenset[str]:
        """Metrics that not every task has; the padded layout has no generative evaluation."""
        names = {"valid/excess", "valid/excess_string", "valid/kl"}
        if self.format != "padded":
            names.add("generate/valid")
        if self.given > 0:
            names.add("generate/valid_cut")
        return frozenset(names)

    @property
    def given(self) -> int:
        """Given tokens of cut strings; 0 if there is no such part."""
        if self.format == "padded":
            return 0
        return min(CUT, self.language().lengths.min // 2) if self.cut is None else self.cut
