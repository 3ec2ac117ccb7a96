"""How far a share may be off that was found to be exactly 0 or 1, where a standard error says nothing.

If none of n units is right, a share p of right ones would have shown itself with probability 1 - (1 - p)^n.
The bound is the p for which that is 95 %. Where a unit is itself a share, such as that of a string's tokens, the
bound holds for the mean over units; for a share of all tokens it takes strings to be of one length.

Source: Hanley & Lippman-Hand 1983, If nothing goes wrong, is everything all right? Their rule of three, 3 / n,
is close to it.
"""

import math

from seqtune.tasks.score import Score

CONFIDENCE = 0.95
DIGITS = 2
"""Significant digits of the distance between a share and its bound, as people are shown it."""


def bound(share: Score) -> float | None:
    """The most that a share may be that was found to be 0, or the least of one that was found to be 1.

    None for a share in between, which has a standard error, and where there is no unit.

    Example:
        0 on 20 units is at most 1 - .05^(1/20) = .139; 1 on 20 units is at least .861.
    """
    if share.count == 0 or share.value not in (0, 1):
        return None
    distance = 1 - (1 - CONFIDENCE) ** (1 / share.count)
    return distance if share.value == 0 else 1 - distance


def shown_bound(share: Score) -> float | None:
    """The bound in few digits, rounded away from the share, so that it holds as it is shown: .14, .86."""
    exact = bound(share)
    if exact is None:
        return None
    distance = abs(exact - share.value)
    places = DIGITS - 1 - math.floor(math.log10(distance))
    outward = math.ceil(distance * 10**places) / 10**places
    return round(abs(share.value - outward), places)
