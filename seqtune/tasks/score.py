"""A figure that a sample gives, with how far it may be off.

Tokens of one string depend on one another, so strings are the units that count: a share of tokens has the
error of a ratio of sums over strings.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Score:
    """A figure found on independent units: strings, boards or completions.

    Attributes:
        value: the figure; NaN where there is nothing to take it of.
        count: units that it is taken of.
        standard_error: standard deviation of the value among samples of so many units; NaN for fewer than two.
    """

    value: float
    count: int
    standard_error: float

    @classmethod
    def mean(cls, values: Values) -> "Score":
        """The mean of one value a unit [n]; its error is s / sqrt(n).

        Example:
            0, 0, 1, 1 have the mean 1/2 and s = sqrt(1/3), so the standard error is .289.
        """
        return cls.ratio(values, denominators=np.ones(len(values)))

    @classmethod
    def ratio(cls, numerators: Values, *, denominators: Values) -> "Score":
        """The ratio r = sum(a) / sum(b) of two sums over units [n], such as nats over tokens.

        Its error is linearised: sqrt(n / (n - 1) sum((a - r b)^2)) / sum(b). A unit whose b is 0 has
        nothing to say, and is not counted.

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
        """What `to_data` wrote."""
        return cls(_number(data["value"]), data["count"], _number(data["standard_error"]))

    def to_data(self) -> dict[str, Any]:
        """Plain JSON data; null stands for what is no finite number."""
        return {
            "value": finite(self.value),
            "count": self.count,
            "standard_error": finite(self.standard_error),
        }


def finite(value: float) -> float | None:
    """A number for JSON, which knows neither NaN nor infinity: None in their place."""
    return value if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
