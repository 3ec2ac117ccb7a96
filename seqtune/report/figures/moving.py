"""Figures that a page's script draws: what all of them share. They are plotly's, built of its own objects."""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from seqtune.report.figures import drawing
from seqtune.report.naming import labels

GRID = "#e3e3e3"
HEIGHT = 480
"""Pixels of a figure that asks for no other."""
FAINT = 0.16
"""How much of its colour a band has."""


def figure(traces: Iterable[Any], *, x: str, y: str, log: tuple[bool, bool]) -> go.Figure:
    """A figure with named axes, its names to be clicked on below it.

    Args:
        traces: what is drawn.
        x: what is written at the axis.
        y: likewise.
        log: whether x is logarithmic, and whether y is.
    """
    made = go.Figure(list(traces))
    made.update_layout(
        template="none",
        font={"family": "system-ui, sans-serif", "size": 13, "color": drawing.INK},
        margin={"l": 64, "r": 16, "t": 56, "b": 56},
        hoverlabel={"align": "left"},
        legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0},
        paper_bgcolor="#ffffff",
        plot_bgcolor="#ffffff",
        xaxis=axis(x, log=log[0]),
        yaxis=axis(y, log=log[1]),
    )
    return made


def axis(title: str, *, log: bool = False) -> dict[str, Any]:
    """An axis as plotly takes it."""
    return {
        "title": {"text": text(title), "font": {"size": 13}, "standoff": 10},
        "gridcolor": GRID,
        "zeroline": False,
        "automargin": True,
        **scale(log=log),
    }


def scale(*, log: bool) -> dict[str, Any]:
    """What of an axis depends on its scale."""
    # Plotly's own choice leaves the zeros out between the powers, and writes 0.0001 as 100µ.
    return {
        "type": "log" if log else "linear",
        "tickformat": "~g" if log else "",
        "dtick": "D2" if log else None,
    }


def menu(buttons: Sequence[dict[str, Any]], *, at: float = 0.0) -> dict[str, Any]:
    """A choice above the figure, from its left side on."""
    return {
        "type": "dropdown",
        "buttons": list(buttons),
        "direction": "down",
        "showactive": True,
        "x": at,
        "xanchor": "left",
        "y": 1,
        "yanchor": "bottom",
        "bgcolor": "#ffffff",
        "bordercolor": GRID,
        "pad": {"b": 12},
    }


def colours(count: int) -> list[str]:
    """Those of the figures on paper, in the same order."""
    return list(map(str, drawing.distinct_colours(count)))


def faint(colour: str) -> str:
    """A colour of `colours` as a band's."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {FAINT})"


def text(given: object) -> str:
    """What a person wrote, as plotly shows it: it reads some tags."""
    return html.escape(str(given), quote=False)


def told(values: Mapping[str, object]) -> str:
    """Lines of a hover text: `what: value`; what is missing is left out."""
    lines = {text(name): _told(value) for name, value in values.items()}
    return "<br>".join(f"{name}: {value}" for name, value in lines.items() if value)


def _told(value: object) -> str:
    return text(value) if isinstance(value, str) else text(labels.number(value, digits=4))


def as_json(made: go.Figure) -> str:
    """As a page's script reads it."""
    return str(made.to_json())
