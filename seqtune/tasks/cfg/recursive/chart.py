"""Scores of strings of a recursive grammar within its cap: a slice is parsed at once, then scored."""

from __future__ import annotations

import math

import numpy as np

from seqtune.tasks.cfg.recursive.binarization import BinaryRules
from seqtune.tasks.cfg.recursive.inside_probabilities import STEP, SpanFinder
from seqtune.tasks.cfg.recursive.prefix_probabilities import NextToken
from seqtune.tasks.cfg.scoring import Scorer


class SpanChart(Scorer):
    """Scores strings of one grammar.

    Args:
        rules: The grammar's rules.
        lengths: float64 [symbols, longest + 1]; probability by length of every symbol.
        kept: Probability of the strings within the cap.
    """

    # Few, since an ambiguous string of n tokens has n^2 / 2 spans.
    slice_tokens = 1 << 12

    def __init__(self, rules: BinaryRules, *, lengths: np.ndarray, kept: float) -> None:
        self.terminals = rules.terminals
        self._log_kept = math.log(kept)
        self._finder = SpanFinder(rules, longest=lengths.shape[1] - 1)
        self._next_token = NextToken(rules, lengths=lengths)

    def _nats(self, tokens: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        ends = offsets[1:] + np.arange(len(offsets) - 1)
        whole = self._finder.find(tokens, offsets).whole[ends]
        with np.errstate(divide="ignore"):
            nats = np.log(whole["value"]) - whole["exponent"] * math.log(STEP)
        return nats - self._log_kept

    def _rows(self, tokens: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        return self._next_token.rows(self._finder.find(tokens, offsets), offsets)
