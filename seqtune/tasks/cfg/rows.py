"""Rows of next-token distributions, string after string: where each string's own tokens are in them."""

import numpy as np


def next_tokens(tokens: np.ndarray, offsets: np.ndarray, *, end: int) -> np.ndarray:
    """The token after every prefix of every string, int64 [total + n]: its own tokens, then the end."""
    own = np.full(len(tokens) + len(offsets) - 1, end, dtype=np.int64)
    strings = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    own[np.arange(len(tokens)) + strings] = tokens
    return own


def own_probability(rows: np.ndarray, tokens: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Probability of every token and of every string's end, given what is before it, [total + n].

    0 where a token is none of the terminals; NaN where the row is.
    """
    end = rows.shape[1]
    own = next_tokens(tokens, offsets, end=end)
    known = (own >= 1) & (own <= end)
    column = np.where(known, own, end) - 1
    # A factor, so that NaN stays NaN.
    return rows[np.arange(len(rows)), column] * known
