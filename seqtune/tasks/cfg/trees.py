"""Strings with their trees, as labels of every token: what a probe reads from a model's hidden states."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True, eq=False)
class Trees:
    """Strings and the derivations that they were drawn by.

    Depth 0 is the root; where all leaves lie at one depth H, as in the cfg3 grammars, depth d is the
    level of height H - d.

    Attributes:
        tokens: token ids [total], string after string.
        offsets: int64 [n + 1]; string i is tokens[offsets[i]:offsets[i + 1]].
        ancestors: int32 [depths, total]; the id of the nonterminal at that depth above the token, 0
            where the token itself is not deeper.
        boundary: bool [depths, total]; whether the token is the last of that nonterminal's.
        log_probability: float64 [n]; of each derivation, in nats.
        symbols: the name of every id; id 0 is none, and then come the terminals by their token ids.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    ancestors: np.ndarray
    boundary: np.ndarray
    log_probability: np.ndarray
    symbols: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.offsets) - 1


class Growth:
    """The labels of rows of symbols that grow, row by row, into strings."""

    def __init__(self, count: int) -> None:
        self._depth = np.zeros(count, dtype=np.int64)
        self._ancestors: list[np.ndarray] = []
        self._boundary: list[np.ndarray] = []

    def replace(self, symbols: np.ndarray, *, replaced: np.ndarray, lengths: np.ndarray) -> None:
        """Replaces symbols by their children.

        Args:
            symbols: ids of a row [symbols].
            replaced: bool, which of them are.
            lengths: int64, by how many each; 1 for one that stays.
        """
        if replaced.any() and self._depth[replaced].max() == len(self._ancestors):
            self._ancestors.append(np.zeros(len(symbols), dtype=np.int32))
            self._boundary.append(np.zeros(len(symbols), dtype=bool))
        for depth, (ancestors, boundary) in enumerate(
            zip(self._ancestors, self._boundary, strict=True)
        ):
            here = replaced & (self._depth == depth)
            ancestors[here] = symbols[here]
            boundary[here] = True
        is_last = np.zeros(lengths.sum(), dtype=bool)
        is_last[np.cumsum(lengths) - 1] = True
        self._depth = np.repeat(self._depth + replaced, lengths)
        self._ancestors = [np.repeat(each, lengths) for each in self._ancestors]
        self._boundary = [np.repeat(each, lengths) & is_last for each in self._boundary]

    @property
    def ancestors(self) -> np.ndarray:
        """int32 [depths, symbols], as in `Trees`."""
        return np.stack(self._ancestors)

    @property
    def boundary(self) -> np.ndarray:
        """Bool [depths, symbols], as in `Trees`."""
        return np.stack(self._boundary)
