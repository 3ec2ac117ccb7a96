"""Strings of a grammar with the nodes of their trees above every token that a model reads.

Levels: if all leaves lie at one depth, as in the cfg3 grammars, `height h` is the node h steps
above the token, up to the root. Elsewhere heights depend on the path, so levels count from the
root: `depth d` is the node d steps below it, and tokens nearer to the root have none there. The
lowest level comes first; of the deep trees of recursive grammars only the `LEVELS` levels nearest
to the root are kept. The root is a level like the others: as an ancestor it is always the same, but
its boundary is the end of the string.

The tree is the one that a string was drawn by; in an ambiguous grammar it may have others.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from seqtune.tasks.base import Batch, Strings, Tokens, WithTrees
from seqtune.tasks.cfg.grammar import Grammar
from seqtune.tasks.cfg.language import Language
from seqtune.tasks.cfg.layouts import SENTENCES_SKIPPED, Packed, Sentences, StringLayout
from seqtune.tasks.cfg.rules import reachable
from seqtune.tasks.cfg.trees import Trees

LEVELS = 8
"""Most levels of a tree whose leaves lie at several depths."""

CHUNK_TOKENS = 1 << 14
"""Mean number of tokens whose trees are held at once: a recursive grammar's may be deep."""


@dataclass(frozen=True, eq=False)
class _Labels:
    """Strings and the labels of their tokens.

    Attributes:
        strings: n strings.
        rows: int64 [2 x L, total]; by level, lowest first, the class of the node above every token,
            and then whether the token is its last; -1 where there is no node.
        symbols: names of the classes.
    """

    strings: Strings
    rows: Tokens
    symbols: tuple[str, ...]


def draw_with_trees(
    layout: StringLayout, *, count: int, generator: np.random.Generator
) -> WithTrees:
    """Draw `count` strings of a layout (windows, if it is packed) with the nodes above every token."""
    if isinstance(layout, Packed):
        drawn = _windows(layout, count=count, generator=generator)
    else:
        drawn = _sentences(layout.language, count=count, generator=generator)
    batch = layout.batch(drawn.strings)
    rows = _lay_out(drawn, batch=batch, after_bos=isinstance(layout, Sentences))
    ancestors, boundaries = np.split(rows, 2)
    return WithTrees(
        batch=batch,
        levels=_level_names(layout.language),
        symbols=drawn.symbols,
        ancestors=ancestors,
        boundaries=boundaries,
    )


def _has_one_depth(grammar: Grammar) -> bool:
    """Return whether all leaves of all trees lie at one depth."""
    heights = grammar.heights
    return all(
        heights.get(child, 0) == heights[symbol] - 1
        for symbol in reachable(grammar.root, grammar.rules) & set(grammar.rules)
        for right in grammar.rules[symbol]
        for child in right
    )


def _level_names(language: Language) -> tuple[str, ...]:
    """Return the names of the levels, the lowest first."""
    depths = LEVELS
    if isinstance(language, Grammar):
        if _has_one_depth(language):
            return tuple(f"height {height}" for height in range(1, language.height + 1))
        depths = min(LEVELS, language.height)
    return tuple(f"depth {depth}" for depth in reversed(range(depths)))


def _sentences(language: Language, *, count: int, generator: np.random.Generator) -> _Labels:
    """Draw `count` strings, in parts, since their trees may be deeper than the levels kept."""
    part = max(1, round(CHUNK_TOKENS / language.lengths.mean))
    levels = len(_level_names(language))
    parts = [
        _labels(language.sample_trees(min(part, count - done), generator), language, levels=levels)
        for done in range(0, count, part)
    ]
    return _join(parts)


def _labels(trees: Trees, language: Language, *, levels: int) -> _Labels:
    """Return the labels of the levels that are kept, the lowest first."""
    depths = min(levels, len(trees.ancestors))
    # Id 0 is no symbol, then come the terminals.
    first = 1 + len(language.terminals)
    is_node = trees.ancestors[:depths] > 0
    rows = np.full((2, levels, len(trees.tokens)), -1, dtype=np.int64)
    rows[0, :depths] = np.where(is_node, trees.ancestors[:depths] - first, -1)
    rows[1, :depths] = np.where(is_node, trees.boundary[:depths], -1)
    strings = Strings(tokens=trees.tokens, offsets=trees.offsets)
    lowest_first = rows[:, ::-1].reshape(2 * levels, -1)
    return _Labels(strings, rows=lowest_first, symbols=trees.symbols[first:])


def _join(parts: Iterable[_Labels]) -> _Labels:
    parts = list(parts)
    lengths = np.concatenate([part.strings.lengths for part in parts])
    return _Labels(
        Strings(
            tokens=np.concatenate([part.strings.tokens for part in parts]),
            offsets=np.concatenate([[0], np.cumsum(lengths)]),
        ),
        rows=np.concatenate([part.rows for part in parts], axis=1),
        symbols=parts[0].symbols,
    )


def _windows(layout: Packed, *, count: int, generator: np.random.Generator) -> _Labels:
    """Draw windows of a stream of sentences, as `Packed.draw` makes them."""
    language, size = layout.language, layout.window + 1
    skipped = int(generator.random() * max(size, SENTENCES_SKIPPED * language.lengths.max))
    needed = skipped + count * size
    pieces: list[_Labels] = []
    while (missing := needed - sum(len(piece.strings.tokens) for piece in pieces)) > 0:
        sentences = int(missing / (language.lengths.mean + 2)) + 2
        drawn = _sentences(language, count=sentences, generator=generator)
        pieces.append(_stream(drawn, layout=layout))
    stream = _join(pieces)
    tokens = stream.strings.tokens[skipped:needed]
    return _Labels(
        Strings(tokens=tokens, offsets=np.arange(count + 1) * size),
        rows=stream.rows[:, skipped:needed],
        symbols=stream.symbols,
    )


def _stream(drawn: _Labels, *, layout: StringLayout) -> _Labels:
    """Return the sentences, each between BOS and EOS, which have no nodes."""
    strings = drawn.strings
    offsets = strings.offsets + 2 * np.arange(len(strings) + 1)
    before = np.repeat(np.arange(len(strings)), strings.lengths)
    inner = np.arange(len(strings.tokens)) + 2 * before + 1
    tokens = np.full(offsets[-1], layout.bos, dtype=strings.tokens.dtype)
    tokens[offsets[1:] - 1] = layout.eos
    tokens[inner] = strings.tokens
    rows = np.full((len(drawn.rows), len(tokens)), -1, dtype=np.int64)
    rows[:, inner] = drawn.rows
    return _Labels(Strings(tokens=tokens, offsets=offsets), rows=rows, symbols=drawn.symbols)


def _lay_out(drawn: _Labels, *, batch: Batch, after_bos: bool) -> Tokens:
    """Return the labels of the tokens read, int64 [2 x L, B, T]; -1 above BOS and padding."""
    offsets, longest = drawn.strings.offsets, batch.tokens.shape[1] + 1
    padded = [Strings(labels, offsets).padded(fill=-1, length=longest) for labels in drawn.rows]
    # After BOS all tokens are one step later; the padding at the end leaves room for that.
    rows = np.roll(np.stack(padded), int(after_bos), axis=-1)[..., :-1]
    # The padded layout reads padding in place of a string's last token.
    rows[:, batch.tokens == 0] = -1
    return rows
