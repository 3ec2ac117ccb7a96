"""What probes are fitted to and scored on: positions of strings, and what is to be told of them.

Of long strings a sample of positions is read. Those that end high nodes are rare, and are taken more often
than their share; every position has for its weight the number of those that it was drawn from.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from seqtune.tasks.base import Mask, Tokens, WithTrees
from seqtune.training.probe_result import TARGETS, ProbeTarget

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Positions:
    """Positions, and what is to be told of them; N positions, K targets.

    Attributes:
        labels: int64 [K, N]; the class, -1 where a target leaves a position out.
        weights: float64 [N]; how many positions each stands for.
        strings: int64 [N]; the number of the string that each is of.
    """

    labels: Labels
    weights: npt.NDArray[np.float64]
    strings: Labels


@dataclass(frozen=True)
class Question:
    """A target of a level, of which there are at least two classes."""

    target: ProbeTarget
    level: str
    classes: int


@dataclass(frozen=True, eq=False)
class Half:
    """The strings that probes are fitted to, or those that they are scored on.

    Attributes:
        tokens: int64 [B, T], what a model reads.
        chosen: bool [B, T], the positions, N in number, whose hidden states are wanted.
        positions: of these, string by string.
    """

    tokens: Tokens
    chosen: Mask
    positions: Positions


@dataclass(frozen=True, eq=False)
class Examples:
    """K questions, and strings to fit and to score their probes."""

    questions: tuple[Question, ...]
    fitted: Half
    held_out: Half


def examples(labelled: WithTrees, *, most: int, generator: np.random.Generator) -> Examples:
    """The first half of the strings to fit probes to, the second to score them.

    Left out is what cannot be told wrong, such as the symbol of the root.

    Args:
        labelled: an even number of strings.
        most: positions of either half.
        generator: what they are chosen by.
    """
    size = len(labelled.batch) // 2
    drawn = [
        _drawn(labelled, rows, most=most, generator=generator)
        for rows in (slice(0, size), slice(size, 2 * size))
    ]
    fitted, held_out = (each.positions.labels for each in drawn)
    kinds: list[tuple[ProbeTarget, str]] = list(itertools.product(TARGETS, labelled.levels))
    classes = [np.unique(own[own >= 0]) for own in fitted]
    asked = [
        place
        for place in range(len(kinds))
        if len(classes[place]) > 1 and (held_out[place] >= 0).any()
    ]
    questions = [Question(*kinds[place], classes=len(classes[place])) for place in asked]
    known = [classes[place] for place in asked]
    halves = [
        replace(
            half,
            positions=replace(
                half.positions, labels=_renumbered(half.positions.labels[asked], classes=known)
            ),
        )
        for half in drawn
    ]
    return Examples(tuple(questions), *halves)


def _drawn(labelled: WithTrees, rows: slice, *, most: int, generator: np.random.Generator) -> Half:
    """Some of the strings, with the classes of every target and level as the labels have them."""
    ancestors, ends = labelled.ancestors[:, rows], labelled.boundaries[:, rows]
    # Where a window begins within a sentence, nobody can know the tree over it.
    readable = (ancestors >= 0).any(axis=0) & labelled.batch.compared[rows]
    levels = np.arange(1, len(labelled.levels) + 1)[:, None]
    highest = ((ends[:, readable] == 1) * levels).max(axis=0)
    taken, weights = _sampled(highest, most=most, generator=generator)
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


def _sampled(
    groups: Labels, *, most: int, generator: np.random.Generator
) -> tuple[Mask, npt.NDArray[np.float64]]:
    """Which positions are taken, bool [N], and the weights of those; of each group so many by chance."""
    sizes = np.bincount(groups)
    numbers = _shared_out(sizes, most=most)
    taken = np.zeros(len(groups), dtype=bool)
    for group, number in enumerate(numbers):
        members = np.flatnonzero(groups == group)
        taken[generator.choice(members, number, replace=False)] = True
    return taken, (sizes / np.maximum(numbers, 1))[groups[taken]]


def _shared_out(sizes: Labels, *, most: int) -> Labels:
    """How many of every group are taken: in proportion to the root of its size, or all of it.

    Example:
        Of 100, 400 and 1 by 31: 10, 20 and 1. By 1,000: all.
    """
    numbers = np.zeros_like(sizes)
    roots = np.sqrt(sizes)
    left = most
    # The smallest first: what they have too little of falls to the greater.
    order = np.argsort(sizes, kind="stable")
    for place, group in enumerate(order):
        if sizes[group] > 0:
            fair = left * roots[group] / roots[order[place:]].sum()
            numbers[group] = min(int(sizes[group]), max(1, round(float(fair))))
            left -= int(numbers[group])
    return numbers


def _renumbered(labels: Labels, *, classes: Sequence[Labels]) -> Labels:
    """Classes by their place among those that occur in the fit; one behind them all for any other.

    Args:
        labels: int64 [K, N].
        classes: of every row, in ascending order.
    """
    found = np.full_like(labels, -1)
    for row, (own, known) in enumerate(zip(labels, classes, strict=True)):
        places = np.where(np.isin(own, known), np.searchsorted(known, own), len(known))
        found[row, own >= 0] = places[own >= 0]
    return found
