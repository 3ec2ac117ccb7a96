"""Dyck languages: brackets that are closed in the order in which they were opened, kind by kind.

A bracket word is one or more bracket pairs in a row; a pair is empty or holds a word. With k kinds
of brackets nested at most m deep the language is known as Dyck-(k, m). For every depth i there is a
nonterminal S_i for words and P_i for pairs:

    S_i -> P_i | P_i S_i
    P_i -> ( ) | ( S_i+1 )      for every kind of bracket; P_m has the first of the two only

Without a bound on the depth S_i is S and P_i is P. The empty word is excluded. A word splits into
pairs, and a pair into its brackets and their content, in only one way: the grammar is unambiguous.

Source: Chomsky and Schuetzenberger 1963, The algebraic theory of context-free languages; bounded
depth: Hewitt et al. 2020, RNNs can generate bounded hierarchical languages with optimal memory.
"""

from __future__ import annotations

from seqtune.tasks.cfg.recursive.grammar import RecursiveGrammar

BRACKETS = ("()", "[]", "{}", "<>")
"""The first four kinds of brackets; the fifth is written (5 and 5), and so on."""


def dyck(
    *,
    pairs: int,
    depth: int | None,
    max_length: int,
    more: float = 0.5,
    nested: float = 0.5,
) -> RecursiveGrammar:
    """Return the grammar of bracket words of at most `max_length` tokens.

    Token ids follow from `pairs` alone, in the natural order of names: for up to three kinds they
    are ( 1, ) 2, [ 3, ] 4, { 5, } 6; with a fourth, < 3 and > 4 come before [ 5; from the fifth on,
    (5 stands behind ( and 5) behind ). `RecursiveGrammar.terminals` lists them.

    Args:
        pairs: kinds of brackets, all equally likely.
        depth: how deep brackets may be nested, 1 for not at all; None for no bound.
        max_length: tokens of the longest word.
        more: probability that another pair follows a pair.
        nested: probability that a pair holds a word, where `depth` allows it.

    Raises:
        ValueError: if arguments are out of range; one line for each.

    Example:
        With two kinds, "[ ] ( )" and "( [ ] [ ] )" are words, "( ]", "( [ ) ]" and "( ) )" are not.
        At depth 1 with more = 0.5, "( ) [ ]" has probability 0.5 * 0.5 * 0.5 * 0.5, before the cap:
        a kind, more, a kind, no more. At depth 2 with nested = 0.5, "( )" has 0.5 * 0.5 * 0.5: a
        kind, not nested, no more.
    """
    if found := _problems(pairs, depth, max_length, more=more, nested=nested):
        raise ValueError("\n".join(found))
    rules: dict[str, tuple[tuple[str, ...], ...]] = {}
    probabilities: dict[str, tuple[float, ...]] = {}
    brackets = [_brackets(kind) for kind in range(1, pairs + 1)]
    for level in range(1, (depth or 1) + 1):
        word, pair, inner = _symbols(level, depth)
        rules[word] = ((pair,), (pair, word))
        probabilities[word] = (1 - more, more)
        rules[pair] = tuple(brackets)
        probabilities[pair] = (1 / pairs,) * pairs
        if level != depth:
            rules[pair] += tuple((left, inner, right) for left, right in brackets)
            probabilities[pair] = ((1 - nested) / pairs,) * pairs + (nested / pairs,) * pairs
    return RecursiveGrammar(
        name=f"dyck-{pairs}" if depth is None else f"dyck-({pairs}, {depth})",
        root=_symbols(1, depth)[0],
        rules=rules,
        probabilities=probabilities,
        max_length=max_length,
        is_unambiguous=True,
    )


def _symbols(level: int, depth: int | None) -> tuple[str, str, str]:
    """Return the symbols of words and pairs of a level, and of the words inside its pairs."""
    if depth is None:
        return "S", "P", "S"
    return f"S{level}", f"P{level}", f"S{level + 1}"


def _brackets(kind: int) -> tuple[str, str]:
    """Return the opening and closing bracket of a kind, counted from 1."""
    if kind <= len(BRACKETS):
        return BRACKETS[kind - 1][0], BRACKETS[kind - 1][1]
    return f"({kind}", f"{kind})"


def _problems(
    pairs: int, depth: int | None, max_length: int, *, more: float, nested: float
) -> list[str]:
    """Return the errors in the arguments of `dyck`."""
    found = [
        f"{name}: must be an integer of at least {least}{other}, but got {value!r}"
        for name, value, least, other in (
            ("pairs", pairs, 1, ""),
            ("depth", 1 if depth is None else depth, 1, ", or None for no bound"),
            ("max_length", max_length, 2, ""),
        )
        if isinstance(value, bool) or not isinstance(value, int) or value < least
    ]
    return found + [
        f"{name}: must be a probability above 0 and below 1, but got {value!r}"
        for name, value in (("more", more), ("nested", nested))
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1
    ]
