"""Confidence intervals of proportions."""

from dataclasses import dataclass

# scipy.stats.binomtest finds the same bounds by root search, with a slower import.
from scipy.special import betaincinv


@dataclass(frozen=True)
class Proportion:
    """`count` successes of `of` trials, with an interval of the success rate."""

    count: int
    of: int
    low: float
    high: float


def proportion(count: int, *, of: int, confidence: float = 0.95) -> Proportion:
    """Return the exact (Clopper-Pearson) interval, whose coverage is at least `confidence`.

    Without trials the interval is [0, 1].

    Example:
        1 of 12 is between 0.2 % and 38.5 %; 0 of 10 is at most 30.8 %.

    Source: Clopper & Pearson 1934.
    """
    assert 0 <= count <= of, "successes are at most the trials"
    tail = (1 - confidence) / 2
    low = float(betaincinv(count, of - count + 1, tail)) if count > 0 else 0.0
    high = float(betaincinv(count + 1, of - count, 1 - tail)) if count < of else 1.0
    return Proportion(count, of=of, low=low, high=high)
