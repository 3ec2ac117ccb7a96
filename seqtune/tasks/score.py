"""Estimates from samples, with their standard error and, for shares of exactly 0 or 1, a bound.

Tokens of one string are not independent, so strings are the units that count: a share of tokens has
the standard error of a ratio of two sums over strings.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]

CONFIDENCE = 0.95
"""Confidence of the bound on a share of exactly 0 or 1."""

DIGITS = 2
"""Significant digits of the distance between a share and its bound, as displayed."""


@dataclass(frozen=True)
class Score:
    """An estimate from independent units: strings, boards or completions.

    Attributes:
        value: the estimate; NaN if there are no units.
        count: number of units.
        standard_error: of the value; NaN for fewer than two units.
    """

    value: float
    count: int
    standard_error: float

    @classmethod
    def mean(cls, values: Values) -> "Score":
        """Return the mean of one value per unit [n], with the standard error s / sqrt(n).

        Example:
            0, 0, 1, 1 have the mean 1/2 and s = sqrt(1/3), so the standard error is .289.
        """
        return cls.ratio(values, denominators=np.ones(len(values)))

    @classmethod
    def ratio(cls, numerators: Values, *, denominators: Values) -> "Score":
        """Return the ratio r = sum(a) / sum(b) of two sums over units [n], such as nats over tokens.

        Its standard error is linearised: sqrt(n / (n - 1) sum((a - r b)^2)) / sum(b). Units whose b
        is 0 carry no information and are not counted.

        Example:
            a = 1, 2 and b = 1, 4 give r = 3/5, residuals 2/5 and -2/5, and the standard error .16.

        Source: Cochran 1977, Sampling Techniques, section 2.11.
        """
        own = denominators != 0
        above, below = numerators[own].astype(np.float64), denominators[own].astype(np.float64)
        count, total = len(below), float(below.sum())
        if count == 0:
            return cls(math.nan, count=0, standard_error=math.nan)
        value = float(above.sum()) / total
        if count == 1 or not math.isfinite(value):
            return cls(value, count=count, standard_error=math.nan)
        squares = float(np.square(above - value * below).sum())
        return cls(value, count, standard_error=math.sqrt(count / (count - 1) * squares) / total)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Score":
        """Read the result of `to_data`."""
        return cls(_number(data["value"]), data["count"], _number(data["standard_error"]))

    def to_data(self) -> dict[str, Any]:
        """Return plain JSON data; null stands for NaN and infinity."""
        return {
            "value": finite(self.value),
            "count": self.count,
            "standard_error": finite(self.standard_error),
        }


def finite(value: float) -> float | None:
    """Return a number for JSON, which has no NaN and no infinity: None in their place."""
    return value if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def bound(share: Score) -> float | None:
    """Return the one-sided 95 % confidence bound of a share that was found to be exactly 0 or 1.

    There the standard error is 0 and says nothing. If none of n units is right, a share p would
    have shown itself with probability 1 - (1 - p)^n; the bound is the p for which that is 95 %.
    Where a unit is itself a share, such as that of a string's tokens, the bound holds for the mean
    over units.

    Returns:
        The largest plausible share if 0 was found, the smallest if 1 was found; None for other
        shares, and if there are no units.

    Example:
        0 on 20 units is at most 1 - .05^(1/20) = .139; 1 on 20 units is at least .861.

    Source: Hanley & Lippman-Hand 1983, If nothing goes wrong, is everything all right? (the rule of
    three, 3 / n, approximates it).
    """
    if share.count == 0 or share.value not in (0, 1):
        return None
    distance = 1 - (1 - CONFIDENCE) ** (1 / share.count)
    return distance if share.value == 0 else 1 - distance


def shown_bound(share: Score) -> float | None:
    """Return the bound in few digits, rounded away from the share so that it still holds: .14, .86."""
    exact = bound(share)
    if exact is None:
        return None
    distance = abs(exact - share.value)
    places = DIGITS - 1 - math.floor(math.log10(distance))
    outward = math.ceil(distance * 10**places) / 10**places
    return round(abs(share.value - outward), places)
