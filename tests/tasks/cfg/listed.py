"""All strings of a recursive grammar by plain expansion: what its tests compare exact figures with."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum, log

import numpy as np

from seqtune.tasks.cfg.recursive.grammar import RecursiveGrammar

NEGLIGIBLE = 1e-24
"""Forms less likely than this are not expanded: chains of unit rules need not end."""

Word = tuple[int, ...]


def recursive(
    rules: Mapping[str, Mapping[str, float]], *, max_length: int, root: str = "S", name: str = "own"
) -> RecursiveGrammar:
    """The grammar of rules written as {"S": {"a S b": 0.5, "a b": 0.5}}."""
    return RecursiveGrammar(
        name=name,
        root=root,
        rules={left: tuple(tuple(rhs.split()) for rhs in own) for left, own in rules.items()},
        probabilities={left: tuple(own.values()) for left, own in rules.items()},
        max_length=max_length,
    )


@dataclass
class Sums:
    """Over derivations d: their number, the sum of p(d), and that of p(d) log p(d)."""

    number: int = 0
    p: float = 0.0
    p_log_p: float = 0.0

    def add(self, other: "Sums", *, times: float) -> None:
        """Adds other derivations, each with one more rule of this probability."""
        self.number += other.number
        self.p += other.p * times
        self.p_log_p += other.p_log_p * times + other.p * times * log(times)


class Listed:
    """Every string within the cap of a grammar, from its rules alone."""

    def __init__(self, own: RecursiveGrammar) -> None:
        self.columns = len(own.terminals) + 1
        self.sums = {
            tuple(own.terminals.index(symbol) + 1 for symbol in string): sums
            for string, sums in _expanded(own).items()
        }
        self.kept = fsum(sums.p for sums in self.sums.values())
        self.probability = {string: sums.p / self.kept for string, sums in self.sums.items()}

    @property
    def derivation_entropy(self) -> float:
        return log(self.kept) - fsum(sums.p_log_p for sums in self.sums.values()) / self.kept

    @property
    def entropy(self) -> float:
        return -fsum(p * log(p) for p in self.probability.values())

    def next_token(self, string: Word) -> np.ndarray:
        """Rows of `next_token`."""
        rows = np.zeros((len(string) + 1, self.columns))
        for other, p in self.probability.items():
            for k in range(min(len(string), len(other)) + 1):
                if other[:k] == string[:k]:
                    rows[k, other[k] - 1 if k < len(other) else -1] += p
        with np.errstate(invalid="ignore"):
            return rows / rows.sum(axis=1, keepdims=True)

    def flips(self) -> list[Word]:
        """All that differs from some string in one token, one too many, or one too few."""
        tokens = range(1, self.columns)
        changed = {
            (*string[:i], *new, *string[i + 1 :])
            for string in self.probability
            for i in range(len(string))
            for new in ((), *((token,) for token in tokens), (string[i], string[i]))
        }
        return sorted(changed)


def _expanded(own: RecursiveGrammar) -> dict[tuple[str, ...], Sums]:
    """Strings, by expanding the leftmost nonterminal of all sentential forms at once."""
    done: dict[tuple[str, ...], Sums] = {}
    forms = {(own.root,): Sums(number=1, p=1.0)}
    while forms:
        longer: dict[tuple[str, ...], Sums] = {}
        for form, sums in forms.items():
            place = next((i for i, symbol in enumerate(form) if symbol in own.rules), None)
            if place is None:
                done.setdefault(form, Sums()).add(sums, times=1.0)
            elif len(form) <= own.max_length and sums.p > NEGLIGIBLE:
                left = form[place]
                for rhs, p in zip(own.rules[left], own.probabilities[left], strict=True):
                    new = (*form[:place], *rhs, *form[place + 1 :])
                    longer.setdefault(new, Sums()).add(sums, times=p)
        forms = longer
    return {form: sums for form, sums in done.items() if len(form) <= own.max_length}
