"""Random derivations of a recursive grammar within its cap: exact, without rejection.

The length of a string is drawn first. Then, from the root down, a symbol that is to derive n tokens
takes one of its rules, and a rule A -> B C one of the ways to share them, m and n - m, each in
proportion to its part of L_A(n) = sum of p L_B(m) L_C(n - m). Ways to share are looked through from
both ends, so a string of n tokens takes at most about n log n steps.

Source: the recursive method of Flajolet, Zimmermann and Van Cutsem 1994, with probabilities for
counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from seqtune.tasks.cfg.recursive.binarization import BinaryRules, grouped
from seqtune.tasks.cfg.threads import mapped
from seqtune.tasks.cfg.trees import Trees

CHUNK_STRINGS = 1 << 14
"""Strings drawn by one generator. Part of what a seed means: changing it changes strings."""

NODE = np.dtype([("symbol", "i4"), ("depth", "i4"), ("begin", "i8"), ("end", "i8")])
PART = np.dtype([("symbol", "i8"), ("length", "i8"), ("depth", "i8")])


class _Drawn(NamedTuple):
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
        terminals: Number of terminals.
        own: Number of ids without those of the rests of right-hand sides.
        root: Id of the root.
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


class _Growth(NamedTuple):
    """Where strings grow.

    Attributes:
        tokens: int8 or int32 [total].
        log_probability: float64 [n].
        waiting: PART [longest + 1]; a stack of symbols to come, and how many tokens each derives.
    """

    tokens: np.ndarray
    log_probability: np.ndarray
    waiting: np.ndarray


class Descent:
    """Draws derivations of one grammar.

    Args:
        rules: The grammar's rules.
        lengths: float64 [symbols, longest + 1]; probability by length of every symbol.
    """

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

    def sample(
        self, n: int, *, generator: np.random.Generator, threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and offsets of `n` strings, as `RecursiveGrammar.sample_flat` describes them."""
        if n < 0:
            raise ValueError(f"n >= 0 must hold, but got n={n}")
        if n <= CHUNK_STRINGS:
            drawn = self._draw(n, generator=generator)
            return drawn.tokens, drawn.offsets
        sizes = [min(CHUNK_STRINGS, n - begun) for begun in range(0, n, CHUNK_STRINGS)]
        jobs = zip(sizes, generator.spawn(len(sizes)), strict=True)
        parts = mapped(lambda job: self._draw(job[0], generator=job[1]), jobs, threads=threads)
        lengths = np.concatenate([np.diff(part.offsets) for part in parts])
        return np.concatenate([part.tokens for part in parts]), np.cumsum(np.insert(lengths, 0, 0))

    def sample_trees(self, n: int, *, generator: np.random.Generator) -> Trees:
        """`n` strings with the derivations that they were drawn by."""
        if n < 0:
            raise ValueError(f"n >= 0 must hold, but got n={n}")
        drawn = self._draw(n, generator=generator, with_nodes=True)
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

    def _draw(self, n: int, *, generator: np.random.Generator, with_nodes: bool = False) -> _Drawn:
        """`n` derivations; `nodes` is empty if they are not asked for."""
        # The product is always below the last sum, and a length of probability 0 is never found.
        uniform = generator.random(n) * self._up_to[-1]
        offsets = np.cumsum(np.insert(np.searchsorted(self._up_to, uniform, side="right"), 0, 0))
        small = self._tables.terminals <= np.iinfo(np.int8).max
        growth = _Growth(
            tokens=np.empty(offsets[-1], np.int8 if small else np.int32),
            log_probability=np.full(n, -np.log(self._up_to[-1])),
            waiting=np.empty(len(self._up_to), PART),
        )
        # As plain tuples: a cache that names classes cannot be read once these are renamed.
        nodes = _descend(offsets, generator, with_nodes, tuple(self._tables), tuple(growth))
        return _Drawn(growth.tokens, offsets, growth.log_probability, nodes)


def _share(rule: np.void, lengths: np.ndarray) -> np.ndarray:
    """float64 [longest + 1]; the part of L that comes from a rule."""
    left = lengths[rule["left"]]
    if rule["right"] == 0:
        return rule["probability"] * left
    return rule["probability"] * np.convolve(left, lengths[rule["right"]])[: len(left)]


# What works on memory from outside need not count references (`_nrt=False`), which takes time.
_compiled = njit(error_model="numpy", _nrt=False)  # pyright: ignore[reportCallIssue]
_entry = njit(cache=True, nogil=True, error_model="numpy")


@_entry
def _descend(offsets, generator, with_nodes, tables, growth):
    """Derives strings whose lengths are known; returns their nodes if asked to."""
    tables, growth = _Tables(*tables), _Growth(*growth)
    nodes = np.empty(len(growth.tokens) + 1 if with_nodes else 0, NODE)
    size = 0
    for i in range(len(offsets) - 1):
        place = offsets[i]
        _put(growth.waiting[0], tables.root, offsets[i + 1] - place, 0)
        top = 0
        while top >= 0:
            part = growth.waiting[top]
            if part.symbol <= tables.terminals:
                growth.tokens[place] = part.symbol
                place += 1
                top -= 1
                continue
            if with_nodes and part.symbol < tables.own:
                if size == len(nodes):
                    nodes = np.concatenate((nodes, np.empty_like(nodes)))
                _write(nodes[size], part, place)
                size += 1
            rule = _choose(tables, part, generator.random())
            growth.log_probability[i] += tables.log_rules[rule]
            first = _divide(tables, rule, part.length, generator.random())
            top = _expand(tables, growth.waiting, top, rule, first)
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
    """The rule that a number in [0, 1) picks for a symbol that is to derive so many tokens."""
    first, last = tables.begin[part.symbol], tables.begin[part.symbol + 1]
    rest = 0.0
    for rule in range(first, last):
        rest += tables.shares[rule, part.length]
    rest *= uniform
    chosen = first
    for rule in range(first, last):
        if tables.shares[rule, part.length] > 0.0:
            # What rounding leaves over falls to the last that is possible.
            chosen = rule
            rest -= tables.shares[rule, part.length]
            if rest < 0.0:
                break
    return chosen


@_compiled
def _divide(tables, rule, length, uniform):
    """How many of so many tokens the first symbol of a rule is to derive, by a number in [0, 1)."""
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
    """Replaces what is on top of the stack by the symbols of a rule; returns the new top."""
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
    """Writes the nodes above every token."""
    for n in range(len(nodes)):
        node = nodes[n]
        ancestors[node.depth, node.begin : node.end] = node.symbol
        boundary[node.depth, node.end - 1] = True
