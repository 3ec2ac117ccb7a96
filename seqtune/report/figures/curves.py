"""Learning curves over tokens, steps, FLOPs or seconds.

A panel holds the cells with one value of the first compared path, a line each.

Grey shows how much of its own output a model read in an epoch: behind the curves of a panel that
all read the same, else in a row for each above the panel.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from seqtune.report.data import floors, references
from seqtune.report.data.bands import Band
from seqtune.report.data.costs import COSTS, cost_curves
from seqtune.report.data.results import Results
from seqtune.report.figures import theme
from seqtune.report.naming import labels
from seqtune.report.naming.labels import is_missing
from seqtune.report.naming.names import Naming, task_first
from seqtune.training.measurement import HIGHER_IS_BETTER, ZERO_FLOOR

REFERRED = "valid/loss"
"""The metric that references are measured in."""
LINES_A_PANEL = 9
ROW = 8
"""Pixels of a row of greys."""
SAME = 0.02
"""Neighbouring epochs whose teacher-forcing rates differ by less are drawn as one."""


@dataclass(frozen=True)
class Line:
    """A cell's curve.

    Attributes:
        panel: title of the panel that it belongs to.
        name: what tells it apart inside the panel.
        rank: the value that orders the lines, coloured light to dark; None if nothing does.
        points: a row an evaluation: `epoch`, the `COSTS`, `value`, the edges `low` and `high` of a
            band around it (NaN where there is none), and `forcing` (NaN if not measured).
        floor: best possible value; None if unknown.
        references: what named predictors score, by their names.
    """

    panel: str
    name: str
    rank: Any
    points: pd.DataFrame
    floor: float | None = None
    references: Mapping[str, float] = field(default_factory=dict)

    @property
    def fed_back(self) -> bool:
        """Whether the model ever read a token of its own."""
        return bool((self.points["forcing"] < 1).any())


@dataclass(frozen=True)
class Notes:
    """What a caption has to say of the curves.

    Attributes:
        has_floor: whether a floor is drawn.
        has_references: whether references are.
        mixed_panels: panels whose lines have different references, so that none are drawn.
        off_scale: values that a logarithmic scale has no place for.
        shaded: whether grey says how much of its own output a model read.
        has_rows: whether some of it does so in rows above a panel.
    """

    has_floor: bool
    has_references: bool
    mixed_panels: int
    off_scale: int
    shaded: bool
    has_rows: bool


def best_lines(results: Results, *, metric: str) -> dict[str, Line]:
    """Return the curve of the best run of every cell that has one, by cell."""
    best, forcing = results.best, _forcing(results)
    panel = _panels(best, compared=results.compared)
    known = cost_curves(results, metric=metric, names=set(best["run"]))
    points = {str(run): frame for run, frame in known.groupby("run")}
    found: dict[str, Line] = {}
    for _, row in best.iterrows():
        run = str(row["run"])
        if run in points:
            frame = points[run].drop(columns="run").assign(low=math.nan, high=math.nan)
            frame["forcing"] = [
                forcing.get((run, int(epoch)), math.nan) for epoch in frame["epoch"]
            ]
            found[str(row["cell"])] = _line(
                row, frame, metric=metric, panel=panel, naming=results.naming
            )
    return found


def mean_line(line: Line, *, band: Band) -> Line:
    """Return the line of a cell's best run with the mean of all its runs in its place."""
    columns = {"epoch": band.epochs, **band.places, "value": band.mean, "forcing": band.truths}
    edges = (
        {"low": band.low, "high": band.high} if band.n > 1 else {"low": math.nan, "high": math.nan}
    )
    points = pd.DataFrame({**columns, **edges}).iloc[band.drawn]
    return Line(line.panel, line.name, line.rank, points, line.floor, line.references)


def _forcing(results: Results) -> dict[tuple[str, int], float]:
    """Teacher-forcing rates by run and epoch."""
    curves = results.curves
    mine = curves[
        (curves["metric"] == "forcing") & curves["run"].isin(results.best["run"].tolist())
    ]
    rows = zip(mine["run"], mine["epoch"], mine["value"], strict=True)
    return {(str(run), int(epoch)): float(value) for run, epoch, value in rows}


def _panels(best: pd.DataFrame, *, compared: tuple[str, ...]) -> tuple[str | None, bool, list[str]]:
    """The path whose values are panels, whether arms have panels too, and the other paths."""
    paths = task_first(compared)
    if not paths or (len(paths) == 1 and best["arm"].isna().all()):
        return None, False, paths
    crowd = int(best.groupby(paths[0], dropna=False).size().max()) if len(best) else 0
    return paths[0], crowd > LINES_A_PANEL, paths[1:]


def _line(
    row: "pd.Series[Any]",
    points: pd.DataFrame,
    *,
    metric: str,
    panel: tuple[str | None, bool, list[str]],
    naming: Naming,
) -> Line:
    path, arms_apart, inside = panel
    arm = "" if is_missing(row["arm"]) else str(row["arm"])
    title = ""
    if path is not None and not is_missing(row[path]):
        title = f"{path} = {naming.value(row[path], path=path)}"
    settings = naming.settings(row, paths=inside)
    if arms_apart:
        title, arm = ", ".join(filter(None, (title, arm))), ""
    named = bool(inside) or path is not None or bool(arm)
    name = ", ".join(filter(None, (arm, settings))) if named else naming.brief[row["cell"]]
    return Line(
        title,
        f"{name} (search)".strip() if row["phase"] == "search" else name,
        rank=row[inside[0]] if len(inside) == 1 and not arm else None,
        points=points,
        floor=floors.line(row, metric=metric),
        references=references.of_run(row) if metric == REFERRED else {},
    )


def curves(lines: Sequence[Line], *, metric: str, title: str) -> tuple[theme.Spec, Notes]:
    """Return the curves, at most nine a panel, and what their caption has to say."""
    panels = list(_paneled(lines))
    values = [float(value) for line in lines for value in line.points["value"]]
    log = is_log(metric, values)
    positive = [value for value in values if value > 0]
    names = list(dict.fromkeys(line.name for line in lines))
    ranks = {line.name: line.rank for line in lines}
    known = {
        cost: name
        for cost, name in COSTS.items()
        if any(line.points[cost].notna().any() for line in lines)
    }
    axis = theme.select("axis", options=known, label="over ")
    kinds = {"log": "logarithmic", "linear": "linear"}
    if not log:
        kinds = dict(reversed(kinds.items()))
    scale = theme.select("scale", options=kinds, label="scale ")
    width, height = {1: (560, 330), 2: (340, 250)}.get(len(panels), (236, 200))
    shown = theme.toggle("name", names=names) if len(names) > 1 else None

    given = [_references(inside) for _, inside in panels]
    points = _points(panels, least=min(positive, default=1.0))
    levels = pd.DataFrame(
        _levels(panels, given=given, values=positive if log else values, log=log, height=height)
    )
    greys = pd.DataFrame(_greys(panels, height=height))
    # A facet shares out one table, so that points, levels and greys are rows of the same.
    frame = pd.concat([points, levels, greys], ignore_index=True)
    base = alt.Chart().transform_filter("datum.kind == 'point'")
    base = (base.transform_filter(shown) if shown else base).transform_calculate(
        x="datum[axis]", y=_scaled("value"), y_low=_scaled("low"), y_high=_scaled("high")
    )
    x = alt.X(
        "x:Q",
        axis=alt.Axis(
            title=theme.lookup("axis", options=known),
            format=".3~s",
            tickCount=5 if len(panels) < 3 else 4,
        ),
    )
    ticks = [math.log10(tick) for tick in theme.log_ticks(positive)]
    y = alt.Y(
        "y:Q",
        title=labels.with_unit(metric),
        scale=alt.Scale(zero=False, nice=False, padding=6),
        axis=alt.Axis(
            values=alt.ExprRef(f"scale == 'log' ? {ticks} : null"),
            labelExpr="format(scale == 'log' ? pow(10, datum.value) : datum.value, '~g')",
            tickCount=6,
        ),
    )
    # The names of floors and references stand beside the panels, before the legend.
    beside = theme.LETTER * max(map(len, levels["text"]), default=0) if len(levels) else 0
    color = theme.colour(
        "name", names=names, ranks=[ranks[name] for name in names], offset=18 + beside
    )
    tooltip = [
        "name",
        "epoch",
        *(alt.Tooltip(n, format=".4g") for n in ("value", "low", "high", "forcing")),
    ]
    tooltip += [alt.Tooltip(cost, format=".4s", title=name) for cost, name in known.items()]
    dots = bool(points.groupby(["panel", "name"]).size().max() <= 30)
    line = base.transform_filter("isValid(datum.y)").mark_line(strokeWidth=1.8)
    line = line.encode(x, y, color)
    layers = [
        *_grey_layers(greys, x=x, color=color, shown=shown),
        *_level_layers(levels),
        line.add_params(shown) if shown else line,
        *(
            [
                base.transform_filter("isValid(datum.y_low)")
                .mark_area(opacity=0.2)
                .encode(x, alt.Y("y_low:Q"), alt.Y2("y_high:Q"), color)
            ]
            if points["low"].notna().any()
            else []
        ),
        base.transform_filter("isValid(datum.y)")
        .mark_point(filled=True, size=22, opacity=1 if dots else 0)
        .encode(x, y, color, tooltip=tooltip),
    ]
    off_scale = sum(value <= 0 for value in values) if log else 0
    if any(value <= 0 for value in values):
        layers.append(
            base.transform_filter("!isValid(datum.y)")
            .mark_point(shape="triangle-down", filled=True, size=40, opacity=1)
            .encode(x, color=color, y=alt.value(height))
        )
    chart: Any = alt.layer(*layers, data=frame).properties(width=width, height=height)
    rows = _most_rows(panels)
    if len(panels) > 1 or panels[0][0]:
        header = alt.Header(labelPadding=8 + ROW * rows)
        facet = alt.Facet("panel:N", title=None, sort=[name for name, _ in panels], header=header)
        # Longer strings are more tokens an epoch, so that panels share the metric's scale only.
        columns = theme.columns_of(len(panels), width=width + 20)
        chart = chart.facet(facet, columns=columns).resolve_scale(x="independent")
        chart = chart.properties(spacing={"row": 26, "column": 22 + beside})
    notes = Notes(
        has_floor=any(line.floor is not None for line in lines),
        has_references=any(given),
        mixed_panels=sum(any(line.references for line in inside) for _, inside in panels)
        - sum(map(bool, given)),
        off_scale=off_scale,
        shaded=any(line.fed_back for line in lines),
        has_rows=rows > 0,
    )
    return theme.specification(chart.add_params(axis, scale), title=title), notes


def is_log(metric: str, values: Iterable[float]) -> bool:
    """Return whether the scale begins as logarithmic: excess always, a loss where it spans enough."""
    numbers = list(values)
    if metric in HIGHER_IS_BETTER or not any(value > 0 for value in numbers):
        return False
    return metric in ZERO_FLOOR or theme.needs_log(numbers)


def _scaled(name: str) -> str:
    """The expression of a field on the scale that was chosen; null where it has no place there.

    Vega-Lite cannot change the type of a scale, so logarithms are taken before it and undone at
    its ticks.
    """
    value = f"datum['{name}']"
    log = f"{value} > 0 ? log({value}) / LN10 : null"
    return f"!isValid({value}) ? null : scale == 'linear' ? {value} : {log}"


def _paneled(lines: Sequence[Line]) -> Iterator[tuple[str, list[Line]]]:
    """Title and lines of every panel; one with too many lines is continued in the next."""
    for name in dict.fromkeys(line.panel for line in lines):
        inside = [line for line in lines if line.panel == name]
        parts = math.ceil(len(inside) / LINES_A_PANEL)
        for part, chosen in enumerate(np.array_split(np.arange(len(inside)), parts), start=1):
            of = f"({part} of {parts})" if parts > 1 else ""
            yield " ".join(filter(None, (name, of))), [inside[place] for place in chosen]


def _points(panels: Sequence[tuple[str, list[Line]]], *, least: float) -> pd.DataFrame:
    """A row an evaluation; a band that reaches 0 ends at the least value of a logarithmic scale."""
    frames = [
        line.points.assign(kind="point", panel=panel, name=line.name)
        for panel, inside in panels
        for line in inside
    ]
    frame = pd.concat(frames, ignore_index=True)
    for edge in ("low", "high"):
        frame[edge] = frame[edge].astype("float64").where(~(frame[edge] <= 0), least)
    return frame


def _references(lines: Sequence[Line]) -> Mapping[str, float]:
    return references.common([line.references for line in lines])


def _levels(
    panels: Sequence[tuple[str, list[Line]]],
    *,
    given: Sequence[Mapping[str, float]],
    values: Sequence[float],
    log: bool,
    height: int,
) -> Iterator[dict[str, Any]]:
    """Floors and references, with their names where these say which they are."""
    for (panel, inside), named in zip(panels, given, strict=True):
        bounds = list(dict.fromkeys(line.floor for line in inside if line.floor is not None))
        levels = [(value, "floor" if len(bounds) == 1 else "", "floor") for value in bounds]
        levels += [
            (value, labels.clip(name, longest=28), "reference") for name, value in named.items()
        ]
        raised = _raised([value for value, *_ in levels], values=values, log=log, height=height)
        for (value, text, kind), dy in zip(levels, raised, strict=True):
            yield {"panel": panel, "value": value, "text": text, "kind": kind, "dy": dy}


def _level_layers(levels: pd.DataFrame) -> Iterator[Any]:
    """Floors dashed, references dotted."""
    for kind, dash, style in (("floor", [5, 3], "ink"), ("reference", [2, 3], "muted")):
        if len(levels) and (levels["kind"] == kind).any():
            mine = (
                alt.Chart()
                .transform_filter(f"datum.kind == '{kind}'")
                .transform_calculate(y=_scaled("value"))
                .transform_filter("isValid(datum.y)")
                .encode(alt.Y("y:Q"))
            )
            yield mine.mark_rule(strokeDash=dash, strokeWidth=1.1, style=style)
            yield mine.mark_text(
                align="left",
                baseline="middle",
                dx=5,
                dy=alt.ExprRef("datum.dy"),
                style=f"{style}-text",
            ).encode(text="text:N", x=alt.value("width"))


def _raised(
    levels: Sequence[float], *, values: Sequence[float], log: bool, height: int
) -> list[float]:
    """How far each name is moved up so that none stands on another."""
    places = [math.log10(value) if log and value > 0 else value for value in levels]
    drawn = [math.log10(value) if log else value for value in values] + places
    span = (max(drawn) - min(drawn)) or 1.0
    heights = [height * place / span for place in places]
    found, below = [0.0] * len(levels), -math.inf
    for place in sorted(range(len(levels)), key=lambda each: heights[each]):
        stand = max(heights[place], below + 12)
        found[place], below = heights[place] - stand, stand
    return found


def _most_rows(panels: Sequence[tuple[str, list[Line]]]) -> int:
    """Rows of greys above the panel with the most of them."""
    return max(0 if _alike(inside) else len(inside) for _, inside in panels)


def _alike(lines: Sequence[Line]) -> bool:
    """Whether all read the same inputs at places that a reader cannot tell apart."""
    if not any(line.fed_back for line in lines):
        return True
    first = lines[0].points
    return all(
        len(line.points) == len(first)
        and np.allclose(line.points["forcing"], first["forcing"], rtol=0, atol=1e-6)
        and np.allclose(line.points["tokens"], first["tokens"], rtol=0.02, atol=0)
        for line in lines
    )


def _greys(panels: Sequence[tuple[str, list[Line]]], *, height: int) -> Iterator[dict[str, Any]]:
    """Rectangles over stretches of epochs; none where every model read nothing but the targets."""
    if not any(line.fed_back for _, inside in panels for line in inside):
        return
    for panel, inside in panels:
        alike = _alike(inside)
        for place, line in enumerate(inside[:1] if alike else inside):
            top, bottom = (0, height) if alike else (-ROW * (place + 1) - 1, -ROW * place - 3)
            kind = {"kind": "background" if alike else "row", "panel": panel, "name": line.name}
            for stretch in stretches(line.points):
                yield {**kind, "top": top, "bottom": bottom, **stretch}


def _grey_layers(greys: pd.DataFrame, *, x: alt.X, color: alt.Color, shown: Any) -> Iterator[Any]:
    """Rows go with their curves when these are hidden; a background belongs to all curves."""
    for kind in greys["kind"].unique() if len(greys) else ():
        base = alt.Chart().transform_filter(f"datum.kind == '{kind}'")
        if shown and kind == "row":
            base = base.transform_filter(shown)
        base = base.transform_calculate(
            x="datum[axis + '_from']",
            x_end="datum[axis + '_to']",
            middle="(datum.top + datum.bottom) / 2",
        )
        key = alt.Legend(
            title=["model predictions", "read in an epoch"],
            **{"values": [0, 0.5, 1], "format": "%", "symbolType": "square"},
        )
        scale = alt.Scale(domain=[0, 1], range=[0, 0.3])
        yield base.mark_rect(style="ink", strokeWidth=0).encode(
            x,
            alt.X2("x_end:Q"),
            alt.Y("top:Q", scale=None),
            alt.Y2("bottom:Q"),
            opacity=alt.Opacity("read:Q", scale=scale, legend=key),
        )
        if kind == "row":
            yield base.mark_square(size=24, opacity=1).encode(
                alt.Y("middle:Q", scale=None), color=color, x=alt.value(-6)
            )


def stretches(points: pd.DataFrame) -> list[dict[str, float]]:
    """Return stretches of epochs that look the same: where they begin and end, and `read`.

    `read` is how much of what the model read was its own: one minus the teacher-forcing rate.
    """
    found: list[dict[str, float]] = []
    if points["forcing"].isna().any():
        return found
    before = dict.fromkeys(COSTS, 0.0)
    for _, row in points.iterrows():
        read, ends = 1 - float(row["forcing"]), {f"{cost}_to": float(row[cost]) for cost in COSTS}
        if found and abs(found[-1]["read"] - read) < SAME:
            found[-1] |= ends
        else:
            found.append({"read": read, **{f"{cost}_from": before[cost] for cost in COSTS}, **ends})
        before = {cost: float(row[cost]) for cost in COSTS}
    return found
