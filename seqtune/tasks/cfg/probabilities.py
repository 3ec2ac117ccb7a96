"""Probabilities of rules: read from what people write, and what can be wrong with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Probabilities = Mapping[str, tuple[float, ...]]

ROUNDING = 1e-6
"""By how much the probabilities that a person wrote may miss 1; they are then scaled to it."""


def read_probabilities(rules: Mapping[Any, Any]) -> dict[str, tuple[float, ...]]:
    """The probability of every right-hand side; of a list all are equally likely."""
    return scaled(
        {
            str(left): tuple(right.values()) if isinstance(right, Mapping) else (1.0,) * len(right)
            for left, right in rules.items()
        }
    )


def scaled(weights: Mapping[Any, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    """Probabilities in proportion to weights, summing to 1 over the rules of a nonterminal."""
    return {str(left): _scaled(values) for left, values in weights.items()}


def _scaled(values: Sequence[float]) -> tuple[float, ...]:
    total = math.fsum(values)
    # Those that sum to 1 already are kept as they are.
    return tuple(float(value) if abs(total - 1) < 1e-15 else value / total for value in values)


def probability_problems(rules: Mapping[str, Sequence[Any]], probabilities: Any) -> list[str]:
    """What is wrong with probabilities that are given beside sound rules, one line each."""
    if not isinstance(probabilities, Mapping):
        return [
            "probabilities must map nonterminals to one number for each right-hand side, such as "
            f"{{'S': (0.4, 0.6)}}, but got {probabilities!r}"
        ]
    own = {str(left): values for left, values in probabilities.items()}
    found = [
        f"{left}: must have rules, since it has probabilities, but got none; leave out {left}"
        for left in own
        if left not in rules
    ]
    for left, right in rules.items():
        values = own.get(left, ())
        is_list = isinstance(values, Sequence) and not isinstance(values, str)
        if not is_list or len(values) != len(right):
            found.append(
                f"{left}: must have as many probabilities as right-hand sides, {len(right)}, "
                f"but got {len(values) if is_list else values!r}; write one for each"
            )
        else:
            numbered = {f"number {number}": value for number, value in enumerate(values, start=1)}
            found += value_problems(left, numbered)
    return found


def value_problems(left: str, values: Mapping[Any, Any]) -> list[str]:
    """What is wrong with the probabilities of a nonterminal's rules, given by the rules' names."""
    found = [
        f"{left}: a probability must be a number above 0 and at most 1, but {name} is {value!r}; "
        "leave out a rule that is never used"
        for name, value in values.items()
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1
    ]
    if not found and abs(math.fsum(values.values()) - 1) > ROUNDING:
        terms = " + ".join(f"{value:g}" for value in values.values())
        found.append(
            f"{left}: probabilities must sum to 1, but got {terms} = {math.fsum(values.values()):g}"
        )
    return found
