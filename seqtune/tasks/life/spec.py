"""Spec of the Game of Life: the rule, the boards, their notation and what is scored."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from seqtune.config.errors import problem
from seqtune.tasks.base import LanguageSpec
from seqtune.tasks.life.board import Boards, Border, Rule
from seqtune.tasks.life.densities import DensitySpec, FixedDensity, High
from seqtune.tasks.life.layouts import Heterogeneous, Homogeneous, LayoutSpec
from seqtune.tasks.life.notation import Notation, VocabularyName
from seqtune.tasks.life.pattern import Pattern, load, place, shipped


def _canonical(text: str) -> str:
    try:
        return str(Rule.parse(text))
    except ValueError as error:
        raise problem(str(error)) from None


def _known(name: str) -> str:
    try:
        load(name)
    except ValueError as error:
        raise problem(str(error)) from None
    return name


PatternName = Annotated[str, AfterValidator(_known)]
"""Name of a shipped pattern, or the path of a `.rle` or `.cells` file."""


class LifeSpec(LanguageSpec):
    """Boards, each with the board that follows by a life-like rule."""

    size_field: ClassVar = "rows"
    generation_ignores: ClassVar = {
        "patterns": "write --prompt PATTERN",
        "rollout_steps": "leave it out: roll-outs are of seqtune evaluate",
    }

    kind: Literal["life"] = "life"
    rule: Annotated[str, AfterValidator(_canonical)] = "B3/S23"
    """Counts of live neighbours for birth and for survival."""
    rows: int = Field(default=4, ge=1, le=256)
    columns: int = Field(default=4, ge=1, le=256)
    border: Border = "torus"
    """What lies beyond the edge: the opposite edge, or cells that are always dead."""
    steps: int = Field(default=1, ge=1, le=10_000)
    """How many steps the second board is ahead of the first; 1 in LifeGPT."""
    density: DensitySpec = High()
    """`high`, `broad`, P(a cell is alive), `beta(2, 5)` or `{kind: beta, a: 2, b: 5}`."""
    layout: LayoutSpec = Homogeneous()
    """`homogeneous`, or `heterogeneous` for boards with clusters."""
    vocabulary: VocabularyName = "bytes"
    """256 tokens, one per byte; or only those that occur."""
    loss: Literal["completion", "whole"] = "completion"
    """What is scored: the second board alone, or the prompt too."""
    patterns: Annotated[tuple[PatternName, ...], Field(strict=False)] | None = None
    """Test boards: names of patterns, or paths of `.rle` and `.cells` files; null is all shipped
    patterns that fit."""
    rollout_steps: int = Field(default=10, ge=0, le=10_000)
    """Boards that a model predicts from its own boards in a roll-out; 0 leaves roll-outs out."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if isinstance(self.layout, Heterogeneous):
            self._check_heterogeneous(self.layout)
        try:
            self.test_boards()
        except ValueError as error:
            raise problem(str(error), at="patterns") from None
        return self

    def _check_heterogeneous(self, layout: Heterogeneous) -> None:
        try:
            layout.target(rows=self.rows, columns=self.columns)
        except ValueError as error:
            raise problem(str(error), at="layout") from None
        cells = self.rows * self.columns
        if isinstance(self.density, FixedDensity) and round(self.density.share * cells) in (
            0,
            cells,
        ):
            raise problem(
                "must leave heterogeneous boards both live and dead cells, but got "
                f"{self.density.share:g} on {cells} cells; write a density nearer to 0.5",
                at="density",
            )

    def test_patterns(self) -> list[Pattern]:
        """Return the patterns of the test boards.

        Raises:
            ValueError: if two have the same name, or one can no longer be read.
        """
        if self.patterns is None:
            return [each for each in shipped() if each.fits(rows=self.rows, columns=self.columns)]
        found = [load(name) for name in self.patterns]
        names = [each.name for each in found]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"must have different names, but got {', '.join(twice)} more than once"
            )
        return found

    def test_boards(self) -> dict[str, Boards]:
        """Return a board [R, C] for each pattern, by its name, with the pattern in the middle.

        Raises:
            ValueError: if a pattern is larger than the board.
        """
        return {
            pattern.name: place(pattern, rows=self.rows, columns=self.columns)
            for pattern in self.test_patterns()
        }

    @property
    def certain(self) -> bool:
        """Whether all tokens whose floor is known are certain, so that the floor is 0."""
        return self.loss == "completion" or not self.layout.independent

    @property
    def scores(self) -> frozenset[str]:
        """Metrics that not every task has."""
        names = {"valid/excess", "valid/excess_string"}
        if not self.certain:
            names.add("valid/kl")
        names |= {f"generate/{score}" for score in ("valid", "cells", "exact")}
        if self.rollout_steps > 0:
            names |= {f"rollout/{score}" for score in ("cells", "exact", "first_wrong")}
        return frozenset(names)

    @property
    def prompt_length(self) -> int:
        """Characters through `>` if only the second board is scored; else 0."""
        return (
            Notation.prompt_length_of(self.rows * self.columns) if self.loss == "completion" else 0
        )

    @property
    def longest(self) -> int:
        notation = Notation(rows=self.rows, columns=self.columns, vocabulary=self.vocabulary)
        return notation.length - 1
