"""What can be wrong with a recursive grammar beyond what can be wrong with any."""

from __future__ import annotations

from typing import Any

from seqtune.tasks.cfg.probabilities import probability_problems
from seqtune.tasks.cfg.recursive.binarization import shortest
from seqtune.tasks.cfg.rules import Rules, problems, read_rules


def recursive_problems(
    root: str, rules: Rules, *, probabilities: Any, max_length: Any
) -> list[str]:
    """All that keeps the arguments from being a `RecursiveGrammar`, one line each."""
    found = _length_problems(max_length)
    if wrong := problems(root, rules):
        return wrong + found
    read = read_rules(rules)
    found = probability_problems(read, probabilities) + found
    least = shortest(read)[str(root)]
    if not found and least > max_length:
        found = [
            f"max_length: must be at least {least}, the tokens of the shortest string of {root}, "
            f"but got {max_length}; write {least} or more"
        ]
    return found


def _length_problems(max_length: Any) -> list[str]:
    """What is wrong with the cap."""
    if isinstance(max_length, int) and not isinstance(max_length, bool) and max_length >= 1:
        return []
    return [
        f"max_length: must be an integer of at least 1, but got {max_length!r}; "
        "write the tokens of the longest string"
    ]
