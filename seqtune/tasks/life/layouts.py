"""Where the live cells of a first board lie: everywhere alike, or in clusters.

The heterogeneity of a board is the standard deviation of the live fraction over all 3 x 3 windows
that lie wholly inside it. Independent cells, half of them alive, have about 1/6 on a large board; a
board with one live half has nearly 1/2.

Source: the initial conditions of Berkovich & Buehler 2024, arXiv 2409.12182 (LifeGPT).
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
"""Largest accepted distance of a heterogeneity from its target."""

SWAPS_A_CELL = 4
"""Most swaps tried on a board, per cell; then the board is taken as it is."""


class Homogeneous(Spec):
    """Independent cells, each alive with the same probability."""

    kind: Literal["homogeneous"] = "homogeneous"
    independent: ClassVar = True
    """Whether cells are independent given the board's share of live cells."""

    def draw(
        self, shares: Probabilities, *, rows: int, columns: int, generator: np.random.Generator
    ) -> Boards:
        """Draw boards [B, R, C], each with its share of live cells on average."""
        uniform = generator.random((len(shares), rows, columns), dtype=np.float32)
        return (uniform < shares[:, np.newaxis, np.newaxis].astype(np.float32)).astype(np.uint8)


class Heterogeneous(Spec):
    """Clusters: a fixed number of live cells, arranged until the heterogeneity reaches a target.

    A board of n cells with share p has p n live cells, rounded, at random places. Then a live and a
    dead cell, both drawn at random, swap places if that brings the heterogeneity nearer to its
    target, until it is within .005 of the target or 4 n swaps have been tried. A board with few
    live or few dead cells, as broad densities draw them, cannot reach every target, and stays as
    clustered as it is then.
    """

    kind: Literal["heterogeneous"] = "heterogeneous"
    independent: ClassVar = False
    heterogeneity: float | None = Field(default=None, gt=0, le=0.5)
    """The target; null is two thirds of that of a half-filled board (.32 on 32 x 32)."""

    def target(self, *, rows: int, columns: int) -> float:
        """Return the target on boards of this size.

        Raises:
            ValueError: if the board has fewer than two windows, or a half-filled one is below the
                target.
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
        """Draw boards [B, R, C], each with exactly its share of live cells, rounded."""
        # Importing numba takes time that reading a spec should not.
        from seqtune.tasks.life import kernels

        cells = rows * columns
        live = np.rint(shares * cells).astype(np.int64)
        aim = (self.target(rows=rows, columns=columns), TOLERANCE, SWAPS_A_CELL * cells)
        return kernels.arrange(live, (rows, columns, WINDOW), aim, generator)


LayoutSpec: TypeAlias = Annotated[Homogeneous | Heterogeneous, ByKind()]


def heterogeneity(boards: Boards) -> Probabilities:
    """Return the standard deviation of the live fraction over each board's windows, float64 [B]."""
    windows = np.lib.stride_tricks.sliding_window_view(boards, (WINDOW, WINDOW), axis=(1, 2))
    return windows.mean(axis=(3, 4)).std(axis=(1, 2))


def half_filled(rows: int, *, columns: int) -> float:
    """Return the larger heterogeneity of the boards whose upper half, or left half, is alive."""
    upper, left = np.zeros((2, rows, columns), dtype=np.uint8)
    upper[: rows // 2] = 1
    left[:, : columns // 2] = 1
    return float(heterogeneity(np.stack([upper, left])).max())
