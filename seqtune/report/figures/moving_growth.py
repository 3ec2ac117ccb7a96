"""Curves beyond the training on a page with a script: a panel a training, cells that can be clicked away."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from matplotlib.colors import to_hex

from seqtune.report.figures import drawing, moving
from seqtune.report.figures.growth_curves import Curve, Part, floors, is_log
from seqtune.report.figures.growth_drawing import markers_of
from seqtune.report.naming import labels

PANEL_HEIGHT, AROUND = 300, 150
"""Pixels of a panel, and of what stands above and below all of them."""
BELOW = 70
"""Pixels from the lowest panel to the names."""
SYMBOLS: dict[str, str] = dict(
    zip(
        drawing.MARKERS,
        (
            "circle",
            "square",
            "triangle-up",
            "diamond",
            "triangle-down",
            "cross",
            "x",
            "triangle-left",
            "triangle-right",
        ),
        strict=True,
    )
)
"""Plotly's names for the markers of the figures on paper."""


def moving_growth(
    curves: Sequence[Curve], *, borders: Mapping[str, float], metric: str, x: str, few: bool
) -> str:
    """As plotly's JSON; the arguments are those of `growth_drawing.draw`."""
    panels = list(dict.fromkeys(curve.panel for curve in curves))
    log = is_log(curves, metric=metric)
    figure = moving.figure([], x="", y="", log=(False, log))
    gap = 0.35 / len(panels) if len(panels) > 1 else 0.0
    figure.set_subplots(
        rows=len(panels),
        cols=1,
        shared_yaxes="all",
        vertical_spacing=gap,
        subplot_titles=[moving.text(panel) for panel in panels],
    )
    ranks = {curve.name: curve.rank for curve in curves}
    colours = {name: to_hex(each) for name, each in drawing.named_colours(ranks).items()}
    symbols = {name: SYMBOLS[marker] for name, marker in markers_of(curves).items()}
    told: set[str] = set()
    for row, panel in enumerate(panels, start=1):
        mine = [curve for curve in curves if curve.panel == panel]
        traces = [
            *_floors(mine, colours=colours),
            *_lines(mine, colours=colours, symbols=symbols, metric=metric, x=x),
        ]
        for trace in traces:
            trace.showlegend = bool(trace.name) and trace.name not in told
            told.add(trace.name)
            figure.add_trace(trace, row=row, col=1)
        places = [place for curve in mine for part in curve.parts for place in part.x]
        wide = not few and drawing.needs_log(places)
        ticks = {"tickvals": sorted(set(places))} if few else {}
        figure.update_xaxes({**moving.axis(x, log=wide), **ticks}, row=row, col=1)
        figure.update_yaxes(moving.axis(labels.with_unit(metric), log=log), row=row, col=1)
        axes = _axes(row)
        if panel in borders:
            _border(figure, borders[panel], axes=axes, log=wide)
        if log:
            _mark_off_scale(figure, mine, colours=colours, axes=axes, log=wide)
    height = PANEL_HEIGHT * len(panels)
    figure.update_layout(height=height + AROUND, legend_y=-BELOW / height)
    return moving.as_json(figure)


def _lines(
    curves: Sequence[Curve],
    *,
    colours: Mapping[str, str],
    symbols: Mapping[str, str],
    metric: str,
    x: str,
) -> Iterator[Any]:
    for curve in curves:
        colour = colours[curve.name]
        for part in curve.parts:
            yield go.Scatter(
                x=part.x,
                y=part.mean,
                error_y=_interval(part, colour=colour),
                mode="lines+markers",
                line={"color": colour, "width": 2},
                marker={"symbol": symbols[part.name], "size": 8},
                name=moving.text(curve.name),
                legendgroup=curve.name,
                hovertext=[*_hovers(curve, part=part, metric=metric, x=x)],
                hoverinfo="text",
            )


def _interval(part: Part, *, colour: str) -> dict[str, Any]:
    """Nothing where there is none."""
    up = [high - mean for high, mean in zip(part.high, part.mean, strict=True)]
    down = [mean - low for mean, low in zip(part.mean, part.low, strict=True)]
    finite = [[each if math.isfinite(each) else 0.0 for each in lengths] for lengths in (up, down)]
    return {
        "type": "data",
        "symmetric": False,
        "array": finite[0],
        "arrayminus": finite[1],
        "color": colour,
        "thickness": 1,
        "width": 3,
    }


def _hovers(curve: Curve, *, part: Part, metric: str, x: str) -> Iterator[str]:
    for place, mean, low, high, best in zip(
        part.x, part.mean, part.low, part.high, part.best, strict=True
    ):
        interval = f"{low:.4g} to {high:.4g}" if math.isfinite(low) else ""
        said = {
            "strings of": part.name,
            x: place,
            metric: mean,
            "95 % interval": interval,
            "best possible": best if math.isfinite(best) else "",
        }
        yield f"<b>{moving.text(curve.name or curve.panel)}</b><br>{moving.told(said)}"


def _floors(curves: Sequence[Curve], *, colours: Mapping[str, str]) -> Iterator[Any]:
    """Dashed, in the colour of their cell, or in ink where cells share one."""
    for floor, names in floors(curves).items():
        shared = len(names) > 1 or len(curves) == 1
        colour = drawing.INK if shared else colours[names[0]]
        for stretch in floor:
            x, y = zip(*stretch, strict=True)
            yield go.Scatter(
                x=x,
                y=y,
                mode="lines",
                line={"color": colour, "width": 1.5, "dash": "dash"},
                name="best possible",
                legendgroup="best possible",
                hoverinfo="skip",
            )


def _axes(row: int) -> dict[str, str]:
    """The axes of a panel: along it, and from its lower to its upper edge."""
    number = "" if row == 1 else str(row)
    return {"xref": f"x{number}", "yref": f"y{number} domain"}


def _border(figure: go.Figure, border: float, *, axes: Mapping[str, str], log: bool) -> None:
    """The dashed line where the training ends."""
    line = {"color": drawing.MUTED, "width": 1, "dash": "dash"}
    figure.add_shape(type="line", x0=border, x1=border, y0=0, y1=1, line=line, **axes)
    figure.add_annotation(
        x=_on_axis(border, log=log),
        y=1,
        text="trained",
        textangle=-90,
        xanchor="right",
        yanchor="top",
        showarrow=False,
        font={"color": drawing.MUTED, "size": 11},
        **axes,
    )


def _mark_off_scale(
    figure: go.Figure,
    curves: Sequence[Curve],
    *,
    colours: Mapping[str, str],
    axes: Mapping[str, str],
    log: bool,
) -> None:
    """Triangles at the lower edge, for what a logarithmic scale has no place for."""
    below = (
        (curve, place, mean)
        for curve in curves
        for part in curve.parts
        for place, mean in zip(part.x, part.mean, strict=True)
        if mean <= 0
    )
    for curve, place, mean in below:
        figure.add_annotation(
            x=_on_axis(place, log=log),
            y=0,
            text="\N{BLACK DOWN-POINTING TRIANGLE}",
            hovertext=moving.text(f"{curve.name or curve.panel}: {mean:.3g}"),
            showarrow=False,
            font={"color": colours[curve.name], "size": 12},
            **axes,
        )


def _on_axis(place: float, *, log: bool) -> float:
    """Where plotly wants an annotation: unlike lines, by the power of ten."""
    return math.log10(place) if log else place
