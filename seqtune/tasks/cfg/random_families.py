"""Random grammars of given tree height, branching and ambiguity.

They are like the cfg3 grammars: one root; below it, at each height, the same number of
nonterminals; a right-hand side holds only symbols of the height below, so that all leaves lie at
one depth.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np

from seqtune import seeding
from seqtune.tasks.cfg.ambiguity import find_ambiguity
from seqtune.tasks.cfg.grammar import Grammar

TRIES = 50
"""Draws of one nonterminal's rules before the whole grammar is drawn again."""

RESTARTS = 10
"""Draws of the whole grammar before giving up."""

STEPS = 5_000
"""Steps of the search for a second derivation; a draft that needs more is dropped."""

Words = tuple[tuple[str, ...], ...]


@cache
def random_grammar(
    *,
    height: int,
    symbols: int,
    rules: int,
    lengths: tuple[int, ...],
    terminals: int,
    unambiguous: bool,
    seed: int,
) -> Grammar:
    """Return a random grammar; equal arguments give the same one on every machine.

    Terminals are 1, 2, ...; nonterminals have the numbers after these, from the bottom up. No two
    nonterminals of a height share a right-hand side.

    Args:
        height: of the tree.
        symbols: nonterminals of every height but the root's, which is one.
        rules: right-hand sides of a nonterminal, all equally likely.
        lengths: symbols of a right-hand side: each length is as likely as the others.
        terminals: number of terminals.
        unambiguous: whether to draw again until it is proven that no string has two trees.
        seed: of the draws.

    Raises:
        ValueError: if there are too few right-hand sides, or no unambiguous grammar is found.
    """
    name = f"generated-{seed}"
    _check(height=height, symbols=symbols, rules=rules, lengths=lengths, terminals=terminals)
    generator = seeding.generator(seed, "grammar")
    for _ in range(RESTARTS):
        draft: dict[str, Words] = {}
        below = [str(number) for number in range(1, terminals + 1)]
        for level in range(1, height + 1):
            count = 1 if level == height else symbols
            first = terminals + 1 + (level - 1) * symbols
            own = [str(first + number) for number in range(count)]
            if not _add_level(
                draft,
                own,
                below=below,
                rules=rules,
                lengths=lengths,
                unambiguous=unambiguous,
                generator=generator,
            ):
                break
            below = own
        else:
            whole = {symbol: list(draft[symbol]) for symbol in reversed(draft)}
            return Grammar.from_rules(name=name, root=below[0], rules=whole)
    raise ValueError(
        f"no unambiguous grammar was found in {RESTARTS} draws; "
        "take fewer rules, longer right-hand sides, more symbols or terminals, or another seed"
    )


def _check(
    *, height: int, symbols: int, rules: int, lengths: Sequence[int], terminals: int
) -> None:
    """Check that there are enough right-hand sides on every level."""
    levels = {
        (1 if level == height else symbols, terminals if level == 1 else symbols)
        for level in range(1, height + 1)
    }
    for count, below in sorted(levels):
        most = sum(below**length for length in set(lengths))
        if count * rules > most:
            raise ValueError(
                f"too few right-hand sides: {count} x {rules} are needed on one level, but over {below} "
                f"symbols there are {most} of length {' or '.join(map(str, sorted(set(lengths))))}"
            )


def _add_level(
    draft: dict[str, Words],
    own: list[str],
    *,
    below: list[str],
    rules: int,
    lengths: tuple[int, ...],
    unambiguous: bool,
    generator: np.random.Generator,
) -> bool:
    """Draw the rules of a level's nonterminals; return False after too many tries."""
    taken: set[tuple[str, ...]] = set()
    for symbol in own:
        for _ in range(TRIES):
            words: set[tuple[str, ...]] = set()
            while len(words) < rules:
                word = _word(below, lengths=lengths, generator=generator)
                if word in taken:
                    continue
                words.add(word)
            trial = draft | {symbol: tuple(sorted(words))}
            if not unambiguous or _is_unambiguous(symbol, trial):
                break
        else:
            return False
        taken |= words
        draft[symbol] = trial[symbol]
    return True


def _word(
    below: list[str], *, lengths: Sequence[int], generator: np.random.Generator
) -> tuple[str, ...]:
    # random() rather than integers(): its stream has been the same in every version of NumPy.
    length = lengths[int(generator.random() * len(lengths))]
    places = (generator.random(length) * len(below)).astype(int)
    return tuple(below[place] for place in places)


def _is_unambiguous(symbol: str, rules: dict[str, Words]) -> bool:
    part = Grammar.from_rules(
        name="draft", root=symbol, rules={k: list(v) for k, v in rules.items()}
    )
    return find_ambiguity(part.table, steps=STEPS).verdict == "unambiguous"
