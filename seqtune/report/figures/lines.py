"""Learning curves as small multiples: a panel a value of the first compared path, a line a run."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from seqtune.report.data import references
from seqtune.report.figures import drawing, grid, reference_lines, shading
from seqtune.report.naming import labels
from seqtune.training.measurement import HIGHER_IS_BETTER, ZERO_FLOOR

LINES_A_PANEL = 9
PANEL_WIDTH, PANEL_HEIGHT, LETTER_WIDTH = 3.0, 2.6, 0.066
"""Inches; beside a panel is room for the names of its lines."""
WIDEST = 13.0
AXES_SHARE = 0.7
"""Of a panel's height, about what its axes take."""
NAME_HEIGHT = 13 / 72 / AXES_SHARE
"""Inches of a panel's height for a name beside its axes, which is about 13 points high."""


@dataclass(frozen=True)
class Line:
    """One run's curve.

    Attributes:
        panel: title of the panel that it belongs to.
        name: what tells it apart inside the panel.
        rank: the value by which the lines are ordered, and coloured light to dark; None if by nothing.
        tokens: x, trained on.
        values: y, of the metric.
        low: lower edge of a band around it, `high` the upper one; empty where there is none.
        floor: best possible value; None if unknown.
        references: what named predictors score, by their names.
        searched: whether a search trial stands for a cell that has no confirm run.
        forced: how much of its own output the model read; None if that was not measured.
    """

    panel: str
    name: str
    rank: Any
    tokens: Sequence[float]
    values: Sequence[float]
    floor: float | None
    references: Mapping[str, float] = field(default_factory=dict)
    searched: bool = False
    forced: shading.Forced | None = None
    low: Sequence[float] = ()
    high: Sequence[float] = ()

    @property
    def label(self) -> str:
        """The name, and a word of warning if the run is a search trial."""
        return f"{self.name} (search)".strip() if self.searched else self.name


@dataclass(frozen=True, eq=False)
class Picture:
    """A drawn figure, and what its caption has to tell.

    Attributes:
        has_floor: whether a floor is drawn.
        has_references: whether references are.
        mixed_panels: panels whose lines have other references than each other, so that none are drawn.
        off_scale: values that the scale has no place for.
        shaded: whether grey says how much of its own output a model read.
        has_rows: whether some of it does so in rows above a panel.
    """

    figure: Figure
    has_floor: bool
    has_references: bool
    mixed_panels: int
    off_scale: int
    shaded: bool
    has_rows: bool


@drawing.styled
def small_multiples(curves: Sequence[Line], *, metric: str, title: str) -> Picture:
    """Draws the curves, at most nine a panel."""
    drawn = [value for curve in curves for value in curve.values]
    log = _is_log(metric, drawn)
    off_scale = sum(value <= 0 for value in drawn) if log else 0
    panels = _panels(curves)
    width, height = _size([inside for _, inside in panels])
    rows, columns = grid.shape(len(panels), most_columns=int(WIDEST / width))
    colours = drawing.named_colours({curve.name: curve.rank for curve in curves})
    schedules = [_schedules(inside, colours=colours) for _, inside in panels]
    shaded = any(row.forced.fed_back for inside in schedules for row in inside)
    extra = shading.height(schedules) if shaded else 0.0
    figure = drawing.new_figure(
        width=columns * width + 0.4, height=rows * (height + extra) + 0.6, title=title
    )
    # Longer strings are more tokens an epoch, so that panels share the metric's scale only.
    grid_of_axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid_of_axes.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, (name, inside) in zip(grid_of_axes.flat, panels, strict=False):
        axes.set_title(drawing.broken(name, width=width))
        axes.grid(axis="y")
        axes.xaxis.set_major_formatter(FuncFormatter(drawing.short_count))
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        _draw(axes, inside, colours=colours, log=log)
    if shaded:
        shading.draw(list(grid_of_axes.flat), schedules)
    drawing.plain_ticks(grid_of_axes[0, 0].yaxis, log=log)
    for axes, (_, inside) in zip(grid_of_axes.flat, panels, strict=False):
        _name_lines(axes, inside, colours=colours, height=height, log=log)
    for axes in grid_of_axes[:, 0]:
        axes.set_ylabel(labels.with_unit(metric))
    for axes in grid_of_axes.flat[max(0, len(panels) - columns) : len(panels)]:
        axes.set_xlabel("tokens trained on")
    shared = [bool(_references(inside)) for _, inside in panels]
    given = [any(curve.references for curve in inside) for _, inside in panels]
    return Picture(
        figure,
        has_floor=any(curve.floor is not None for curve in curves),
        has_references=any(shared),
        mixed_panels=sum(given) - sum(shared),
        off_scale=off_scale,
        shaded=shaded,
        has_rows=shaded and any(len(inside) > 1 for inside in schedules),
    )


def _schedules(curves: Sequence[Line], *, colours: dict[str, Any]) -> list[shading.Row]:
    """What the lines of a panel read: one row if they all read the same, else a row a line."""
    rows = [
        shading.Row(curve.forced, name=curve.name, colour=colours[curve.name])
        for curve in curves
        if curve.forced is not None
    ]
    return rows[:1] if all(row.forced.alike(rows[0].forced) for row in rows) else rows


def _size(panels: Sequence[Sequence[Line]]) -> tuple[float, float]:
    """Width and height of a panel, in inches, with room for the names beside it."""
    width, height = (4.8, 3.9) if len(panels) == 1 else (PANEL_WIDTH, PANEL_HEIGHT)
    names = [
        [*(curve.label for curve in inside), *map(reference_lines.short, _references(inside))]
        for inside in panels
    ]
    width += LETTER_WIDTH * max(len(name) for inside in names for name in inside)
    # One more name may be that of the floor.
    return width, max(height, NAME_HEIGHT * (1 + max(len(inside) for inside in names)))


def _references(curves: Sequence[Line]) -> Mapping[str, float]:
    return references.common([curve.references for curve in curves])


def _panels(curves: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    """Title and lines of every panel; one with too many lines is continued in the next."""
    found: list[tuple[str, list[Line]]] = []
    for name in dict.fromkeys(curve.panel for curve in curves):
        inside = [curve for curve in curves if curve.panel == name]
        parts = math.ceil(len(inside) / LINES_A_PANEL)
        size = math.ceil(len(inside) / parts)
        for part in range(parts):
            of = f"({part + 1} of {parts})" if parts > 1 else ""
            title = " ".join(word for word in (name, of) if word)
            found.append((title, inside[part * size : (part + 1) * size]))
    return found


def _is_log(metric: str, values: Iterable[float]) -> bool:
    """Errors fall by factors: what is compared with the truth is always shown so, a loss where it spans enough."""
    numbers = list(values)
    if metric in HIGHER_IS_BETTER or not any(value > 0 for value in numbers):
        return False
    return metric in ZERO_FLOOR or drawing.needs_log(numbers)


def _draw(axes: Axes, curves: Sequence[Line], *, colours: dict[str, Any], log: bool) -> None:
    if log:
        axes.set_yscale("log")
    for curve in curves:
        colour = colours[curve.name]
        _draw_band(axes, curve, colour=colour, log=log)
        values = [value if value > 0 or not log else math.nan for value in curve.values]
        marker = "o" if len(values) <= 30 else ""
        axes.plot(curve.tokens, values, color=colour, lw=1.5, marker=marker, ms=3)
        below = [x for x, y in zip(curve.tokens, curve.values, strict=True) if log and y <= 0]
        if below:
            edge = {"transform": axes.get_xaxis_transform(), "clip_on": False, "zorder": 3}
            axes.plot(below, [0] * len(below), color=colour, marker="v", ms=5, ls="", **edge)
    reference_lines.draw(axes, _references(curves))
    for floor, colour in _floors(curves, colours=colours, log=log).items():
        axes.axhline(floor, color=colour, lw=1.1, ls=(0, (4, 2)), zorder=1)


def _draw_band(axes: Axes, curve: Line, *, colour: Any, log: bool) -> None:
    """Fills between the edges; what a logarithmic scale has no place for ends at its least value."""
    shown = [value for value in (*curve.low, *curve.values, *curve.high) if value > 0 or not log]
    if curve.low and shown:
        low, high = ([max(edge, min(shown)) for edge in edges] for edges in (curve.low, curve.high))
        axes.fill_between(curve.tokens, low, high, color=colour, alpha=0.2, lw=0, zorder=1.5)


def _floors(curves: Sequence[Line], *, colours: dict[str, Any], log: bool) -> dict[float, Any]:
    """Floor -> colour: that of the line that it belongs to, or ink where several share it."""
    shared: dict[float, list[str]] = {}
    for curve in curves:
        if curve.floor is not None and (curve.floor > 0 or not log):
            shared.setdefault(curve.floor, []).append(curve.name)
    return {
        floor: colours[names[0]] if len(names) == 1 < len(curves) else drawing.INK
        for floor, names in shared.items()
    }


def _name_lines(
    axes: Axes, curves: Sequence[Line], *, colours: dict[str, Any], height: float, log: bool
) -> None:
    """Writes names at the lines' ends, those of references, and `floor` where all lines share one."""
    bottom = float(axes.get_ylim()[0])
    ends = [
        drawing.End(
            curve.tokens[-1],
            # Values that a logarithmic scale has no place for are marked at its lower edge.
            curve.values[-1] if curve.values[-1] > 0 or not log else bottom,
            text=curve.label,
            colour=colours[curve.name],
        )
        for curve in curves
        if curve.label
    ]
    ends += reference_lines.ends(axes, _references(curves))
    floors = _floors(curves, colours=colours, log=log)
    if len(floors) == 1:
        right = float(axes.get_xlim()[1])
        ends += [drawing.End(right, floor, text="floor", colour=drawing.INK) for floor in floors]
    drawing.label_line_ends(axes, ends=ends, gap=NAME_HEIGHT / height)
