"""Means and how sure they are. A method is a function from the seeds' values to an `Estimate`.

Which one is used depends on how many values there are: Student's t below `MANY`, the bootstrap from there on.
Both were chosen by how often their intervals cover the truth (`tests/report/test_ranking.py`): below 20 values
the bootstrap's are no better than t's, which need no draws.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

MANY = 20
"""From so many values on an interval is the bootstrap's."""
RESAMPLES = 5000
LEAST_MIDDLE = 4
"""Fewer values have no middle half."""
Interval: TypeAlias = Literal["t", "bootstrap", ""]


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` values with its interval; what cannot be known from so few is NaN.

    Attributes:
        interval: the method that `low` and `high` are from; empty where there are none.
    """

    n: int
    mean: float
    low: float
    high: float
    std: float
    interval: Interval = ""


def interval_name(counts: Iterable[int]) -> str:
    """What a caption calls the intervals of means over so many values each."""
    methods = {n >= MANY for n in counts if n > 1}
    if len(methods) > 1:
        return f"95 % interval (Student's t below n = {MANY}, bootstrap from there on)"
    return "95 % bootstrap interval" if True in methods else "95 % t interval"


def mean_of(values: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """The mean of a cell's seeds, with the interval that suits their number."""
    by = bootstrap_interval if len(values) >= MANY else t_interval
    return by(values, confidence=confidence)


def middle_of(values: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """The interquartile mean: that of the values without the lowest and the highest quarter.

    The interval is the bootstrap's or, of few values, that of a trimmed mean after Tukey and McLaughlin: Student's
    t with the standard deviation of the values whose quarters are drawn in. NaN of fewer than `LEAST_MIDDLE` values.

    Source: Agarwal et al. 2021 (the interquartile mean); Tukey & McLaughlin 1963 (its interval).
    """
    n = len(values)
    if n < LEAST_MIDDLE:
        return _unsure(n, mean=math.nan)
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    cut = n // 4
    inner = ordered[cut : n - cut]
    mean = float(inner.mean())
    if not np.isfinite(ordered).all():
        return _unsure(n, mean=mean)
    std = float(ordered.std(ddof=1))
    if n >= MANY:
        low, high = _resampled(ordered, cut=cut, confidence=confidence)
        return Estimate(n=n, mean=mean, low=low, high=high, std=std, interval="bootstrap")
    drawn_in = np.clip(ordered, inner[0], inner[-1])
    kept = len(inner)
    error = float(drawn_in.std(ddof=1)) * math.sqrt((n - 1) / (kept * (kept - 1)))
    half_width = float(stdtrit(kept - 1, (1 + confidence) / 2)) * error
    return Estimate(
        n, mean=mean, low=mean - half_width, high=mean + half_width, std=std, interval="t"
    )


def t_interval(values: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """Mean and Student t interval, the values being independent draws from one normal distribution.

    One value has a mean and no interval; no value has neither. The standard deviation is the sample's
    (divided by n - 1).
    """
    n = len(values)
    mean = float(np.mean(values)) if n else math.nan
    if n < 2 or not np.isfinite(values).all():
        return _unsure(n, mean=mean)
    std = float(np.std(values, ddof=1))
    half_width = float(stdtrit(n - 1, (1 + confidence) / 2)) * std / math.sqrt(n)
    return Estimate(
        n, mean=mean, low=mean - half_width, high=mean + half_width, std=std, interval="t"
    )


def bootstrap_interval(values: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """Mean and expanded percentile interval, the values being independent draws from any one distribution.

    The seeds of a cell are drawn anew from that cell alone: it is the stratum of a stratified bootstrap. The
    draws are the same for all cells and all reports. Plain percentiles are too near to each other by a factor of
    about sqrt((n - 1) / n) z / t, so those further out are taken.

    Source: Agarwal et al. 2021 (strata); Hesterberg 2015 (expanded percentiles).
    """
    n = len(values)
    mean = float(np.mean(values)) if n else math.nan
    if n < 2 or not np.isfinite(values).all():
        return _unsure(n, mean=mean)
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    low, high = _resampled(ordered, cut=0, confidence=confidence)
    std = float(ordered.std(ddof=1))
    return Estimate(n, mean=mean, low=low, high=high, std=std, interval="bootstrap")


def _resampled(
    ordered: npt.NDArray[np.float64], *, cut: int, confidence: float
) -> tuple[float, float]:
    """The interval's ends over means of resamples, each without its `cut` lowest and highest values.

    Args:
        ordered: [n] rising.
        cut: so many are left out at either side.
        confidence: of the interval.
    """
    n = len(ordered)
    means = _weights(n, cut) @ ordered
    tail = float(ndtr(math.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 - confidence) / 2)))
    # A constant's weighted means differ from it, and from each other, by how they were rounded.
    low, high = np.clip(np.quantile(means, [tail, 1 - tail]), ordered[0], ordered[-1])
    return float(low), float(high)


@lru_cache(maxsize=64)
def _weights(n: int, cut: int) -> npt.NDArray[np.float64]:
    """[resamples, n] how much each of n rising values counts in the mean of a resample."""
    drawn = np.random.default_rng(0).integers(n, size=(RESAMPLES, n))
    drawn.sort(axis=1)
    kept = drawn[:, cut : n - cut]
    places = kept + n * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(places.ravel(), minlength=RESAMPLES * n).reshape(RESAMPLES, n)
    return counts / kept.shape[1]


def _unsure(n: int, *, mean: float) -> Estimate:
    return Estimate(n=n, mean=mean, low=math.nan, high=math.nan, std=math.nan)
