"""How much of its own output a model read, on a page with a script: grey behind the curves, or rows above them.

Where all cells read the same at the same places there is one grey background; else each has a row in the strip
above, which goes with its curve when that is clicked away.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from matplotlib.colors import to_hex

from seqtune.report.data.bands import Band
from seqtune.report.figures import drawing, moving, shading
from seqtune.report.figures.shading import Forced

STEP = 0.02
"""Epochs in which the probability of reading the truth differs by less are drawn as one."""
ROW, MOST = 0.035, 0.35
"""Of the figure's height: a row, and all of them at most."""
GREYS = {"own tokens read: none": 0.0, "half": 0.5, "all": 1.0}


@dataclass(frozen=True)
class Rows:
    """A cell's row: rectangles side by side.

    Attributes:
        drawn: as plotly has it.
        bases: by cost, where each rectangle begins; empty where nothing is drawn in rows.
        widths: likewise.
    """

    drawn: Any
    bases: Mapping[str, list[float]]
    widths: Mapping[str, list[float]]


@dataclass(frozen=True)
class Shading:
    """What is shaded.

    Attributes:
        rows: of every cell that says what it read.
        keys: traces that explain the greys in the legend.
        layouts: by cost, what of the figure's layout depends on it.
    """

    rows: tuple[Rows, ...]
    keys: tuple[Any, ...]
    layouts: Mapping[str, Mapping[str, Any]]


def shaded(
    found: Sequence[Band], *, names: Mapping[str, str], colours: Sequence[str], costs: Sequence[str]
) -> Shading | None:
    """None where every model read nothing but the truth, or nobody measured what it read.

    Args:
        found: the curves.
        names: what each cell is called.
        colours: of the curves.
        costs: what the axis may be, by their names in `COSTS`; the first is shown first.
    """
    measured = [
        (band, colour)
        for band, colour in zip(found, colours, strict=True)
        if band.truths and all(map(math.isfinite, band.truths))
    ]
    if not any(truth < 1 for band, _ in measured for truth in band.truths):
        return None
    bands = [band for band, _ in measured]
    alike = {cost: _alike(bands, cost=cost) for cost in costs}
    layouts = {
        cost: _layout(bands[0] if alike[cost] else None, cost=cost, rows=len(bands))
        for cost in costs
    }
    ticks = [f'<span style="color:{colour}">■</span>' for _, colour in measured]
    layouts[costs[0]] = {**layouts[costs[0]], **_strip(ticks)}
    rows = tuple(
        _row(band, place=place, name=names[band.cell], alike=alike, first=costs[0])
        for place, band in enumerate(bands)
    )
    return Shading(rows, keys=tuple(_keys()), layouts=layouts)


def _alike(bands: Sequence[Band], *, cost: str) -> bool:
    every = [Forced(tuple(band.places[cost]), tuple(band.truths)) for band in bands]
    return all(each.alike(every[0]) for each in every)


def _layout(behind: Band | None, *, cost: str, rows: int) -> dict[str, Any]:
    """The curves' height, and the grey behind them where one band stands for all."""
    share = 0.0 if behind is not None else min(ROW * rows, MOST)
    return {
        "shapes": [] if behind is None else [*_background(behind, cost=cost)],
        "yaxis.domain": [0.0, 1.0 - share - (0.03 if share else 0.0)],
        "yaxis2.domain": [1.0 - share, 1.0] if share else [0.99, 1.0],
        "yaxis2.visible": behind is None,
    }


def _strip(ticks: Sequence[str]) -> dict[str, Any]:
    """The axis of the rows: the colour of each row's curve stands before it."""
    return {
        "barmode": "overlay",
        "yaxis2.range": [len(ticks) - 0.5, -0.5],
        "yaxis2.tickvals": list(range(len(ticks))),
        "yaxis2.ticktext": list(ticks),
        "yaxis2.fixedrange": True,
        "yaxis2.showgrid": False,
        "yaxis2.zeroline": False,
        "yaxis2.anchor": "x",
    }


def _row(band: Band, *, place: int, name: str, alike: Mapping[str, bool], first: str) -> Rows:
    stretches = list(_stretches(band.truths))
    edges = {
        cost: [] if one else [_edges(band, stretch=each, cost=cost) for each in stretches]
        for cost, one in alike.items()
    }
    bases = {cost: [low for low, _ in each] for cost, each in edges.items()}
    widths = {cost: [high - low for low, high in each] for cost, each in edges.items()}
    drawn = go.Bar(
        orientation="h",
        y=[place] * len(stretches),
        base=bases[first],
        x=widths[first],
        width=0.78,
        yaxis="y2",
        marker={"color": [_colour(band, each) for each in stretches], "line": {"width": 0}},
        hovertext=[_hover(band, stretch=each, name=name) for each in stretches],
        hoverinfo="text",
        legendgroup=band.cell,
        showlegend=False,
        name=moving.text(name),
    )
    return Rows(drawn, bases=bases, widths=widths)


def _stretches(truths: Sequence[float]) -> Iterator[range]:
    """Neighbouring epochs, as places in the lists, that look the same."""
    start = 0
    for place in range(1, len(truths) + 1):
        if place == len(truths) or abs(truths[place] - truths[start]) >= STEP:
            yield range(start, place)
            start = place


def _edges(band: Band, *, stretch: range, cost: str) -> tuple[float, float]:
    places = band.places[cost]
    return (places[stretch.start - 1] if stretch.start else 0.0), places[stretch.stop - 1]


def _colour(band: Band, stretch: range) -> str:
    truths = [band.truths[place] for place in stretch]
    return to_hex(shading.grey(1 - math.fsum(truths) / len(truths)))


def _hover(band: Band, *, stretch: range, name: str) -> str:
    ends = list(dict.fromkeys((band.epochs[stretch[0]], band.epochs[stretch[-1]])))
    truths = list(dict.fromkeys((band.truths[stretch[0]], band.truths[stretch[-1]])))
    epochs = " to ".join(map(str, ends))
    read = " to ".join(f"{truth:.3g}" for truth in truths)
    return f"<b>{moving.text(name)}</b><br>" + moving.told({"epoch": epochs, "forcing": read})


def _background(band: Band, *, cost: str) -> Iterator[dict[str, Any]]:
    for stretch in _stretches(band.truths):
        low, high = _edges(band, stretch=stretch, cost=cost)
        yield {
            "type": "rect",
            "layer": "below",
            **{"xref": "x", "x0": low, "x1": high, "yref": "y domain", "y0": 0, "y1": 1},
            "fillcolor": _colour(band, stretch),
            "line": {"width": 0},
        }
    for border in Forced(tuple(band.places[cost]), tuple(band.truths)).borders():
        yield {
            "type": "line",
            "layer": "below",
            **{"xref": "x", "x0": border, "x1": border, "yref": "y domain", "y0": 0, "y1": 1},
            "line": {"color": drawing.MUTED, "width": 1, "dash": "dot"},
        }


def _keys() -> Iterator[Any]:
    for name, share in GREYS.items():
        line = {"color": drawing.MUTED, "width": 1}
        marker = {
            "symbol": "square",
            "size": 11,
            "color": to_hex(shading.grey(share)),
            "line": line,
        }
        yield go.Scatter(
            x=[None], y=[None], mode="markers", marker=marker, name=name, hoverinfo="skip"
        )


def in_turn(shading: Shading | None, *, cost: str) -> Mapping[str, Any]:
    """What of the layout changes when the axis does; nothing where nothing is shaded."""
    return {} if shading is None else shading.layouts[cost]
