"""Trees drawn as text: a line a level, every node above the tokens that it derives."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from seqtune.tasks.cfg.trees import Trees

COLUMNS = 96
"""A drawing is cut behind so many characters."""


@dataclass(frozen=True)
class _Node:
    name: str
    begin: int
    end: int


def draw(trees: Trees, row: int) -> tuple[str, ...]:
    """One string's tree, from the root's line down to the tokens.

    Example:
        The string 3 1 3 2 1 3 2 of cfg3b's root 10:

            10────────────
            7── 9──── 8──
            3 1 3 2 1 3 2
    """
    place = slice(int(trees.offsets[row]), int(trees.offsets[row + 1]))
    tokens = [trees.symbols[token] for token in trees.tokens[place]]
    levels = [
        list(_nodes(ancestors[place], boundary[place], names=trees.symbols))
        for ancestors, boundary in zip(trees.ancestors, trees.boundary, strict=True)
    ]
    width = 1 + max(map(len, tokens))
    for node in (node for level in levels for node in level):
        width = max(width, -(-(len(node.name) + 1) // (node.end - node.begin)))
    lines = [_line(level, width=width) for level in levels if level]
    lines.append("".join(token.ljust(width) for token in tokens))
    return tuple(_cut(line.rstrip()) for line in lines)


def _nodes(
    ancestors: np.ndarray, boundary: np.ndarray, *, names: tuple[str, ...]
) -> Iterator[_Node]:
    """The nodes of a level, from left to right."""
    begin = 0
    for place in range(len(ancestors)):
        if ancestors[place] == 0:
            begin = place + 1
        elif boundary[place]:
            yield _Node(names[ancestors[place]], begin=begin, end=place + 1)
            begin = place + 1


def _line(nodes: list[_Node], *, width: int) -> str:
    line = ""
    for node in nodes:
        span = (node.end - node.begin) * width - 1
        line = line.ljust(node.begin * width) + node.name.ljust(span, "─")
    return line


def _cut(line: str) -> str:
    return line if len(line) <= COLUMNS else line[: COLUMNS - 1] + "…"
