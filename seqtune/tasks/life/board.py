"""Boards of cells and the rules of their evolution: a cell's next state follows from its live neighbours.

A board is uint8 [R, C], 1 where a cell is alive. The eight neighbours of a cell are counted by
offset: on a torus of width or height 1 or 2 several offsets reach the same cell, which then counts
several times (on a 1 x 1 torus a live cell has eight live neighbours: itself). Cells beyond a dead
border never live, whatever the rule says.

Source: Gardner 1970 (Conway's rule, B3/S23).
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt

Boards: TypeAlias = npt.NDArray[np.uint8]
"""uint8 [B, R, C], or [R, C] for one board; 1 where a cell is alive."""

Border: TypeAlias = Literal["torus", "dead"]
"""What lies beyond the edge: the opposite edge, or cells that are always dead."""

_RULE = re.compile(r"B([0-8]*)/S([0-8]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Rule:
    """A life-like rule: the counts of live neighbours for birth and for survival."""

    birth: frozenset[int]
    survival: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a rule such as `B36/S23`, in upper or lower case.

        Raises:
            ValueError: if the text is no such rule.
        """
        found = _RULE.fullmatch(text.strip())
        if found is None:
            raise ValueError(
                "must be B and S, each with its counts of live neighbours from 0 to 8, "
                f"but got {text!r}; write B3/S23 for Conway's rule"
            )
        birth, survival = (frozenset(map(int, digits)) for digits in found.groups())
        return cls(birth=birth, survival=survival)

    def __str__(self) -> str:
        birth, survival = ("".join(map(str, sorted(each))) for each in (self.birth, self.survival))
        return f"B{birth}/S{survival}"

    @cached_property
    def bits(self) -> np.uint32:
        """Bit n is set for birth with n neighbours, bit 16 + n for survival."""
        return np.uint32(sum(1 << n for n in self.birth) + sum(1 << n + 16 for n in self.survival))


def step(boards: Boards, *, rule: Rule, border: Border, steps: int = 1) -> Boards:
    """Return the boards some steps later; all cells change at once."""
    # Importing numba takes time that reading a spec should not.
    from seqtune.tasks.life import kernels

    batch = boards if boards.ndim == 3 else boards[np.newaxis]
    batch = np.ascontiguousarray(batch, dtype=np.uint8)
    return kernels.step(batch, rule.bits, border == "torus", steps).reshape(boards.shape)
