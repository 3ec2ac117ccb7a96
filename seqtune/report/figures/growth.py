"""How far strings go beyond the training: a panel a training, a line a cell."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from seqtune.report.figures import theme
from seqtune.report.naming import labels
from seqtune.training.measurement import HIGHER_IS_BETTER


@dataclass(frozen=True)
class Part:
    """A stretch of a cell's curve: what it scored on strings of one task.

    Attributes:
        name: of the task; empty where all parts are of one kind.
        x: places in ascending order.
        mean: by place, with `low` and `high`; NaN where there is no interval.
        best: the best possible value there; NaN where it is not known.
    """

    name: str
    x: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    best: Sequence[float]


@dataclass(frozen=True)
class Curve:
    """A cell's curve: the panel that it belongs to, what tells it apart there, and its parts."""

    panel: str
    name: str
    parts: tuple[Part, ...]


def is_log(curves: Sequence[Curve], *, metric: str) -> bool:
    """Return whether the metric's scale is logarithmic: errors fall by factors; shares do not."""
    return metric not in HIGHER_IS_BETTER and any(mean > 0 for mean in _means(curves))


def off_scale(curves: Sequence[Curve], *, metric: str) -> int:
    """Return how many values a logarithmic scale has no place for."""
    return sum(mean <= 0 for mean in _means(curves)) if is_log(curves, metric=metric) else 0


def has_floor(curves: Sequence[Curve]) -> bool:
    """Return whether a best possible value is known anywhere."""
    return any(
        math.isfinite(best) for curve in curves for part in curve.parts for best in part.best
    )


def growth(
    curves: Sequence[Curve],
    *,
    borders: Mapping[str, float],
    metric: str,
    x: str,
    title: str,
    few: bool,
) -> theme.Spec:
    """Return the curves.

    Args:
        curves: at most nine a panel.
        borders: by panel, how far the training went; a panel without it has no line there.
        metric: the y axis.
        x: what is written at the x axis.
        title: of the whole figure.
        few: whether x has few values, each of which has a tick.
    """
    log = is_log(curves, metric=metric)
    least = min((mean for mean in _means(curves) if mean > 0 or not log), default=1.0)
    frame = pd.DataFrame(_rows(curves, borders=borders, log=log, edge=least / 2))
    names, parts = list(dict.fromkeys(frame["name"])), list(dict.fromkeys(frame["part"]))
    base = alt.Chart(frame)
    shown = theme.toggle("name", names=names) if len(names) > 1 else None
    mine = base.transform_filter(shown) if shown else base
    places = sorted(set(frame["x"]))
    wide = not few and theme.needs_log(places)
    ticks: dict[str, Any] = {"values": places} if few else {"tickCount": 5}
    if wide:
        ticks = {"values": theme.log_ticks(places)}
    across = alt.X(
        "x:Q",
        title=x,
        scale=alt.Scale(type="log" if wide else "linear", zero=False, nice=False, padding=14),
        axis=alt.Axis(format=".3~s", **ticks),
    )
    y = alt.Y("mean:Q", title=labels.with_unit(metric), **theme.value_axis(_means(curves), log=log))
    color = theme.colour("name", names=names)
    shape = alt.Shape(
        "part:N",
        scale=alt.Scale(domain=parts),
        legend=theme.legend(parts) if len(parts) > 1 else None,
    )
    one = {"detail": "part:N"}
    line = (
        mine.transform_filter("datum.on_scale")
        .mark_line(strokeWidth=1.8)
        .encode(across, y, color, **one)
    )
    line = line.add_params(shown) if shown else line
    tooltip = [
        "name",
        "part",
        "x",
        *(alt.Tooltip(name, format=".4g") for name in ("mean", "low", "high", "best")),
    ]
    layers = [
        base.transform_filter("isValid(datum.border)")
        .transform_aggregate(border="min(border)", groupby=["panel"])
        .mark_rule(strokeDash=[4, 3], style="muted")
        .encode(alt.X("border:Q")),
        base.transform_filter("isValid(datum.border)")
        .transform_aggregate(border="min(border)", groupby=["panel"])
        .mark_text(angle=270, align="left", dy=-5, style="muted-text")
        .encode(alt.X("border:Q"), y=alt.value(216), text=alt.value("trained")),
        mine.transform_filter("isValid(datum.best)")
        .mark_line(strokeDash=[4, 2], strokeWidth=1.2)
        .encode(across, alt.Y("best:Q"), color, **one),
        line,
        mine.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1.2, opacity=0.8)
        .encode(across, alt.Y("low:Q"), alt.Y2("high:Q"), color),
        mine.transform_filter("datum.on_scale")
        .mark_point(size=45, filled=True, opacity=1)
        .encode(across, y, color, shape, tooltip=tooltip),
        mine.transform_filter("!datum.on_scale")
        .mark_point(size=45, filled=True, opacity=1, shape="triangle-down")
        .encode(across, color=color, y=alt.value(220), tooltip=tooltip),
    ]
    panels = list(dict.fromkeys(curve.panel for curve in curves))
    width = 300 if len(panels) > 1 else 520
    chart: Any = alt.layer(*layers).properties(width=width, height=220)
    if panels != [""]:
        # Lengths differ much from panel to panel, so that they share the metric's scale only.
        facet = alt.Facet("panel:N", title=None, sort=panels)
        columns = theme.columns_of(len(panels), width=width + 50)
        chart = chart.facet(facet, columns=columns).resolve_scale(
            x="shared" if few else "independent"
        )
    return theme.specification(chart, title=title)


def _means(curves: Sequence[Curve]) -> list[float]:
    return [mean for curve in curves for part in curve.parts for mean in part.mean]


def _rows(
    curves: Sequence[Curve], *, borders: Mapping[str, float], log: bool, edge: float
) -> Iterator[dict[str, Any]]:
    """A row a value; an interval or floor that leaves a logarithmic scale ends at its edge."""
    for curve in curves:
        for part in curve.parts:
            values = zip(part.x, part.mean, part.low, part.high, part.best, strict=True)
            for x, mean, low, high, best in values:
                yield {
                    "panel": curve.panel,
                    "name": curve.name,
                    "part": part.name,
                    "x": x,
                    "mean": mean,
                    "low": max(low, edge) if log and math.isfinite(low) else low,
                    "high": max(high, edge) if log and math.isfinite(high) else high,
                    "best": best if best > 0 or not log else math.nan,
                    "border": borders.get(curve.panel, math.nan),
                    "on_scale": mean > 0 or not log,
                }
