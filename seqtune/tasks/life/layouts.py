"""Where the live cells of a board lie: everywhere alike, or in clusters.

The heterogeneity of a board is the standard deviation of the live fraction over its 3 x 3 windows, all
that lie wholly inside it. Independent cells, half of them alive, have about 1/6 on a large board; a
board whose one half is alive has nearly 1/2.

Source: the experiments of Berkovich & Buehler 2024, arXiv 2409.12182 (its initial conditions).
"""

from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from pydantic import Field

from seqtune.config.spec import Spec
from seqtune.config.unions import ByKind
from seqtune.tasks.life.board import Boards
from seqtune.tasks.life.densities import Probabilities

WINDOW = 3
"""Rows and columns of a window."""
TOLERANCE = 0.005
"""How near to its target a heterogeneity must come."""
SWAPS_A_CELL = 4
"""How many swaps are tried on a board, for each of its cells, before it is taken as it is."""


class Homogeneous(Spec):
    """The same probability of life everywhere, cells independent."""

    kind: Literal["homogeneous"] = "homogeneous"
    independent: ClassVar = True
    """Whether the cells are independent once the board's share of live cells is known."""

    def draw(
        self, shares: Probabilities, *, rows: int, columns: int, generator: np.random.Generator
    ) -> Boards:
        """Boards [B, R, C], each with its share of live cells on average."""
        uniform = generator.random((len(shares), rows, columns), dtype=np.float32)
        return (uniform < shares[:, np.newaxis, np.newaxis].astype(np.float32)).astype(np.uint8)


class Heterogeneous(Spec):
    """Clusters: a fixed number of live cells, arranged until the heterogeneity reaches a target.

    A board of n cells with share p has p n live cells, rounded. They start at random places; then a live
    and a dead cell, both drawn at random, swap places if that brings the heterogeneity nearer to its
    target, until it is within .005 of it or 4 n swaps have been tried. What is reached by then is taken:
    a board with few live or few dead cells, as a broad density draws them, cannot reach every target,
    and ends as clustered as the swaps have made it.
    """

    kind: Literal["heterogeneous"] = "heterogeneous"
    independent: ClassVar = False
    heterogeneity: float | None = Field(default=None, gt=0, le=0.5)
    """The target; null is two thirds of that of a half-filled board of this size (.32 on 32 x 32)."""

    def target(self, *, rows: int, columns: int) -> float:
        """The target on boards of this size.

        Raises:
            ValueError: if the board has a single window or none, or a half-filled one does not reach it.
        """
        if rows < WINDOW or columns < WINDOW or rows * columns == WINDOW**2:
            raise ValueError(
                "heterogeneous boards must have at least 3 x 4 cells, two windows of 3 x 3, "
                f"but got {rows} x {columns}; write layout: homogeneous, or larger rows and columns"
            )
        widest = half_filled(rows, columns=columns)
        target = widest * 2 / 3 if self.heterogeneity is None else self.heterogeneity
        if target > widest + TOLERANCE:
            raise ValueError(
                f"heterogeneity must be at most that of a half-filled {rows} x {columns} board, "
                f"{widest:.3f}, but got {target:g}; leave it out for {widest * 2 / 3:.3f}"
            )
        return target

    def draw(
        self, shares: Probabilities, *, rows: int, columns: int, generator: np.random.Generator
    ) -> Boards:
        """Boards [B, R, C], each with exactly its share of live cells, rounded."""
        from seqtune.tasks.life import kernels

        cells = rows * columns
        live = np.rint(shares * cells).astype(np.int64)
        aim = (self.target(rows=rows, columns=columns), TOLERANCE, SWAPS_A_CELL * cells)
        return kernels.arrange(live, (rows, columns), aim, generator)


LayoutSpec: TypeAlias = Annotated[Homogeneous | Heterogeneous, ByKind()]


def heterogeneity(boards: Boards) -> Probabilities:
    """Standard deviation of the live fraction over the 3 x 3 windows of each board; float64 [B]."""
    windows = np.lib.stride_tricks.sliding_window_view(boards, (WINDOW, WINDOW), axis=(1, 2))
    return windows.mean(axis=(3, 4)).std(axis=(1, 2))


def half_filled(rows: int, *, columns: int) -> float:
    """The heterogeneity of a board whose upper half, or left half, is alive: the larger of the two."""
    upper, left = np.zeros((2, rows, columns), dtype=np.uint8)
    upper[: rows // 2] = 1
    left[:, : columns // 2] = 1
    return float(heterogeneity(np.stack([upper, left])).max())
