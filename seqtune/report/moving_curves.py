"""Learning curves whose axis can be changed and whose cells can be clicked away."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from seqtune.report import drawing, labels, moving
from seqtune.report.bands import Band
from seqtune.report.costs import COSTS
from seqtune.report.naming import Naming
from seqtune.training.measurement import COMPARED, HIGHER_IS_BETTER


@dataclass(frozen=True)
class _Trace:
    """A drawn line with what its x is by every cost."""

    drawn: Any
    places: dict[str, list[float]]


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
        (metric in COMPARED and any(value > 0 for value in values)) or drawing.needs_log(values)
    )
    made = moving.figure(
        [trace.drawn for trace in traces],
        x=COSTS["tokens"],
        y=labels.with_unit(metric),
        log=(False, log),
    )
    known = [name for name in COSTS if _is_known(found, cost=name)]
    made.update_layout(
        updatemenus=[
            moving.menu([_button(name, traces=traces) for name in known]),
            moving.menu(_scales(log=log), at=0.36),
        ]
    )
    return moving.as_json(made)


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


def _button(cost: str, *, traces: Sequence[_Trace]) -> dict[str, Any]:
    return {
        "label": COSTS[cost],
        "method": "update",
        "args": [
            {"x": [trace.places[cost] for trace in traces]},
            {"xaxis.title.text": COSTS[cost], "xaxis.autorange": True},
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
