"""Recursive sampler: exact random derivations of a recursive grammar within its cap, without rejection.

The length of a string is drawn first. Then, from the root down, a symbol that has to derive n
tokens takes one of its rules, and a rule A -> B C one of the ways to divide them into m and n - m,
each in proportion to its term of L_A(n) = sum of p L_B(m) L_C(n - m). Divisions are tried from both
ends, so a string of n tokens takes at most about n log n steps.

Source: the recursive method of Flajolet, Zimmermann and Van Cutsem 1994, with probabilities in
place of counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from seqtune.tasks.cfg.parallel import Sampler
from seqtune.tasks.cfg.recursive.binarization import BinaryRules, grouped
from seqtune.tasks.cfg.trees import Trees

NODE = np.dtype([("symbol", "i4"), ("depth", "i4"), ("begin", "i8"), ("end", "i8")])
PART = np.dtype([("symbol", "i8"), ("length", "i8"), ("depth", "i8")])


class _Derivations(NamedTuple):
    """Strings and their derivations.

    Attributes:
        tokens: int8 or int32 [total].
        offsets: int64 [n + 1].
        log_probability: float64 [n]; of the derivations, given the cap, in nats.
        nodes: NODE; the nonterminals of the derivations, each above tokens[begin:end].
    """

    tokens: np.ndarray
    offsets: np.ndarray
    log_probability: np.ndarray
    nodes: np.ndarray


class _Tables(NamedTuple):
    """A grammar as the compiled functions read it.

    Attributes:
        terminals: number of terminals.
        own: number of ids without those of the rests of right-hand sides.
        root: id of the root.
        rules: RULE, sorted by parent; those of a symbol begin at `begin`, int64 [symbols + 1].
        log_rules: float64 [rules]; log probabilities.
        shares: float64 [rules, longest + 1]; the part of L_A(n) that comes from this rule of A.
        lengths: float64 [symbols, longest + 1]; L.
    """

    terminals: int
    own: int
    root: int
    rules: np.ndarray
    begin: np.ndarray
    log_rules: np.ndarray
    shares: np.ndarray
    lengths: np.ndarray


class _Work(NamedTuple):
    """Memory for strings in progress.

    Attributes:
        tokens: int8 or int32 [total].
        log_probability: float64 [n].
        waiting: PART [longest + 1]; a stack of symbols to expand, and how many tokens each derives.
    """

    tokens: np.ndarray
    log_probability: np.ndarray
    waiting: np.ndarray


class RecursiveSampler(Sampler):
    """Draws derivations of one grammar.

    Args:
        rules: the grammar's rules.
        lengths: float64 [symbols, longest + 1]; probability by length of every symbol.
    """

    chunk_strings = 1 << 14

    def __init__(self, rules: BinaryRules, *, lengths: np.ndarray) -> None:
        by_parent, begin = grouped(rules.rules, by="parent", size=rules.size)
        shares = np.array([_share(rule, lengths) for rule in by_parent])
        own = len(rules.symbols)
        log_rules = np.log(by_parent["probability"])
        self._tables = _Tables(
            *(rules.terminals, own, rules.root, by_parent, begin, log_rules, shares, lengths)
        )
        self._symbols = rules.symbols
        self._up_to = np.cumsum(lengths[rules.root])

    def _draw(self, n: int, *, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        derivations = self._derive(n, generator=generator)
        return derivations.tokens, derivations.offsets

    def sample_trees(self, n: int, *, generator: np.random.Generator) -> Trees:
        """Draw `n` strings with their derivations."""
        if n < 0:
            raise ValueError(f"n >= 0 must hold, but got n={n}")
        drawn = self._derive(n, generator=generator, with_nodes=True)
        depths = int(drawn.nodes["depth"].max(initial=-1)) + 1
        ancestors = np.zeros((depths, len(drawn.tokens)), np.int32)
        boundary = np.zeros((depths, len(drawn.tokens)), np.bool_)
        _label(drawn.nodes, ancestors, boundary)
        return Trees(
            tokens=drawn.tokens,
            offsets=drawn.offsets,
            ancestors=ancestors,
            boundary=boundary,
            log_probability=drawn.log_probability,
            symbols=self._symbols,
        )

    def _derive(
        self, n: int, *, generator: np.random.Generator, with_nodes: bool = False
    ) -> _Derivations:
        """Draw `n` derivations; `nodes` is empty unless asked for."""
        # The product is always below the last sum, and a length of probability 0 is never found.
        uniform = generator.random(n) * self._up_to[-1]
        offsets = np.cumsum(np.insert(np.searchsorted(self._up_to, uniform, side="right"), 0, 0))
        small = self._tables.terminals <= np.iinfo(np.int8).max
        work = _Work(
            tokens=np.empty(offsets[-1], np.int8 if small else np.int32),
            log_probability=np.full(n, -np.log(self._up_to[-1])),
            waiting=np.empty(len(self._up_to), PART),
        )
        # As plain tuples: a numba cache that names classes cannot be read once these are renamed.
        nodes = _descend(offsets, generator, with_nodes, tuple(self._tables), tuple(work))
        return _Derivations(work.tokens, offsets, work.log_probability, nodes)


def _share(rule: np.void, lengths: np.ndarray) -> np.ndarray:
    """Return the term of L that a rule contributes, float64 [longest + 1]."""
    left = lengths[rule["left"]]
    if rule["right"] == 0:
        return rule["probability"] * left
    return rule["probability"] * np.convolve(left, lengths[rule["right"]])[: len(left)]


# Functions that allocate nothing need not count references (`_nrt=False`), which takes time.
_compiled = njit(error_model="numpy", _nrt=False)  # pyright: ignore[reportCallIssue]
_entry = njit(cache=True, nogil=True, error_model="numpy")


@_entry
def _descend(offsets, generator, with_nodes, tables, work):
    """Derive strings of known lengths; return their nodes if asked to."""
    tables, work = _Tables(*tables), _Work(*work)
    nodes = np.empty(len(work.tokens) + 1 if with_nodes else 0, NODE)
    size = 0
    for i in range(len(offsets) - 1):
        place = offsets[i]
        _put(work.waiting[0], tables.root, offsets[i + 1] - place, 0)
        top = 0
        while top >= 0:
            part = work.waiting[top]
            if part.symbol <= tables.terminals:
                work.tokens[place] = part.symbol
                place += 1
                top -= 1
                continue
            if with_nodes and part.symbol < tables.own:
                if size == len(nodes):
                    nodes = np.concatenate((nodes, np.empty_like(nodes)))
                _write(nodes[size], part, place)
                size += 1
            rule = _choose(tables, part, generator.random())
            work.log_probability[i] += tables.log_rules[rule]
            first = _divide(tables, rule, part.length, generator.random())
            top = _expand(tables, work.waiting, top, rule, first)
    return nodes[:size]


@_compiled
def _put(part, symbol, length, depth):
    part.symbol = symbol
    part.length = length
    part.depth = depth


@_compiled
def _write(node, part, place):
    node.symbol = part.symbol
    node.depth = part.depth
    node.begin = place
    node.end = place + part.length


@_compiled
def _choose(tables, part, uniform):
    """Return the rule that a number in [0, 1) picks for a symbol with its number of tokens."""
    first, last = tables.begin[part.symbol], tables.begin[part.symbol + 1]
    rest = 0.0
    for rule in range(first, last):
        rest += tables.shares[rule, part.length]
    rest *= uniform
    chosen = first
    for rule in range(first, last):
        if tables.shares[rule, part.length] > 0.0:
            # If rounding leaves a rest, the last possible rule takes it.
            chosen = rule
            rest -= tables.shares[rule, part.length]
            if rest < 0.0:
                break
    return chosen


@_compiled
def _divide(tables, rule, length, uniform):
    """Return how many of `length` tokens a rule's first symbol derives, by a number in [0, 1)."""
    left, right = tables.rules[rule].left, tables.rules[rule].right
    if right == 0:
        return length
    if left <= tables.terminals:
        return 1
    if right <= tables.terminals:
        return length - 1
    rest = uniform * tables.shares[rule, length] / tables.rules[rule].probability
    chosen = 0
    for step in range(length - 1):
        m = 1 + step // 2 if step % 2 == 0 else length - 1 - step // 2
        share = tables.lengths[left, m] * tables.lengths[right, length - m]
        if share > 0.0:
            chosen = m
            rest -= share
            if rest < 0.0:
                break
    return chosen


@_compiled
def _expand(tables, waiting, top, rule, first):
    """Replace the top of the stack by the symbols of a rule; return the new top."""
    part = waiting[top]
    # The rest of a right-hand side is as deep as the symbols in it.
    depth = part.depth + (1 if part.symbol < tables.own else 0)
    if first < part.length:
        _put(part, tables.rules[rule].right, part.length - first, depth)
        top += 1
    _put(waiting[top], tables.rules[rule].left, first, depth)
    return top


@_entry
def _label(nodes, ancestors, boundary):
    """Write the nodes above every token."""
    for n in range(len(nodes)):
        node = nodes[n]
        ancestors[node.depth, node.begin : node.end] = node.symbol
        boundary[node.depth, node.end - 1] = True
