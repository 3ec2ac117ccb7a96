"""What a count says of the share that it is a sample of."""

from dataclasses import dataclass

from scipy.special import betaincinv


@dataclass(frozen=True)
class Proportion:
    """So many of so many, with an interval of the share; of none it can be anything.

    Attributes:
        low: of the interval; `high` likewise.
    """

    count: int
    of: int
    low: float
    high: float


def proportion(count: int, *, of: int, confidence: float = 0.95) -> Proportion:
    """The exact interval, which covers the share with this confidence at least, of however few.

    Example:
        1 of 12 is between 0.2 % and 38.5 %; 0 of 10 is at most 30.8 %.

    Source: Clopper & Pearson 1934.
    """
    assert 0 <= count <= of, "a part is no more than the whole"
    tail = (1 - confidence) / 2
    low = float(betaincinv(count, of - count + 1, tail)) if count > 0 else 0.0
    high = float(betaincinv(count + 1, of - count, 1 - tail)) if count < of else 1.0
    return Proportion(count, of=of, low=low, high=high)
