"""Means and how sure they are. A method is a function from the seeds' values to an `Estimate`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` values with its interval; what cannot be known from so few is NaN."""

    n: int
    mean: float
    low: float
    high: float
    std: float


def t_interval(values: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """Mean and Student t interval, the values being independent draws from one normal distribution.

    One value has a mean and no interval; no value has neither. The standard deviation is the sample's
    (divided by n - 1).
    """
    n = len(values)
    mean = float(np.mean(values)) if n else math.nan
    if n < 2 or not np.isfinite(values).all():
        return Estimate(n=n, mean=mean, low=math.nan, high=math.nan, std=math.nan)
    std = float(np.std(values, ddof=1))
    half_width = float(stdtrit(n - 1, (1 + confidence) / 2)) * std / math.sqrt(n)
    return Estimate(n=n, mean=mean, low=mean - half_width, high=mean + half_width, std=std)
