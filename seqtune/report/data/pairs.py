"""Which cells differ: every two of them, seed by seed, with one account of how often chance would say so.

The confirm runs of all cells have the same seeds, and a seed fixes the order of the data and, for one task,
the validation strings. So two cells are compared by the differences of their runs with the same seed.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from statistics import fmean

import numpy as np
import numpy.typing as npt

from seqtune.stats.estimates import Estimate, mean_of
from seqtune.stats.power import ALPHA, DRAWS, EXACT


@dataclass(frozen=True)
class Pair:
    """Two cells, compared.

    Attributes:
        left: one cell's name; `right` the other's.
        n: seeds that both have.
        difference: of left minus right over these seeds, with its 95 % interval.
        improvement: probability that a run of left beats one of right: the share of all pairs of their runs,
            ties half (Agarwal et al. 2021).
        p: how often differences of these sizes would have a mean as far from 0 if their signs were chance.
        adjusted: p after Holm, over all pairs that are compared.
    """

    left: str
    right: str
    n: int
    difference: Estimate
    improvement: float
    p: float
    adjusted: float

    @property
    def decided(self) -> bool:
        """Whether chance is ruled out."""
        return self.adjusted < ALPHA


MOST_CELLS = 200
"""Cells of a family that are compared; of more, those with the best means. Pairs grow with the square."""


def compare(
    values: Mapping[str, Mapping[int, float]],
    *,
    families: Mapping[str, Hashable],
    higher_is_better: bool,
) -> tuple[Pair, ...]:
    """Every two cells of one family, of the `MOST_CELLS` best where there are more.

    Holm's adjustment counts the pairs of all cells nevertheless: which are the best is seen in the same runs.

    Args:
        values: by cell, what its runs scored, by seed; at least one run each.
        families: by cell; only cells of one family are compared.
        higher_is_better: whether a larger score is the better one.
    """
    names = [
        pair
        for members in _members(values, families=families)
        for pair in combinations(_best(members, values=values, higher=higher_is_better), 2)
    ]
    found = [_differences(values[left], values[right]) for left, right in names]
    ps = [sign_flip(differences) for differences in found]
    adjusted = holm(ps, unseen=pairs_of(values, families=families) - len(names))
    return tuple(
        Pair(
            left=left,
            right=right,
            n=len(differences),
            difference=mean_of(differences),
            improvement=improvement(
                [*values[left].values()],
                [*values[right].values()],
                higher_is_better=higher_is_better,
            ),
            p=p,
            adjusted=after,
        )
        for (left, right), differences, p, after in zip(names, found, ps, adjusted, strict=True)
    )


def pairs_of(values: Mapping[str, Mapping[int, float]], *, families: Mapping[str, Hashable]) -> int:
    """How many pairs of cells there are, compared or not; the arguments are those of `compare`."""
    return sum(math.comb(len(members), 2) for members in _members(values, families=families))


def _members(
    values: Mapping[str, Mapping[int, float]], *, families: Mapping[str, Hashable]
) -> list[list[str]]:
    """The cells of each family, in the order of `values`."""
    found: dict[Hashable, list[str]] = {}
    for name in values:
        found.setdefault(families[name], []).append(name)
    return list(found.values())


def _best(
    members: list[str], *, values: Mapping[str, Mapping[int, float]], higher: bool
) -> list[str]:
    """At most `MOST_CELLS` of them, in their order."""
    if len(members) <= MOST_CELLS:
        return members
    means = {name: fmean(values[name].values()) for name in members}
    kept = set(sorted(members, key=means.__getitem__, reverse=higher)[:MOST_CELLS])
    return [name for name in members if name in kept]


def sign_flip(differences: Sequence[float]) -> float:
    """Two-sided p of paired differences: the share of choices of signs whose mean is as far from 0.

    It asks only that a difference is as likely to have either sign where nothing differs. Exact up to
    `EXACT` differences; source: Fisher 1935, The Design of Experiments, section 21.
    """
    n = len(differences)
    if n == 0 or not np.isfinite(differences).all():
        return math.nan
    numbers = np.asarray(differences, dtype=np.float64)
    sums = np.abs(_signs(n) @ numbers)
    # Equal sums may differ by how they were rounded.
    as_far = int((sums >= abs(numbers.sum()) * (1 - 1e-12)).sum())
    return as_far / len(sums) if n <= EXACT else (as_far + 1) / (len(sums) + 1)


@lru_cache(maxsize=8)
def _signs(n: int) -> npt.NDArray[np.float64]:
    """[choices, n] of 1 and -1: all, or so many draws; the same for every pair."""
    if n <= EXACT:
        flips = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    else:
        flips = np.random.default_rng(0).integers(0, 2, size=(DRAWS, n))
    return (1 - 2 * flips).astype(np.float64)


def holm(ps: Sequence[float], *, unseen: int = 0) -> list[float]:
    """Adjusts p values for being several, so that any wrong decision has probability below alpha.

    A NaN stays one and counts as no comparison. Source: Holm 1979.

    Args:
        ps: of the comparisons.
        unseen: further comparisons, whose p values nobody knows: as if they were 1.
    """
    known = sorted((p, index) for index, p in enumerate(ps) if not math.isnan(p))
    adjusted = [math.nan] * len(ps)
    largest = 0.0
    for rank, (p, index) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) + unseen - rank) * p))
        adjusted[index] = largest
    return adjusted


def improvement(left: Sequence[float], right: Sequence[float], *, higher_is_better: bool) -> float:
    """Share of the pairs of runs in which left is better, ties half; NaN if one side has none."""
    if not left or not right:
        return math.nan
    gap = np.subtract.outer(np.asarray(left), np.asarray(right)) * (1 if higher_is_better else -1)
    return float((gap > 0).mean() + (gap == 0).mean() / 2)


def _differences(left: Mapping[int, float], right: Mapping[int, float]) -> list[float]:
    return [left[seed] - right[seed] for seed in left if seed in right]
