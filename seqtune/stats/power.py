"""What a number of paired seeds can decide, known before anything is measured.

The smallest p value of a sign-flip test depends only on the number of differences.
"""

from seqtune.stats.paired_tests import DRAWS, EXACT

ALPHA = 0.05


def smallest_p(n: int) -> float:
    """Return the smallest p value of n differences: that of all having one sign."""
    if n == 0:
        return 1.0
    return 2.0 ** (1 - n) if n <= EXACT else 1 / (DRAWS + 1)


def seeds_needed(pairs: int) -> int:
    """Return how many paired seeds can make the clearest of so many pairs significant."""
    return next(n for n in range(1, 64) if 2.0 ** (1 - n) * max(pairs, 1) < ALPHA)


def underpowered(n: int, *, pairs: int) -> str:
    """Explain why no pair of cells can be significant; empty if some can, or there is no pair.

    Args:
        n: paired seeds of the pair that has most of them.
        pairs: number of compared pairs, all of which Holm's adjustment counts.
    """
    if pairs == 0 or smallest_p(n) * pairs < ALPHA:
        return ""
    seeds = f"{n} paired seed{'s' if n != 1 else ''}"
    over = f" over {pairs} pairs" if pairs > 1 else ""
    return (
        f"{seeds} cannot reach p < {ALPHA:g}{over}, however large the differences; "
        f"confirm: {{seeds: {seeds_needed(pairs)}}} can"
    )
