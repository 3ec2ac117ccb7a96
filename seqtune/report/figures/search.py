"""The search: scores over every tuned value, and all values of a trial side by side."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from seqtune.report.data.search_trials import SearchTrial
from seqtune.report.figures import theme
from seqtune.report.figures.coordinates import MISSING, Axis
from seqtune.report.naming import labels

Cells = Mapping[str, Sequence[SearchTrial]]
"""Name of a cell -> its trials."""


def slices(
    cells: Cells, *, axes: Mapping[str, Axis], score: Axis, metric: str, title: str
) -> theme.Spec:
    """Return a panel a tuned path, a point a trial, a colour a cell.

    Args:
        cells: what is drawn.
        axes: of the paths.
        score: of the metric.
        metric: what a score is.
        title: of the figure.
    """
    rows = [
        {
            "name": name,
            "run": trial.run,
            "score": trial.score,
            # A path has a dot, which would be read as a field of a field.
            **{
                f"x{place}": _text(trial.values.get(path), axes[path])
                for place, path in enumerate(axes)
            },
        }
        for name, trials in cells.items()
        for trial in trials
    ]
    frame, names = pd.DataFrame(rows), list(cells)
    color = theme.colour("name", names=names)
    y = theme.value_axis(frame["score"], log=score.log)
    shown = theme.toggle("name", names=names)
    columns = theme.columns_of(len(axes), width=260)
    panels: list[Any] = []
    for place, axis in enumerate(axes.values()):
        field = f"x{place}"
        panel = (
            alt.Chart(frame)
            .transform_filter(f"isValid(datum.{field})")
            .mark_point(size=45, filled=True, opacity=0.75)
            .encode(
                _x(field, axis),
                alt.Y(
                    "score:Q", title=labels.with_unit(metric) if place % columns == 0 else None, **y
                ),
                color,
                tooltip=[
                    "name",
                    "run",
                    alt.Tooltip("score", format=".4g"),
                    alt.Tooltip(field, title=axis.title),
                ],
            )
            .properties(width=210, height=200)
        )
        if len(names) > 1:
            panel = panel.transform_filter(shown)
            panel = panel.add_params(shown) if place == 0 else panel
        panels.append(panel)
    chart = alt.concat(*panels, columns=columns)
    return theme.specification(chart, title=title)


def _text(value: Any, axis: Axis) -> Any:
    """A number as it is, any other value by its name."""
    return dict(axis.names).get(value, None) if axis.names else value


def _x(field: str, axis: Axis) -> alt.X:
    if axis.names:
        names = [name for _, name in axis.names]
        ticks = alt.Axis(labelAngle=-30 if max(map(len, names)) * len(names) > 30 else 0)
        return alt.X(field, type="nominal", title=axis.title, sort=names, axis=ticks)
    options = theme.value_axis([axis.low, axis.high], log=axis.log)
    return alt.X(field, type="quantitative", title=axis.title, **options)


def parallel(
    cells: Cells, *, axes: Mapping[str, Axis], score: Axis, title: str, higher: bool
) -> theme.Spec:
    """Return an axis a tuned path and one for the score, and a line a trial of the chosen cell."""
    columns = [*axes.values(), score]
    titles = [axis.title for axis in columns]
    rows = [
        {"name": name, "run": trial.run, "rank": rank, "axis": axis, "place": place, "value": value}
        for name, trials in cells.items()
        for trial, rank in ranked(trials, higher=higher)
        for axis, (place, value) in zip(
            titles, crossings(trial, axes=axes, score=score), strict=True
        )
    ]
    marks = [
        {"axis": axis.title, "place": place, "text": labels.clip(text, longest=16)}
        for axis in columns
        for place, text in axis.ticks()
    ]
    frame = pd.DataFrame(rows)
    # The choice of a cell begins with the first of the list: that with the best trial.
    best = (max if higher else min)(cells, key=lambda name: _best(cells[name], higher=higher))
    cell = theme.select(
        "cell", options={best: best, **{name: name for name in cells}}, label="cell "
    )
    height = 280
    y = alt.Y("place:Q", scale=alt.Scale(domain=[MISSING - 0.04, 1.04]), axis=None)
    x = alt.X(
        "axis:N",
        sort=titles,
        title=None,
        axis=alt.Axis(labelAngle=0, grid=True, domain=False, ticks=False, labelLimit=150),
        scale=alt.Scale(type="point", padding=0.3),
    )
    color = alt.Color(
        "rank:Q",
        title=["share of the cell's", "trials that are better"],
        scale=alt.Scale(scheme="viridis", domain=[0, 1], reverse=False),
        legend=alt.Legend(format="%", gradientLength=120, values=[0, 0.5, 1]),
    )
    lines = (
        alt.Chart(frame)
        .transform_filter("datum.name == cell")
        .mark_line(point=alt.OverlayMarkDef(size=16), strokeWidth=1.4, opacity=0.85)
        .encode(
            x,
            y,
            color,
            detail="run:N",
            order=alt.Order("index:Q"),
            tooltip=["run", "axis", "value"],
        )
        .transform_calculate(index=f"indexof({json.dumps(titles)}, datum.axis)")
    )
    texts = alt.Chart(pd.DataFrame(marks)).encode(x, y, text="text:N")
    named = {"align": "left", "dx": 5, "fontSize": 10, "fontWeight": "bold"}
    layers = [lines, texts.mark_text(**named, style="halo"), texts.mark_text(**named)]
    chart = alt.layer(*layers).properties(width=min(880, 130 * len(columns)), height=height)
    return theme.specification(chart.add_params(cell), title=title)


def _best(trials: Sequence[SearchTrial], *, higher: bool) -> float:
    return (max if higher else min)(trial.score for trial in trials)


def crossings(
    trial: SearchTrial, *, axes: Mapping[str, Axis], score: Axis
) -> list[tuple[float, str]]:
    """Return where a trial's line crosses every axis, the score's last, and the value there."""
    found = [
        (axis.place(trial.values[path]), labels.value(trial.values[path]))
        if path in trial.values
        else (MISSING, "not given")
        for path, axis in axes.items()
    ]
    return [*found, (score.place(trial.score), labels.number(trial.score, digits=4))]


def ranked(trials: Sequence[SearchTrial], *, higher: bool) -> list[tuple[SearchTrial, float]]:
    """Return the trials, the worst first, each with the share of them that are better."""
    ordered = sorted(trials, key=lambda trial: trial.score, reverse=not higher)
    return [
        (trial, (len(ordered) - 1 - place) / max(1, len(ordered) - 1))
        for place, trial in enumerate(ordered)
    ]
