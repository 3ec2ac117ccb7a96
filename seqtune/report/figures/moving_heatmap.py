"""The heat map on a page with a script: any two compared paths, the others held at values that are chosen.

A tile says its mean, interval and n; pointing at it tells the same with the cell's whole name.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.colors import LogNorm, Normalize, to_hex

from seqtune.report.figures import drawing, grid, moving
from seqtune.report.naming import labels
from seqtune.report.naming.labels import is_missing
from seqtune.report.naming.names import Naming

MOST = 60
"""Most pairs of axes with values of the others that can be chosen from."""
TILE = 74
"""Pixels of a tile's height."""
SHADES = 9
INKS = ("black", "white")
"""Colours of the text in tiles; plotly's own choice has a grey that is too light."""


@dataclass(frozen=True)
class _View:
    """Two paths and the cells that lie on them, every further path and the arm held."""

    x: str
    y: str
    held: str
    cells: pd.DataFrame

    @property
    def name(self) -> str:
        over = f"{self.y} over {self.x}"
        return f"{over}: {self.held}" if self.held else over


def moving_heat_map(
    cells: pd.DataFrame, *, layout: grid.Layout, metric: str, scale: Normalize, naming: Naming
) -> str:
    """As plotly's JSON; the arguments are those of `heatmap.heat_map`."""
    views = list(itertools.islice(_views(cells, layout=layout, naming=naming), MOST))
    traces: list[Any] = []
    for number, view in enumerate(views):
        tiles = [_tiles(view, metric=metric, scale=scale, naming=naming, ink=ink) for ink in INKS]
        for trace in (*tiles, _gaps(view)):
            trace.visible = number == 0
            traces.append(trace)
    first = _axes(views[0], naming=naming)
    made = moving.figure(traces, x="", y="", log=(False, False))
    most = max(len(grid.values(view.cells, path=view.y)) for view in views)
    made.update_layout(
        height=170 + TILE * most,
        xaxis={**first["xaxis"], "showgrid": False, "fixedrange": True, "ticks": ""},
        yaxis={**first["yaxis"], "showgrid": False, "fixedrange": True, "ticks": ""},
        hovermode="closest",
        showlegend=False,
    )
    if len(views) > 1:
        buttons = [_button(number, views=views, naming=naming) for number in range(len(views))]
        made.update_layout(updatemenus=[moving.menu(buttons)])
    return moving.as_json(made)


def _views(cells: pd.DataFrame, *, layout: grid.Layout, naming: Naming) -> Iterator[_View]:
    """The pair of the figure on paper first, then every other; in each every choice of what is held."""
    assert layout.x is not None
    assert layout.y is not None
    paths = (layout.x, layout.y, *layout.panels)
    arms = list(dict.fromkeys(cells["arm"]))
    for x, y in itertools.combinations(paths, 2):
        others = [path for path in paths if path not in (x, y)]
        choices = [grid.values(cells, path=path) for path in others]
        for arm, *chosen in itertools.product(arms, *choices):
            inside = cells[cells["arm"] == arm]
            for path, value in zip(others, chosen, strict=True):
                inside = inside[inside[path] == value]
            if len(inside):
                settings = naming.settings(inside.iloc[0], paths=others)
                yield _View(x, y, ", ".join(filter(None, (arm, settings))), inside)


def _tiles(view: _View, *, metric: str, scale: Normalize, naming: Naming, ink: str) -> Any:
    """Those whose text has this colour: a trace has one."""
    columns, rows = (grid.values(view.cells, path=path) for path in (view.x, view.y))
    shape = (len(rows), len(columns))
    heat = np.full(shape, np.nan)
    texts, hovers = (np.full(shape, "", dtype=object) for _ in range(2))
    for _, cell in view.cells.iterrows():
        if not is_missing(cell["value"]) and _ink(float(cell["value"]), scale=scale) == ink:
            place = rows.index(cell[view.y]), columns.index(cell[view.x])
            heat[place] = _heat(float(cell["value"]), scale=scale)
            texts[place] = _text(cell)
            hovers[place] = _hover(cell, metric=metric, naming=naming)
    low, high = (_heat(float(end), scale=scale) for end in (scale.vmin or 0.0, scale.vmax or 1.0))
    return go.Heatmap(
        x=list(range(len(columns))),
        y=list(range(len(rows))),
        z=[[None if math.isnan(value) else value for value in row] for row in heat.tolist()],
        zmin=low,
        zmax=high,
        colorscale=_colours(),
        xgap=2,
        ygap=2,
        text=texts.tolist(),
        texttemplate="%{text}",
        textfont={"color": ink},
        hovertext=hovers.tolist(),
        hoverinfo="text",
        showscale=ink == INKS[0],
        colorbar=_bar(scale, metric=metric),
    )


def _gaps(view: _View) -> Any:
    """A note where there is no value: no run, or none that has finished."""
    columns, rows = (grid.values(view.cells, path=path) for path in (view.x, view.y))
    notes = {(cell[view.x], cell[view.y]): cell for _, cell in view.cells.iterrows()}
    found: list[tuple[int, int, str]] = []
    for (column, x), (row, y) in itertools.product(enumerate(columns), enumerate(rows)):
        cell = notes.get((x, y))
        if cell is None or is_missing(cell["value"]):
            text = "no run" if cell is None else str(cell["note"]).replace("\n", "<br>")
            found.append((column, row, text))
    return go.Scatter(
        x=[column for column, _, _ in found],
        y=[row for _, row, _ in found],
        text=[text for _, _, text in found],
        mode="text",
        textfont={"size": 11, "color": drawing.MUTED},
        hoverinfo="skip",
    )


def _text(cell: "pd.Series[Any]") -> str:
    interval = labels.interval(cell["low"], high=cell["high"])
    note = str(cell["note"]).replace("\n", " ")
    lines = [f"<b>{labels.number(cell['value'])}</b>", moving.text(interval), moving.text(note)]
    return "<br>".join(filter(None, lines))


def _hover(cell: "pd.Series[Any]", *, metric: str, naming: Naming) -> str:
    interval = labels.interval(cell["low"], high=cell["high"])
    name = moving.text(naming.cells[cell["cell"]])
    about = moving.told({metric: cell["value"], "95 % interval": interval})
    note = moving.text(str(cell["note"]).replace("\n", " "))
    return f"<b>{name}</b><br>{about}<br>{note}"


def _axes(view: _View, *, naming: Naming) -> dict[str, dict[str, Any]]:
    return {"xaxis": _axis(view.cells, view.x, naming), "yaxis": _axis(view.cells, view.y, naming)}


def _axis(cells: pd.DataFrame, path: str, naming: Naming) -> dict[str, Any]:
    values = grid.values(cells, path=path)
    return {
        "title": {"text": moving.text(path)},
        "tickvals": list(range(len(values))),
        "ticktext": [moving.text(naming.value(value, path=path)) for value in values],
        "range": [-0.5, len(values) - 0.5],
    }


def _button(number: int, *, views: Sequence[_View], naming: Naming) -> dict[str, Any]:
    axes = _axes(views[number], naming=naming)
    changes = {
        f"{axis}.{name}": value for axis, given in axes.items() for name, value in given.items()
    }
    shown = [place == number for place in range(len(views)) for _ in (*INKS, "gaps")]
    return {
        "label": moving.text(views[number].name),
        "method": "update",
        "args": [{"visible": shown}, changes],
    }


def _ink(value: float, *, scale: Normalize) -> str:
    return drawing.text_colour(drawing.COLOUR_MAP(float(scale(value))))


def _heat(value: float, *, scale: Normalize) -> float:
    """Where a value lies on the colour scale, in its own units or their logarithms."""
    return math.log10(value) if isinstance(scale, LogNorm) else value


def _colours() -> list[list[Any]]:
    """Those of the figure on paper."""
    shares = [shade / (SHADES - 1) for shade in range(SHADES)]
    return [[share, to_hex(drawing.COLOUR_MAP(share))] for share in shares]


def _bar(scale: Normalize, *, metric: str) -> dict[str, Any]:
    title = f"{moving.text(labels.with_unit(metric))}<br>{labels.direction(metric)}"
    bar: dict[str, Any] = {
        "title": {"text": title, "side": "right", "font": {"size": 13}},
        "outlinewidth": 0,
        "thickness": 18,
    }
    if not isinstance(scale, LogNorm):
        return bar
    low, high = (float(end) for end in (scale.vmin or 1.0, scale.vmax or 1.0))
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    inside = [tick for tick in ticks if low <= tick <= high]
    return bar | {
        "tickvals": [math.log10(tick) for tick in inside],
        "ticktext": [f"{tick:g}" for tick in inside],
    }
