"""Learning curves whose axis can be changed and whose cells can be clicked away."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from seqtune.config.nested import assign
from seqtune.report.data.bands import Band
from seqtune.report.data.costs import COSTS
from seqtune.report.figures import drawing, moving
from seqtune.report.figures.moving_shading import Shading, in_turn, shaded
from seqtune.report.naming import labels
from seqtune.report.naming.names import Naming
from seqtune.training.measurement import HIGHER_IS_BETTER, ZERO_FLOOR

NAME, NAMES_A_LINE = 24, 3
"""Pixels of a line of names below the figure, and how many stand in it on a narrow page."""
ROW, MOST_ROWS = 12, 150
"""Pixels of a row of greys, and of all of them at most."""


@dataclass(frozen=True)
class _Trace:
    """What is drawn, with what its x is by every cost, and for bars where they begin."""

    drawn: Any
    places: Mapping[str, Sequence[float | None]]
    bases: Mapping[str, list[float]] | None = None


def moving_curves(found: Sequence[Band], *, metric: str, naming: Naming) -> str:
    """A mean with its band and its floor for every cell, as plotly's JSON; the axis is tokens at first."""
    colours = moving.colours(len(found))
    traces = [
        trace
        for band, colour in zip(found, colours, strict=True)
        for trace in _traces(band, metric=metric, colour=colour, name=naming.brief[band.cell])
    ]
    values = [value for band in found for value in band.mean]
    log = metric not in HIGHER_IS_BETTER and (
        (metric in ZERO_FLOOR and any(value > 0 for value in values)) or drawing.needs_log(values)
    )
    known = [name for name in COSTS if _is_known(found, cost=name)]
    shading = shaded(found, names=naming.brief, colours=colours, costs=known)
    traces = [*traces, *_shading_traces(shading, costs=known)]
    made = moving.figure(
        [trace.drawn for trace in traces],
        x=COSTS["tokens"],
        y=labels.with_unit(metric),
        log=(False, log),
    )
    made.update_layout(_sizes(len(found), rows=len(shading.rows) if shading else 0))
    made.update_layout(assign({}, in_turn(shading, cost=known[0])))
    made.update_layout(
        updatemenus=[
            moving.menu([_button(name, traces=traces, shading=shading) for name in known]),
            moving.menu(_scales(log=log), at=0.36),
        ]
    )
    return moving.as_json(made)


def _sizes(cells: int, *, rows: int) -> dict[str, Any]:
    """The figure's height with room for its rows and the names below it, which follow after the axis."""
    names = NAME * math.ceil(cells / NAMES_A_LINE)
    curves = moving.HEIGHT - 170 + min(ROW * rows, MOST_ROWS)
    return {"height": curves + 170 + names, "legend": {"y": -64 / curves}}


def _shading_traces(shading: Shading | None, *, costs: Sequence[str]) -> Iterator[_Trace]:
    """Rows first, then what explains their greys in the legend."""
    if shading is None:
        return
    for row in shading.rows:
        yield _Trace(row.drawn, row.widths, bases=row.bases)
    for key in shading.keys:
        yield _Trace(key, {cost: [None] for cost in costs})


def _traces(band: Band, *, metric: str, colour: str, name: str) -> Iterator[_Trace]:
    """The band's edges, the mean, the floor: one click takes all of them away."""
    label = moving.text(f"{name} (search)" if band.searched else name)
    shared: dict[str, Any] = {"legendgroup": band.cell, "name": label}
    quiet: dict[str, Any] = {**shared, "showlegend": False, "hoverinfo": "skip", "mode": "lines"}
    places = dict(band.places)
    if band.n > 1:
        line = {"width": 0, "color": colour}
        for edge, fill in ((band.low, "none"), (band.high, "tonexty")):
            fillcolor = moving.faint(colour)
            yield _Trace(
                go.Scatter(
                    x=places["tokens"], y=edge, line=line, fill=fill, fillcolor=fillcolor, **quiet
                ),
                places,
            )
    if band.floor is not None:
        ends = {cost: [0.0, values[-1]] for cost, values in places.items()}
        dashes = {"color": colour, "width": 1, "dash": "dash"}
        yield _Trace(go.Scatter(x=ends["tokens"], y=[band.floor] * 2, line=dashes, **quiet), ends)
    yield _Trace(
        go.Scatter(
            x=places["tokens"],
            y=band.mean,
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"size": 5},
            hovertext=_hovers(band, metric=metric, label=label),
            hoverinfo="text",
            **shared,
        ),
        places,
    )


def _hovers(band: Band, *, metric: str, label: str) -> list[str]:
    several = band.n > 1
    return [
        f"<b>{label}</b><br>"
        + moving.told(
            {
                metric: band.mean[row],
                "least": band.low[row] if several else None,
                "greatest": band.high[row] if several else None,
                "floor": band.floor,
                "n": band.n,
                "epoch": epoch,
                **{COSTS[name]: band.places[name][row] for name in COSTS},
                "forcing": band.truths[row],
            }
        )
        for row, epoch in enumerate(band.epochs)
    ]


def _is_known(found: Sequence[Band], *, cost: str) -> bool:
    return any(math.isfinite(value) for band in found for value in band.places[cost])


def _button(cost: str, *, traces: Sequence[_Trace], shading: Shading | None) -> dict[str, Any]:
    changes: dict[str, Any] = {"x": [trace.places[cost] for trace in traces]}
    if shading is not None:
        changes["base"] = [trace.bases[cost] if trace.bases else None for trace in traces]
    return {
        "label": COSTS[cost],
        "method": "update",
        "args": [
            changes,
            {
                "xaxis.title.text": COSTS[cost],
                "xaxis.autorange": True,
                **in_turn(shading, cost=cost),
            },
        ],
    }


def _scales(*, log: bool) -> list[dict[str, Any]]:
    """The scale that is shown, then the other."""
    words = {True: "logarithmic", False: "linear"}
    return [
        {"label": words[kind], "method": "relayout", "args": [_changes(log=kind)]}
        for kind in (log, not log)
    ]


def _changes(*, log: bool) -> dict[str, Any]:
    return {f"yaxis.{name}": value for name, value in moving.scale(log=log).items()}
