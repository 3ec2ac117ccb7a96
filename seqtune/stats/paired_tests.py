"""Tests of paired differences, adjustment for multiple comparisons, and effect size."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

EXACT = 14
"""Up to this many differences all choices of signs are enumerated; above, `DRAWS` are sampled."""
DRAWS = 20_000


def sign_flip_test(differences: Sequence[float]) -> float:
    """Return the two-sided p value of paired differences under random signs.

    This is the share of sign choices whose mean is at least as far from 0 as the observed one. The
    only assumption is that under the null hypothesis either sign of a difference is equally likely.
    NaN without differences, or where one is not finite.

    Source: Fisher 1935, The Design of Experiments, section 21.
    """
    n = len(differences)
    if n == 0 or not np.isfinite(differences).all():
        return math.nan
    numbers = np.asarray(differences, dtype=np.float64)
    sums = np.abs(_signs(n) @ numbers)
    # Sums that are equal in exact arithmetic may differ by rounding.
    as_far = int((sums >= abs(numbers.sum()) * (1 - 1e-12)).sum())
    return as_far / len(sums) if n <= EXACT else (as_far + 1) / (len(sums) + 1)


@lru_cache(maxsize=8)
def _signs(n: int) -> npt.NDArray[np.float64]:
    """Return [choices, n] of 1 and -1; the same draws for every pair."""
    if n <= EXACT:
        flips = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    else:
        flips = np.random.default_rng(0).integers(0, 2, size=(DRAWS, n))
    return (1 - 2 * flips).astype(np.float64)


def holm(p_values: Sequence[float], *, unseen: int = 0) -> list[float]:
    """Adjust p values so that the probability of any false rejection stays below alpha.

    A NaN stays NaN and does not count as a comparison.

    Args:
        p_values: of the comparisons.
        unseen: number of further comparisons whose p values are unknown; each counts as 1.

    Source: Holm 1979.
    """
    known = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) + unseen - rank) * p))
        adjusted[index] = largest
    return adjusted


def probability_of_improvement(
    left: Sequence[float], right: Sequence[float], *, higher_is_better: bool
) -> float:
    """Return the share of (left, right) pairs in which left is better, ties counting half.

    NaN if one side is empty. Source: Agarwal et al. 2021.
    """
    if not left or not right:
        return math.nan
    gap = np.subtract.outer(np.asarray(left), np.asarray(right)) * (1 if higher_is_better else -1)
    return float((gap > 0).mean() + (gap == 0).mean() / 2)
