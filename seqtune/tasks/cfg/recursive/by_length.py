"""Exact figures of a recursive grammar by dynamic programming over the length of strings.

Everything follows from L_A(n), the probability that A derives n tokens: a rule A -> B C of
probability p adds p L_B(m) L_C(n - m) for every m, and chains of unit rules multiply from the left
(`BinaryRules.closure`). All tables are float64 [symbols, longest + 1] and cost longest^2 a rule.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import numpy as np

from seqtune.tasks.cfg.recursive.binarization import BinaryRules


def probability_by_length(rules: BinaryRules, *, longest: int) -> np.ndarray:
    """Return L: the probability that each symbol derives n tokens."""
    pairs = rules.pairs
    table = np.zeros((rules.size, longest + 1))
    for n in range(1, longest + 1):
        weights = pairs["probability"] * _splits(table[pairs["left"]], table[pairs["right"]], n)
        table[:, n] = rules.closure @ _by_parent(rules, pairs, weights, n)
    return table


def possible_by_length(rules: BinaryRules, *, longest: int) -> np.ndarray:
    """Return whether each symbol derives n tokens, bool [symbols, longest + 1]; never underflows."""
    pairs = rules.pairs
    table = np.zeros((rules.size, longest + 1))
    for n in range(1, longest + 1):
        weights = _splits(table[pairs["left"]], table[pairs["right"]], n)
        table[:, n] = (rules.chains @ _by_parent(rules, pairs, weights, n)) > 0
    return table > 0


def log_probability_by_length(
    rules: BinaryRules, probability: np.ndarray, *, longest: int
) -> np.ndarray:
    """Return the sum of P(d) log P(d) over the derivations d of n tokens of each symbol.

    Args:
        rules: the rules.
        probability: result of `probability_by_length`.
        longest: largest n.
    """
    pairs, units = rules.pairs, rules.units
    left, right, p = pairs["left"], pairs["right"], pairs["probability"]
    of_units = units["probability"] * np.log(units["probability"])
    table = np.zeros((rules.size, longest + 1))
    for n in range(1, longest + 1):
        own = np.log(p) * _splits(probability[left], probability[right], n)
        inner = _splits(table[left], probability[right], n)
        inner += _splits(probability[left], table[right], n)
        sums = np.zeros(rules.size)
        np.add.at(sums, pairs["parent"], p * (own + inner))
        np.add.at(sums, units["parent"], of_units * probability[units["left"], n])
        table[:, n] = rules.closure @ sums
    return table


def count_derivations(rules: BinaryRules, *, longest: int) -> int:
    """Return the exact number of derivations of at most `longest` tokens of the root.

    Raises:
        ValueError: if there are infinitely many, since a symbol derives itself by unit rules.
    """
    units = _units_last_first(rules)
    # By symbol: the number of derivations of every length that has some.
    counts: list[dict[int, int]] = [{} for _ in range(rules.size)]
    for n in range(1, longest + 1):
        own = [int(n == 1 and 1 <= symbol <= rules.terminals) for symbol in range(rules.size)]
        for parent, left, right, _ in rules.pairs.tolist():
            fewer, other = sorted((counts[left], counts[right]), key=len)
            own[parent] += sum(c * other[n - m] for m, c in fewer.items() if n - m in other)
        for symbol, below in units.items():
            own[symbol] += sum(own[left] for left in below)
        for symbol, number in enumerate(own):
            if number:
                counts[symbol][n] = number
    return sum(counts[rules.root].values())


def _units_last_first(rules: BinaryRules) -> dict[int, set[int]]:
    """Return the symbols that the unit rules of each symbol lead to, in bottom-up order."""
    below: dict[int, set[int]] = {}
    for parent, left, _, _ in rules.units.tolist():
        below.setdefault(parent, set()).add(left)
    try:
        order = TopologicalSorter(below).static_order()
        return {symbol: below[symbol] for symbol in order if symbol in below}
    except CycleError as error:
        around = " -> ".join(rules.symbols[symbol] for symbol in error.args[1][::-1])
        raise ValueError(
            f"the derivations cannot be counted, since there is no end of them: {around} "
            "can be repeated without a token; leave out one of these rules"
        ) from None


def _splits(left: np.ndarray, right: np.ndarray, n: int) -> np.ndarray:
    """Return the sum of left[:, m] right[:, n - m] over all m from 1 to n - 1, float64 [rules]."""
    return np.einsum("rm,rm->r", left[:, 1:n], right[:, n - 1 : 0 : -1])


def _by_parent(rules: BinaryRules, pairs: np.ndarray, weights: np.ndarray, n: int) -> np.ndarray:
    """Return sums of rule weights by parent, and 1 for a terminal if n is 1, float64 [symbols]."""
    sums = np.zeros(rules.size)
    np.add.at(sums, pairs["parent"], weights)
    if n == 1:
        sums[1 : rules.terminals + 1] = 1.0
    return sums
