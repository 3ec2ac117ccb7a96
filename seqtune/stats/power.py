"""What a number of paired seeds can decide, known before anything is measured.

The test is that of `report/pairs.py`: differences of runs with the same seed, and every choice of their
signs. The smallest p that it can give depends on their number alone.
"""

ALPHA = 0.05
EXACT = 14
"""Up to so many differences every choice of signs is tried; above, `DRAWS` of them."""
DRAWS = 20_000


def smallest_p(n: int) -> float:
    """The least p that the test can give for so many differences: all of one sign."""
    if n == 0:
        return 1.0
    return 2.0 ** (1 - n) if n <= EXACT else 1 / (DRAWS + 1)


def seeds_needed(pairs: int) -> int:
    """How many paired seeds can decide the clearest of so many pairs."""
    return next(n for n in range(1, 64) if 2.0 ** (1 - n) * max(pairs, 1) < ALPHA)


def underpowered(n: int, *, pairs: int) -> str:
    """Why no two cells can be told apart, however they differ; empty if some can, or there is no pair.

    Args:
        n: paired seeds of the pair that has most of them.
        pairs: of cells that are compared, all of which Holm's adjustment counts.
    """
    if pairs == 0 or smallest_p(n) * pairs < ALPHA:
        return ""
    seeds = f"{n} paired seed{'s' if n != 1 else ''}"
    over = f" over {pairs} pairs" if pairs > 1 else ""
    return (
        f"{seeds} cannot reach p < {ALPHA:g}{over}, whatever they measure; "
        f"confirm: {{seeds: {seeds_needed(pairs)}}} can"
    )
