"""Scores of many strings: in slices of bounded size, by one thread or several.

Every string is scored by itself, so neither slices nor threads change a number; slices bound the memory
that a batch takes beyond its own result.
"""

import abc

import numpy as np

from seqtune.tasks.cfg.rows import own_probability
from seqtune.tasks.cfg.threads import cut, mapped, slices


class Scorer(abc.ABC):
    """Scores strings of one grammar, given as token ids [total], string after string, and offsets [n + 1].

    Attributes:
        terminals: number of terminals.
        slice_tokens: about so many tokens are scored at once.
    """

    terminals: int
    slice_tokens: int

    @abc.abstractmethod
    def _nats(self, tokens: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Log probability of the strings of a slice, float64 [n]."""

    @abc.abstractmethod
    def _rows(self, tokens: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Distributions after the prefixes of a slice's strings, float64 [total + n, terminals + 1]."""

    def log_probability(
        self, tokens: np.ndarray, offsets: np.ndarray, *, threads: int = 1
    ) -> np.ndarray:
        """Nats, float64 [n]; -inf outside the language."""
        out = np.empty(len(offsets) - 1)

        def score(part: slice) -> None:
            out[part] = self._nats(*cut(tokens, offsets, part))

        mapped(score, slices(offsets, tokens=self.slice_tokens), threads=threads)
        return out

    def next_token(
        self, tokens: np.ndarray, offsets: np.ndarray, *, threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows and offsets of rows, as `Language.next_token_batch` describes them."""
        row_offsets = offsets + np.arange(len(offsets))
        out = np.empty((row_offsets[-1], self.terminals + 1))

        def score(part: slice) -> None:
            begin, end = row_offsets[part.start], row_offsets[part.stop]
            out[begin:end] = self._rows(*cut(tokens, offsets, part))

        mapped(score, slices(offsets, tokens=self.slice_tokens), threads=threads)
        return out, row_offsets

    def token_log_probability(
        self, tokens: np.ndarray, offsets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Nats and offsets, as `Language.token_log_probabilities` describes them."""
        out = [np.empty(0)]
        for part in slices(offsets, tokens=self.slice_tokens):
            own, begins = cut(tokens, offsets, part)
            out.append(own_probability(self._rows(own, begins), own, begins))
        with np.errstate(divide="ignore"):
            return np.log(np.concatenate(out)), offsets + np.arange(len(offsets))
