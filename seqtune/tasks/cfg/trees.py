"""Strings with their derivation trees, as labels of every token; and trees drawn as text."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

COLUMNS = 96
"""Most characters of a line of a drawing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trees:
    """Strings and the derivations that they were drawn by.

    Depth 0 is the root; where all leaves lie at one depth H, as in the cfg3 grammars, depth d is
    the level of height H - d.

    Attributes:
        tokens: token ids [total], string after string.
        offsets: int64 [n + 1]; string i is tokens[offsets[i]:offsets[i + 1]].
        ancestors: int32 [depths, total]; id of the nonterminal at that depth above the token, 0
            where the token itself is not deeper.
        boundary: bool [depths, total]; whether the token is the last of that nonterminal's.
        log_probability: float64 [n]; of each derivation, in nats.
        symbols: name of every id; id 0 is none, then come the terminals by their token ids.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    ancestors: np.ndarray
    boundary: np.ndarray
    log_probability: np.ndarray
    symbols: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True)
class _Node:
    name: str
    begin: int
    end: int


def draw_tree(trees: Trees, row: int) -> tuple[str, ...]:
    """Return one string's tree as text: a line per level, every node above the tokens that it derives.

    Example:
        The string 3 1 3 2 1 3 2 of cfg3b's root 10:

            10────────────
            7── 9──── 8──
            3 1 3 2 1 3 2
    """
    own = slice(int(trees.offsets[row]), int(trees.offsets[row + 1]))
    tokens = [trees.symbols[token] for token in trees.tokens[own]]
    levels = [
        list(_nodes(ancestors[own], boundary[own], names=trees.symbols))
        for ancestors, boundary in zip(trees.ancestors, trees.boundary, strict=True)
    ]
    width = 1 + max(map(len, tokens))
    for node in (node for level in levels for node in level):
        width = max(width, -(-(len(node.name) + 1) // (node.end - node.begin)))
    lines = [_line(level, width=width) for level in levels if level]
    lines.append("".join(token.ljust(width) for token in tokens))
    return tuple(_shorten(line.rstrip()) for line in lines)


def _nodes(
    ancestors: np.ndarray, boundary: np.ndarray, *, names: tuple[str, ...]
) -> Iterator[_Node]:
    """Yield the nodes of a level from left to right."""
    begin = 0
    for position in range(len(ancestors)):
        if ancestors[position] == 0:
            begin = position + 1
        elif boundary[position]:
            yield _Node(names[ancestors[position]], begin=begin, end=position + 1)
            begin = position + 1


def _line(nodes: list[_Node], *, width: int) -> str:
    line = ""
    for node in nodes:
        span = (node.end - node.begin) * width - 1
        line = line.ljust(node.begin * width) + node.name.ljust(span, "─")
    return line


def _shorten(line: str) -> str:
    return line if len(line) <= COLUMNS else line[: COLUMNS - 1] + "…"
