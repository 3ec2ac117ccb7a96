"""Curves of cells over how far strings go beyond the training: a panel a training, a line a cell."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from seqtune.report.figures import drawing, grid
from seqtune.report.figures.growth_curves import Curve, Part, floors, is_log
from seqtune.report.naming import labels
from seqtune.training.measurement import HIGHER_IS_BETTER

PANEL_WIDTH, PANEL_HEIGHT, LETTER_WIDTH = 3.0, 2.7, 0.066
"""Inches; beside a panel is room for the names of its lines."""
WIDEST = 13.0
BESIDE = 0.045
"""Inches between the lines of two cells at one place."""
NAME_GAP = 0.085
"""Of a panel's height, from one name beside it to the next."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A drawn figure; `off_scale` counts the values that a logarithmic scale has no place for."""

    figure: Figure
    off_scale: int
    has_floor: bool


@drawing.styled
def draw(
    curves: Sequence[Curve],
    *,
    borders: Mapping[str, float],
    metric: str,
    x: str,
    title: str,
    few: bool,
) -> Picture:
    """Draws the curves.

    Args:
        curves: at most nine a panel.
        borders: by panel, how far the training went; a panel without it has no line there.
        metric: the y axis.
        x: what is written at the x axis.
        title: of the whole figure.
        few: whether x has few values, each of which has a tick.
    """
    panels: dict[str, list[Curve]] = {}
    for curve in curves:
        panels.setdefault(curve.panel, []).append(curve)
    colours = drawing.named_colours({curve.name: curve.rank for curve in curves})
    markers = markers_of(curves)
    width = PANEL_WIDTH + LETTER_WIDTH * max(len(curve.name) for curve in curves) + 0.2
    rows, columns = grid.shape(len(panels), most_columns=int(WIDEST / width))
    extra = 0.3 if len(markers) > 1 else 0.0
    figure = drawing.new_figure(
        width=columns * width + 0.4, height=rows * PANEL_HEIGHT + 0.7 + extra, title=title
    )
    # Lengths differ much from panel to panel, so that they share the metric's scale only.
    grid_of_axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    log = is_log(curves, metric=metric)
    _fit(grid_of_axes[0, 0], curves, log=log, metric=metric)
    for axes in grid_of_axes.flat[len(panels) :]:
        axes.set_axis_off()
    places = sorted({place for curve in curves for part in curve.parts for place in part.x})
    ticks = places if few else ()
    for axes, (name, inside) in zip(grid_of_axes.flat, panels.items(), strict=False):
        axes.set_title(name)
        axes.grid(axis="y")
        _x_axis(axes, inside, ticks=ticks)
        # Where a cell was trained it is good: its values are at the other end.
        _border(axes, borders.get(name), below=metric in HIGHER_IS_BETTER)
        beside = BESIDE if few else BESIDE / 2
        _draw(axes, inside, colours=colours, markers=markers, log=log, beside=beside)
    for axes in grid_of_axes[:, 0]:
        axes.set_ylabel(labels.with_unit(metric))
    for axes in grid_of_axes.flat[max(0, len(panels) - columns) : len(panels)]:
        axes.set_xlabel(x)
    if len(markers) > 1:
        _explain(figure, markers=markers)
    means = [value for curve in curves for part in curve.parts for value in part.mean]
    return Picture(
        figure,
        off_scale=sum(value <= 0 for value in means) if log else 0,
        has_floor=bool(floors(curves)),
    )


def markers_of(curves: Sequence[Curve]) -> dict[str, str]:
    """By the name of every kind of part, its marker."""
    names = dict.fromkeys(part.name for curve in curves for part in curve.parts)
    return {name: drawing.MARKERS[place % len(drawing.MARKERS)] for place, name in enumerate(names)}


def _fit(axes: Axes, curves: Sequence[Curve], *, log: bool, metric: str) -> None:
    """Chooses the shared scale by all that is drawn; an interval that leaves it is drawn to its edge."""
    parts = [part for curve in curves for part in curve.parts]
    means = [value for part in parts for value in part.mean if value > 0 or not log]
    ends = [
        value
        for part in parts
        for value in (*part.low, *part.high, *part.best)
        if math.isfinite(value) and (value > 0 or not log)
    ]
    low, high = min(means + ends), max(means + ends)
    if log:
        axes.set(yscale="log", ylim=(max(low, min(means) / 10) / 1.4, high * 1.4))
    else:
        if metric in HIGHER_IS_BETTER:
            low, high = max(low, 0.0), min(high, 1.0)
        room = 0.06 * (high - low or 1.0)
        axes.set_ylim(low - room, high + room)
    drawing.plain_ticks(axes.yaxis, log=log)


def _x_axis(axes: Axes, curves: Sequence[Curve], *, ticks: Sequence[float]) -> None:
    """Ticks, and room at both sides."""
    places = [place for curve in curves for part in curve.parts for place in part.x]
    if ticks:
        room = 0.06 * (max(ticks) - min(ticks) or 1.0)
        axes.set_xlim(min(ticks) - room, max(ticks) + room)
        axes.xaxis.set_major_locator(FixedLocator(ticks))
    elif drawing.needs_log(places):
        axes.set(xscale="log", xlim=(min(places) / 1.15, max(places) * 1.15))
        drawing.plain_ticks(axes.xaxis, log=True)
    else:
        room = 0.05 * (max(places) - min(places) or 1.0)
        axes.set_xlim(min(places) - room, max(places) + room)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _border(axes: Axes, border: float | None, *, below: bool) -> None:
    """The dashed line where the training ends, named at its lower or its upper end."""
    if border is None:
        return
    axes.axvline(border, color=drawing.MUTED, lw=0.9, ls=(0, (4, 3)), zorder=0.5)
    axes.annotate(
        "trained",
        (border, 0.0 if below else 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(-2, 2 if below else -2),
        textcoords="offset points",
        rotation=90,
        ha="right",
        va="bottom" if below else "top",
        fontsize=7,
        color=drawing.MUTED,
    )


def _draw(
    axes: Axes,
    curves: Sequence[Curve],
    *,
    colours: Mapping[str, Any],
    markers: Mapping[str, str],
    log: bool,
    beside: float,
) -> None:
    bottom = float(axes.get_ylim()[0])
    ends: list[drawing.End] = []
    for rank, curve in enumerate(curves):
        colour = colours[curve.name]
        shift = beside * (rank - (len(curves) - 1) / 2)
        for part in curve.parts:
            _draw_part(axes, part, colour=colour, marker=markers[part.name], log=log, beside=shift)
        last = max(curve.parts, key=lambda part: part.x[-1])
        height = max(last.mean[-1], bottom)
        if curve.name:
            ends.append(drawing.End(last.x[-1], height, text=curve.name, colour=colour))
    ends += _draw_floors(axes, curves, colours=colours)
    drawing.label_line_ends(axes, ends=ends, gap=NAME_GAP)


def _draw_part(
    axes: Axes, part: Part, *, colour: Any, marker: str, log: bool, beside: float
) -> None:
    """Draws a stretch so many inches to the right of its places, so that intervals do not hide each other."""
    aside = ScaledTranslation(beside, 0, _figure(axes).dpi_scale_trans)
    means = [value if value > 0 or not log else math.nan for value in part.mean]
    shift: dict[str, Any] = {"transform": axes.transData + aside}
    axes.plot(part.x, means, color=colour, lw=1.4, marker=marker, ms=4, **shift)
    bottom, top = axes.get_ylim()
    for place, low, high in zip(part.x, part.low, part.high, strict=True):
        if math.isfinite(low):
            edges = [max(low, bottom), min(max(high, bottom), top)]
            axes.plot([place, place], edges, color=colour, lw=0.9, alpha=0.7, zorder=1.5, **shift)
    below = [x for x, mean in zip(part.x, part.mean, strict=True) if log and mean <= 0]
    if below:
        edge: dict[str, Any] = {"transform": axes.get_xaxis_transform() + aside, "clip_on": False}
        axes.plot(below, [0] * len(below), color=colour, marker="v", ms=5, ls="", zorder=3, **edge)


def _figure(axes: Axes) -> Figure:
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    return figure


def _draw_floors(
    axes: Axes, curves: Sequence[Curve], *, colours: Mapping[str, Any]
) -> list[drawing.End]:
    """Dashed, in the colour of the cell that it belongs to, or in ink where several share it; named if one."""
    owners = floors(curves)
    for floor, names in owners.items():
        shared = len(names) > 1 or len(curves) == 1
        colour = drawing.INK if shared else colours[names[0]]
        for stretch in floor:
            x, y = zip(*stretch, strict=True)
            axes.plot(x, y, color=colour, lw=1.1, ls=(0, (4, 2)), zorder=1)
    if len(owners) != 1:
        return []
    x, y = max(next(iter(owners))[-1])
    return [drawing.End(x, y, text="floor", colour=drawing.INK)]


def _explain(figure: Figure, *, markers: Mapping[str, str]) -> None:
    figure.legend(
        handles=[
            Line2D([], [], color=drawing.MUTED, marker=marker, ms=4, lw=1.2, label=name)
            for name, marker in markers.items()
        ],
        loc="outside lower left",
        ncols=min(len(markers), 6),
        fontsize=8,
    )
