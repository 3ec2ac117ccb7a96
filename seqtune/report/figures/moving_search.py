"""The search on a page with a script: slices whose cells can be clicked away, parallel coordinates of one cell.

The lines are ordinary ones: plotly's own parallel coordinates need WebGL, which not every reader has.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from matplotlib.colors import to_hex

from seqtune.report.data.search_trials import SearchTrial
from seqtune.report.figures import drawing, moving
from seqtune.report.figures.coordinates import MISSING, Axis
from seqtune.report.figures.search_drawing import SHADES, Cells, places, shaded
from seqtune.report.naming import labels


def moving_slices(cells: Cells, *, axes: Mapping[str, Axis], score: Axis, metric: str) -> str:
    """As plotly's JSON; the arguments are those of `search_drawing.slices`."""
    figure = moving.figure([], x="", y=labels.with_unit(metric), log=(False, False))
    figure.set_subplots(
        rows=1, cols=len(axes), shared_yaxes=True, horizontal_spacing=0.12 / len(axes)
    )
    colours = moving.colours(len(cells))
    for column, (path, axis) in enumerate(axes.items(), start=1):
        for (name, trials), colour in zip(cells.items(), colours, strict=True):
            mine = [trial for trial in trials if path in trial.values]
            figure.add_trace(
                go.Scatter(
                    x=[axis.place(trial.values[path]) for trial in mine],
                    y=[score.place(trial.score) for trial in mine],
                    mode="markers",
                    marker={"color": colour, "size": 8, "opacity": 0.8},
                    name=moving.text(name),
                    legendgroup=name,
                    showlegend=column == 1,
                    hovertext=[_hover(trial, name=name, metric=metric) for trial in mine],
                    hoverinfo="text",
                ),
                row=1,
                col=column,
            )
        figure.update_xaxes(_ticks(axis, title=axis.title), row=1, col=column)
    figure.update_yaxes(_ticks(score, title=""))
    figure.update_yaxes({"title": {"text": moving.text(labels.with_unit(metric))}}, row=1, col=1)
    return moving.as_json(figure)


def _ticks(axis: Axis, *, title: str) -> dict[str, Any]:
    marks = axis.ticks()
    return {
        **moving.axis(title),
        "range": [-0.06, 1.06],
        "tickvals": [place for place, _ in marks],
        "ticktext": [moving.text(text) for _, text in marks],
    }


def moving_parallel(
    cells: Cells, *, axes: Mapping[str, Axis], score: Axis, metric: str, higher: bool
) -> str:
    """As plotly's JSON, a cell at a time; the arguments are those of `search_drawing.parallel`."""
    traces: list[Any] = []
    owners: list[str] = []
    for name, trials in cells.items():
        made = list(_lines(trials, name=name, axes=axes, score=score, metric=metric, higher=higher))
        traces += made
        owners += [name] * len(made)
    first = next(iter(cells))
    for trace, owner in zip(traces, owners, strict=True):
        trace.visible = owner == first
    figure = moving.figure(traces, x="", y="", log=(False, False))
    columns = [*axes.values(), score]
    figure.update_layout(
        showlegend=False,
        hovermode="closest",
        xaxis={
            "tickvals": list(range(len(columns))),
            "ticktext": [moving.text(axis.title) for axis in columns],
            "range": [-0.15, len(columns) - 0.6],
            "gridcolor": drawing.MUTED,
        },
        yaxis={"visible": False, "range": [MISSING - 0.06, 1.08]},
        annotations=[*_marks(columns)],
        updatemenus=[moving.menu([_button(name, owners=owners) for name in cells])],
    )
    return moving.as_json(figure)


def _lines(
    trials: Sequence[SearchTrial],
    *,
    name: str,
    axes: Mapping[str, Axis],
    score: Axis,
    metric: str,
    higher: bool,
) -> Iterator[Any]:
    """A trace a shade, the best last; lines of one trace are told apart by gaps."""
    colours = list(reversed([to_hex(each) for each in drawing.ordered_colours(SHADES)]))
    ordered = shaded(trials, higher=higher)
    for shade in reversed(range(SHADES)):
        mine = [trial for trial, own in ordered if own == shade]
        x: list[float | None] = []
        y: list[float | None] = []
        texts: list[str] = []
        for trial in mine:
            crossed = places(trial, axes=axes, score=score)
            x += [*map(float, range(len(crossed))), None]
            y += [*crossed, None]
            texts += [_hover(trial, name=name, metric=metric)] * len(crossed) + [""]
        if mine:
            line = {"color": colours[shade], "width": 1.5}
            yield go.Scatter(
                x=x,
                y=y,
                mode="lines+markers",
                line=line,
                marker={"size": 5},
                hovertext=texts,
                hoverinfo="text",
            )


def _marks(columns: Sequence[Axis]) -> Iterator[dict[str, Any]]:
    for number, axis in enumerate(columns):
        for place, text in axis.ticks():
            yield {
                "x": number,
                "y": place,
                "text": moving.text(text),
                "showarrow": False,
                "xanchor": "left",
                "xshift": 4,
                "font": {"size": 11},
                "bgcolor": "rgba(255, 255, 255, 0.75)",
            }


def _button(name: str, *, owners: Sequence[str]) -> dict[str, Any]:
    return {
        "label": moving.text(name),
        "method": "restyle",
        "args": [{"visible": [owner == name for owner in owners]}],
    }


def _hover(trial: SearchTrial, *, name: str, metric: str) -> str:
    told = moving.told({metric: trial.score, **trial.values})
    return f"<b>{moving.text(name)}</b><br>{told}<br>{moving.text(trial.run)}"
