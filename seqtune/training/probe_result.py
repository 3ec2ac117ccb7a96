"""What linear probes found in a model: a row for every layer, level and target. Needs no torch."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from seqtune.tasks.score import Score, finite

ProbeTarget: TypeAlias = Literal["ancestor", "ancestor_at_end", "boundary"]
Reader: TypeAlias = Literal["trained", "untrained", "majority"]


@dataclass(frozen=True)
class Target:
    """What is told of a token and a level, and how it is scored.

    Attributes:
        title: in a few words.
        meaning: the rest of a sentence that begins with the title and a colon.
        score: the field of `ProbeResult` that is shown of it.
    """

    title: str
    meaning: str
    score: Literal["accuracy", "balanced_accuracy"]


TARGETS: Mapping[ProbeTarget, Target] = MappingProxyType(
    {
        "ancestor": Target(
            title="ancestor of every token",
            meaning="which symbol the node over a token is; before its node's last token, what was read so "
            "far may leave it open, so that no model can always be right",
            score="accuracy",
        ),
        "ancestor_at_end": Target(
            title="ancestor at its last token",
            meaning="the same where all of the node was read",
            score="accuracy",
        ),
        "boundary": Target(
            title="end of the node",
            meaning="whether a token is its node's last; in balanced accuracy ends and other tokens count "
            "alike, and 0.5 is chance",
            score="balanced_accuracy",
        ),
    }
)


@dataclass(frozen=True)
class ProbeResult:
    """How well one target is told of one level, on strings that no probe was fitted to.

    Attributes:
        target: what is told.
        level: of which level of the trees, as `Labelled` names it.
        layer: from whose hidden states, counted from 1; None where from none.
        model: trained, its untrained copy, or always the class that was most common.
        accuracy: share of positions told right; strings are its units.
        balanced_accuracy: the same with every class counting alike, and told as if all were equally common.
        classes: how many there are.
        positions: how many were told; where they are a sample of all, weights made up for it.
    """

    target: ProbeTarget
    level: str
    layer: int | None
    model: Reader
    accuracy: Score
    balanced_accuracy: Score
    classes: int
    positions: int

    @property
    def score(self) -> Score:
        """The score that is shown of its target."""
        match TARGETS[self.target].score:
            case "accuracy":
                return self.accuracy
            case "balanced_accuracy":
                return self.balanced_accuracy

    def to_data(self) -> dict[str, str | int | float | None]:
        """A row of plain values, each score with its standard error; None where there is no number."""
        row: dict[str, str | int | float | None] = {
            "target": self.target,
            "level": self.level,
            "layer": self.layer,
            "model": self.model,
        }
        for name, score in (
            ("accuracy", self.accuracy),
            ("balanced_accuracy", self.balanced_accuracy),
        ):
            row[name] = finite(score.value)
            row[f"{name}_standard_error"] = finite(score.standard_error)
        return row | {
            "classes": self.classes,
            "positions": self.positions,
            "strings": self.accuracy.count,
        }


def greatest_error(readings: Iterable[ProbeResult]) -> float:
    """The greatest standard error of the scores that are shown; NaN if none is known."""
    errors = [reading.score.standard_error for reading in readings]
    return max((error for error in errors if not math.isnan(error)), default=math.nan)


def signed(difference: float) -> str:
    """A difference of scores in three decimals, as +0.120; nothing is +0.000."""
    return f"{round(difference, 3) + 0.0:+.3f}"
