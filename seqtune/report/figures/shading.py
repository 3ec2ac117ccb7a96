"""How much of its own output a model read while it learned: grey behind its curve, or in rows above several.

The greys are told apart by nothing but how dark they are, and stay light enough for lines and text on them.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation, blended_transform_factory

from seqtune.report.figures import drawing

DARKEST = 0.22
"""How much darker than white the grey is where the model reads only its own tokens."""
BORDER: dict[str, Any] = {"color": drawing.MUTED, "lw": 0.6, "ls": (0, (2, 2))}
ROW_HEIGHT, ROW_GAP, LEGEND_HEIGHT = 0.14, 0.1, 0.25
"""Inches: of a row, between the rows and the curves, and of the legend."""


@dataclass(frozen=True)
class Forced:
    """What a run read, epoch by epoch.

    Attributes:
        tokens: trained on by the end of the epoch.
        truths: probability of reading the true token in it, by the metric `forcing`.
    """

    tokens: tuple[float, ...]
    truths: tuple[float, ...]

    @property
    def fed_back(self) -> bool:
        """Whether the model ever read a token of its own."""
        return any(truth < 1 for truth in self.truths)

    def borders(self) -> list[float]:
        """Where the value jumps: by at least .05, and three times as far as before and after."""
        steps = [abs(b - a) for a, b in itertools.pairwise(self.truths)]
        found: list[float] = []
        for place, step in enumerate(steps):
            beside = steps[max(place - 1, 0) : place] + steps[place + 1 : place + 2]
            if step >= 0.05 and step > 3 * max(beside, default=0.0):
                found.append(self.tokens[place])
        return found

    def alike(self, other: "Forced") -> bool:
        """Whether both can be drawn as one: the same values, at places that a reader cannot tell apart."""
        return len(self.tokens) == len(other.tokens) and (
            np.allclose(self.truths, other.truths, rtol=0, atol=1e-6)
            and np.allclose(self.tokens, other.tokens, rtol=0.02, atol=0)
        )


@dataclass(frozen=True)
class Row:
    """What one line of a panel read, with the line's name and colour."""

    forced: Forced
    name: str
    colour: Any


def of_run(curves: pd.DataFrame, *, run: str) -> Forced | None:
    """From `Results.curves`; None if it was not measured."""
    mine = curves[(curves["run"] == run) & (curves["metric"] == "forcing")].dropna(subset="value")
    if mine.empty:
        return None
    mine = mine.sort_values("tokens")
    return Forced(
        tokens=tuple(float(value) for value in mine["tokens"]),
        truths=tuple(float(value) for value in mine["value"]),
    )


def height(schedules: Sequence[Sequence[Row]]) -> float:
    """Inches that a panel of a shaded figure needs beyond its own: for the most rows, and the legend."""
    rows = max((len(inside) for inside in schedules if len(inside) > 1), default=0)
    return LEGEND_HEIGHT + (rows * ROW_HEIGHT + ROW_GAP if rows else 0.0)


def draw(panels: Sequence[Axes], schedules: Sequence[Sequence[Row]]) -> None:
    """Shades every panel by what its lines read, and says below the figure what the greys mean.

    Args:
        panels: with their curves drawn.
        schedules: of each panel. One is drawn behind its lines, several in rows above them.
    """
    for axes, rows in zip(panels, schedules, strict=False):
        axes.set_xlim(left=0)
        if len(rows) == 1:
            _shade(axes, rows[0].forced)
        elif rows:
            _draw_above(axes, rows)
    _explain(_figure(panels[0]))


def _draw_above(axes: Axes, rows: Sequence[Row]) -> None:
    # Over the whole width, in inches above the upper edge: room that the figure's layout can keep free.
    upper_edge = ScaledTranslation(0, 1, axes.transAxes)  # pyright: ignore[reportArgumentType]
    inches = _figure(axes).dpi_scale_trans + upper_edge
    strip = axes.inset_axes(
        (0, ROW_GAP, 1, len(rows) * ROW_HEIGHT),
        transform=blended_transform_factory(axes.transAxes, inches),
    )
    strip.set_xlim(axes.get_xlim())
    strip.set_ylim(len(rows), 0)
    strip.set_xticks([])
    strip.set_yticks([])
    strip.spines[:].set_visible(False)
    for place, row in enumerate(rows):
        low, high = place + 0.1, place + 0.9
        _shade(strip, row.forced, between=(low, high))
        strip.plot([0, row.forced.tokens[-1]], [high, high], color=row.colour, lw=1.0)
        strip.annotate(
            row.name,
            xy=(1.06, place + 0.5),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=7,
            color=drawing.as_text(row.colour),
            annotation_clip=False,
        )


def _explain(figure: Figure) -> None:
    shares = {"own tokens read in an epoch: none": 0.0, "half": 0.5, "all": 1.0}
    figure.legend(
        handles=[
            Patch(facecolor=grey(share), edgecolor=drawing.MUTED, lw=0.5, label=label)
            for label, share in shares.items()
        ],
        loc="outside lower left",
        ncols=len(shares),
        fontsize=8,
        handlelength=1.4,
        columnspacing=1.2,
    )


def _shade(axes: Axes, forced: Forced, *, between: tuple[float, float] | None = None) -> None:
    """Fills epochs, between two heights or all of the axes."""
    end = forced.tokens[-1]
    starts = (0.0, *forced.tokens[:-1])
    for start, truth in zip(starts, forced.truths, strict=True):
        # To the end, under all that follow: rectangles side by side would show seams.
        fill = {"facecolor": grey(1 - truth), "lw": 0, "zorder": 0}
        if between is None:
            axes.axvspan(start, end, **fill)
        else:
            axes.fill_between([start, end], *between, **fill)
    for border in forced.borders():
        if between is None:
            axes.axvline(border, zorder=0.4, **BORDER)
        else:
            axes.plot([border] * 2, between, zorder=0.4, **BORDER)


def _figure(axes: Axes) -> Figure:
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    return figure


def grey(share: float) -> tuple[float, float, float]:
    """The grey of an epoch in which this share of what a model read was its own."""
    light = 1 - DARKEST * share
    return (light, light, light)
