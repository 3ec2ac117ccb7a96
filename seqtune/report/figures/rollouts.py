"""Roll-outs as lines: how right a model's boards are, step after step of reading its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seqtune.report.figures import drawing

PANEL_WIDTH, HEIGHT, LETTER_WIDTH = 3.6, 3.3, 0.066
"""Inches; beside a panel is room for the names of its lines."""


@dataclass(frozen=True, eq=False)
class Line:
    """One run's roll-outs: by step, the share that is right, under the title of its panel."""

    name: str
    steps: Sequence[float]
    shares: Mapping[str, Sequence[float]]


@drawing.styled
def by_step(lines: Sequence[Line], *, title: str) -> Figure:
    """Draws a panel for every share, and in it a line a run."""
    panels = list(dict.fromkeys(panel for line in lines for panel in line.shares))
    letters = max(len(line.name) for line in lines) if len(lines) > 1 else 0
    width = len(panels) * (PANEL_WIDTH + LETTER_WIDTH * letters) + 0.4
    figure = drawing.new_figure(width=width, height=HEIGHT, title=title)
    grid_of_axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)
    for axes, panel in zip(grid_of_axes.flat, panels, strict=True):
        axes.set_title(panel)
        axes.grid(axis="y")
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        # Lines at 0 and 1 are whole, not cut in half by the edge.
        axes.set_ylim(-0.02, 1.02)
        _draw(axes, [line for line in lines if panel in line.shares], panel=panel)
    grid_of_axes[0, 0].set_ylabel("share right")
    return figure


def _draw(axes: Axes, lines: Sequence[Line], *, panel: str) -> None:
    ends: list[drawing.End] = []
    colours = drawing.distinct_colours(len(lines))
    for rank, (line, colour) in enumerate(zip(lines, colours, strict=True)):
        shares = line.shares[panel]
        marker = drawing.MARKERS[rank % len(drawing.MARKERS)] if len(shares) <= 30 else ""
        axes.plot(line.steps, shares, color=colour, lw=1.5, marker=marker, ms=4, clip_on=False)
        ends.append(drawing.End(line.steps[-1], shares[-1], text=line.name, colour=colour))
    if len(lines) > 1:
        # A name is about 13 points high, and the axes take about 70 % of the figure.
        drawing.label_line_ends(axes, ends=ends, gap=13 / (HEIGHT * 72 * 0.7))
