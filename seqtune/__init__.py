"""seqtune: sweeps of sequence models on languages whose best possible score is known.

For notebooks and scripts: `grammar` returns a language with exact probabilities, `load` the
results of a sweep as data frames.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqtune.report import Results
    from seqtune.tasks.cfg.grammar import Grammar

__all__ = ["grammar", "load"]


def grammar(name: str, *, root: int | str | None = None, height: int | None = None) -> "Grammar":
    """Return a named grammar, whole or from another root.

    Args:
        name: cfg3b, cfg3i, cfg3h, cfg3g, cfg3f, cfg3j or cfg3k.
        root: the nonterminal that strings are derived from.
        height: height of the trees, as another way to choose a root.

    Raises:
        ValueError: if there is no such grammar, root or height.

    Example:
        >>> seqtune.grammar("cfg3b", height=4).count() == 2**36
        True
    """
    from seqtune.tasks.cfg.grammar import grammar as named

    return named(name, root=root, height=height)


def load(directory: str | os.PathLike[str]) -> "Results":
    """Return the results of a sweep: `.runs`, `.curves` and `.cells` are data frames.

    Raises:
        ValueError: if the directory holds no runs.
    """
    from seqtune.report import load as read

    return read(Path(directory))
