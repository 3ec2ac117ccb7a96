"""Means with confidence intervals, from the values of a cell's seeds.

Student's t interval is used below `MANY` values and the bootstrap from there on. Both were chosen
by simulated coverage (see the tests of the ranking): below 20 values the bootstrap covers no better
than t, which needs no resampling.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

MANY = 20
"""From this many values on, intervals are bootstrap intervals."""
RESAMPLES = 5000
LEAST_MIDDLE = 4
"""Fewest values that have an interquartile mean."""
Interval: TypeAlias = Literal["t", "bootstrap", ""]


@dataclass(frozen=True)
class Estimate:
    """A mean of `n` values with its interval; NaN where there are too few values.

    Attributes:
        interval: the method that `low` and `high` are from; empty where there are none.
    """

    n: int
    mean: float
    low: float
    high: float
    std: float
    interval: Interval = ""

    @property
    def columns(self) -> Mapping[str, float]:
        """The estimate as columns of a table: `n`, `mean`, `ci_low`, `ci_high`."""
        return {"n": self.n, "mean": self.mean, "ci_low": self.low, "ci_high": self.high}


def interval_name(counts: Iterable[int]) -> str:
    """Name the kind of interval for a caption, given the numbers of values of each mean."""
    methods = {n >= MANY for n in counts if n > 1}
    if len(methods) > 1:
        return f"95 % interval (Student's t below n = {MANY}, bootstrap from there on)"
    return "95 % bootstrap interval" if True in methods else "95 % t interval"


def mean_of(values: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """Return the mean of a cell's seeds with the interval that suits their number."""
    method = bootstrap_interval if len(values) >= MANY else t_interval
    return method(values, confidence=confidence)


def middle_of(values: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """Return the interquartile mean: that of the values without the lowest and highest quarter.

    Below `MANY` values its interval is Tukey and McLaughlin's for trimmed means: Student's t with
    the standard deviation of the winsorized values. NaN for fewer than `LEAST_MIDDLE` values.

    Source: Agarwal et al. 2021 (the interquartile mean); Tukey & McLaughlin 1963 (its interval).
    """
    n = len(values)
    if n < LEAST_MIDDLE:
        return _without_interval(n, mean=math.nan)
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    cut = n // 4
    inner = ordered[cut : n - cut]
    mean = float(inner.mean())
    if not np.isfinite(ordered).all():
        return _without_interval(n, mean=mean)
    std = float(ordered.std(ddof=1))
    if n >= MANY:
        low, high = _bootstrap(ordered, cut=cut, confidence=confidence)
        return Estimate(n=n, mean=mean, low=low, high=high, std=std, interval="bootstrap")
    winsorized = np.clip(ordered, inner[0], inner[-1])
    left = len(inner)
    error = float(winsorized.std(ddof=1)) * math.sqrt((n - 1) / (left * (left - 1)))
    half_width = float(stdtrit(left - 1, (1 + confidence) / 2)) * error
    low, high = mean - half_width, mean + half_width
    return Estimate(n, mean=mean, low=low, high=high, std=std, interval="t")


def t_interval(values: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """Return mean and Student's t interval of independent draws from one normal distribution.

    One value has a mean but no interval; without values both are NaN. The standard deviation is the
    sample's (divided by n - 1).
    """
    n = len(values)
    mean = float(np.mean(values)) if n else math.nan
    if n < 2 or not np.isfinite(values).all():
        return _without_interval(n, mean=mean)
    std = float(np.std(values, ddof=1))
    half_width = float(stdtrit(n - 1, (1 + confidence) / 2)) * std / math.sqrt(n)
    low, high = mean - half_width, mean + half_width
    return Estimate(n, mean=mean, low=low, high=high, std=std, interval="t")


def bootstrap_interval(values: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """Return mean and expanded percentile bootstrap interval of independent draws.

    Each cell is resampled by itself: it is one stratum of a stratified bootstrap. The resampling
    indices are the same for all cells and all reports. Plain percentiles are too narrow by a factor
    of about sqrt((n - 1) / n) z / t, so percentiles further out are used.

    Source: Agarwal et al. 2021 (strata); Hesterberg 2015 (expanded percentiles).
    """
    n = len(values)
    mean = float(np.mean(values)) if n else math.nan
    if n < 2 or not np.isfinite(values).all():
        return _without_interval(n, mean=mean)
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    low, high = _bootstrap(ordered, cut=0, confidence=confidence)
    std = float(ordered.std(ddof=1))
    return Estimate(n, mean=mean, low=low, high=high, std=std, interval="bootstrap")


def _bootstrap(
    ordered: npt.NDArray[np.float64], *, cut: int, confidence: float
) -> tuple[float, float]:
    """Return the interval of the means of resamples, each without its `cut` extremes per side.

    Args:
        ordered: [n] ascending values.
        cut: number of values left out on either side of each resample.
        confidence: of the interval.
    """
    n = len(ordered)
    means = _weights(n, cut) @ ordered
    tail = float(ndtr(math.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 - confidence) / 2)))
    # The weighted means of equal values differ by rounding.
    low, high = np.clip(np.quantile(means, [tail, 1 - tail]), ordered[0], ordered[-1])
    return float(low), float(high)


@lru_cache(maxsize=64)
def _weights(n: int, cut: int) -> npt.NDArray[np.float64]:
    """Return [resamples, n]: the weight of each of n ascending values in a resample's mean."""
    drawn = np.random.default_rng(0).integers(n, size=(RESAMPLES, n))
    drawn.sort(axis=1)
    inner = drawn[:, cut : n - cut]
    places = inner + n * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(places.ravel(), minlength=RESAMPLES * n).reshape(RESAMPLES, n)
    return counts / inner.shape[1]


def _without_interval(n: int, *, mean: float) -> Estimate:
    return Estimate(n=n, mean=mean, low=math.nan, high=math.nan, std=math.nan)
