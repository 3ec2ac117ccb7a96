"""What linear probes predict, the positions that they read, and their results. Needs no torch.

Of long strings a sample of positions is read. Positions that end high nodes are rare and are
sampled more often than in proportion; every sampled position is weighted by the number of positions
it stands for.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from seqtune.tasks.base import Mask, Tokens, WithTrees
from seqtune.tasks.score import Score, finite

Labels: TypeAlias = npt.NDArray[np.int64]
ProbeTarget: TypeAlias = Literal["ancestor", "ancestor_at_end", "boundary"]
Reader: TypeAlias = Literal["trained", "untrained", "majority"]


@dataclass(frozen=True)
class Target:
    """What a probe predicts for a token and a level, and how the prediction is scored.

    Attributes:
        title: a few words.
        meaning: the rest of a sentence that begins with the title and a colon.
        score: the field of `ProbeResult` that reports show.
    """

    title: str
    meaning: str
    score: Literal["accuracy", "balanced_accuracy"]


TARGETS: Mapping[ProbeTarget, Target] = MappingProxyType(
    {
        "ancestor": Target(
            title="ancestor of every token",
            meaning="which symbol the node over a token is; before its node's last token, what was "
            "read so far may leave it open, so that no model can always be right",
            score="accuracy",
        ),
        "ancestor_at_end": Target(
            title="ancestor at its last token",
            meaning="the same where all of the node was read",
            score="accuracy",
        ),
        "boundary": Target(
            title="end of the node",
            meaning="whether a token is its node's last; in balanced accuracy ends and other "
            "tokens count alike, and 0.5 is chance",
            score="balanced_accuracy",
        ),
    }
)


@dataclass(frozen=True)
class ProbeResult:
    """How well a target is predicted at a level, on strings that no probe was fitted to.

    Attributes:
        target: what is predicted.
        level: level of the trees, by its name in `WithTrees`.
        layer: layer whose hidden states are read, from 1; None if none is read.
        model: the trained model, its untrained copy, or always the most common class.
        accuracy: share of positions predicted right; the unit of its error is the string.
        balanced_accuracy: the same with every class counting alike, and predicted as if all classes
            were equally common.
        classes: number of classes.
        positions: number of positions predicted; if they are a sample, weights correct for it.
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
        """The score that reports show for the target."""
        match TARGETS[self.target].score:
            case "accuracy":
                return self.accuracy
            case "balanced_accuracy":
                return self.balanced_accuracy

    def to_data(self) -> dict[str, str | int | float | None]:
        """Return a row of plain values, scores with standard errors; None if missing."""
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
    """Return the greatest standard error of the shown scores; NaN if none is known."""
    errors = [reading.score.standard_error for reading in readings]
    return max((error for error in errors if not math.isnan(error)), default=math.nan)


def signed(difference: float) -> str:
    """Format a difference of scores with sign and three decimals: +0.120; zero is +0.000."""
    return f"{round(difference, 3) + 0.0:+.3f}"


@dataclass(frozen=True, eq=False)
class Positions:
    """Positions and their classes; N positions, K targets.

    Attributes:
        labels: int64 [K, N]; the class, -1 for positions that do not count for a target.
        weights: float64 [N]; the number of positions that each stands for.
        strings: int64 [N]; index of the string of each.
    """

    labels: Labels
    weights: npt.NDArray[np.float64]
    strings: Labels


@dataclass(frozen=True)
class Question:
    """A target at a level, with at least two classes."""

    target: ProbeTarget
    level: str
    classes: int


@dataclass(frozen=True, eq=False)
class Half:
    """The strings that probes are fitted to, or those that they are scored on.

    Attributes:
        tokens: int64 [B, T], what a model reads.
        chosen: bool [B, T], the N positions whose hidden states are wanted.
        positions: of these, string by string.
    """

    tokens: Tokens
    chosen: Mask
    positions: Positions


@dataclass(frozen=True, eq=False)
class Examples:
    """K questions, and the strings to fit and to score their probes on."""

    questions: tuple[Question, ...]
    fitted: Half
    held_out: Half


def make_examples(labelled: WithTrees, *, most: int, generator: np.random.Generator) -> Examples:
    """Return the first half of the strings to fit probes to and the second to score them on.

    Targets with a single class, such as the symbol of the root, are left out.

    Args:
        labelled: an even number of strings.
        most: largest number of positions of either half.
        generator: for the sample of positions.
    """
    size = len(labelled.batch) // 2
    drawn = [
        _draw_half(labelled, rows, most=most, generator=generator)
        for rows in (slice(0, size), slice(size, 2 * size))
    ]
    fitted, held_out = (each.positions.labels for each in drawn)
    kinds: list[tuple[ProbeTarget, str]] = list(itertools.product(TARGETS, labelled.levels))
    classes = [np.unique(row[row >= 0]) for row in fitted]
    used = [
        place
        for place in range(len(kinds))
        if len(classes[place]) > 1 and (held_out[place] >= 0).any()
    ]
    questions = [Question(*kinds[place], classes=len(classes[place])) for place in used]
    known = [classes[place] for place in used]
    halves = [
        replace(
            half,
            positions=replace(
                half.positions, labels=_renumber(half.positions.labels[used], classes=known)
            ),
        )
        for half in drawn
    ]
    return Examples(tuple(questions), *halves)


def _draw_half(
    labelled: WithTrees, rows: slice, *, most: int, generator: np.random.Generator
) -> Half:
    """Sample positions of some of the strings; classes keep the numbers of the labels."""
    ancestors, ends = labelled.ancestors[:, rows], labelled.boundaries[:, rows]
    # If a window begins within a sentence, the tree over its first tokens cannot be known.
    readable = (ancestors >= 0).any(axis=0) & labelled.batch.compared[rows]
    levels = np.arange(1, len(labelled.levels) + 1)[:, None]
    highest = ((ends[:, readable] == 1) * levels).max(axis=0)
    taken, weights = _sample(highest, most=most, generator=generator)
    chosen = np.zeros_like(readable)
    chosen[readable] = taken
    ancestors, ends = ancestors[:, chosen], ends[:, chosen]
    labels = {
        "ancestor": ancestors,
        "ancestor_at_end": np.where(ends == 1, ancestors, -1),
        "boundary": ends,
    }
    strings, _ = chosen.nonzero()
    positions = Positions(np.concatenate([labels[each] for each in TARGETS]), weights, strings)
    return Half(labelled.batch.tokens[rows], chosen, positions)


def _sample(
    groups: Labels, *, most: int, generator: np.random.Generator
) -> tuple[Mask, npt.NDArray[np.float64]]:
    """Sample positions group by group: which are taken, bool [N], and the weights of those."""
    sizes = np.bincount(groups)
    numbers = _allocate(sizes, most=most)
    taken = np.zeros(len(groups), dtype=bool)
    for group, number in enumerate(numbers):
        members = np.flatnonzero(groups == group)
        taken[generator.choice(members, number, replace=False)] = True
    return taken, (sizes / np.maximum(numbers, 1))[groups[taken]]


def _allocate(sizes: Labels, *, most: int) -> Labels:
    """Return the sample size of every group: proportional to the root of its size, or all of it.

    Example:
        For sizes 100, 400 and 1 and `most=31`: 10, 20 and 1. For `most=1000`: all.
    """
    numbers = np.zeros_like(sizes)
    roots = np.sqrt(sizes)
    left = most
    # Smallest first: what a small group cannot fill is left to the larger ones.
    order = np.argsort(sizes, kind="stable")
    for place, group in enumerate(order):
        if sizes[group] > 0:
            fair = left * roots[group] / roots[order[place:]].sum()
            numbers[group] = min(int(sizes[group]), max(1, round(float(fair))))
            left -= int(numbers[group])
    return numbers


def _renumber(labels: Labels, *, classes: Sequence[Labels]) -> Labels:
    """Number classes by their rank among those of the fit; all others get the number after them.

    Args:
        labels: int64 [K, N].
        classes: of every row, in ascending order.
    """
    found = np.full_like(labels, -1)
    for row, (own, known) in enumerate(zip(labels, classes, strict=True)):
        places = np.where(np.isin(own, known), np.searchsorted(known, own), len(known))
        found[row, own >= 0] = places[own >= 0]
    return found
