"""Heat maps over any two compared paths: a tile a cell, panels for the further paths."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from seqtune.report.figures import grid, theme
from seqtune.report.naming import labels
from seqtune.report.naming.labels import is_missing, order
from seqtune.report.naming.names import Naming

TILE_WIDTH, TILE_HEIGHT = 104, 56
"""Pixels: enough for a mean, its interval and its n."""


def heat_map(
    cells: pd.DataFrame,
    *,
    layout: grid.Layout,
    metric: str,
    domain: tuple[float, float],
    log: bool,
    title: str,
    naming: Naming,
) -> theme.Spec:
    """Return the cells of one layout; with more than two paths a reader chooses which are the axes.

    Args:
        cells: rows with `arm`, `cell`, the compared paths, `value`, `low`, `high` and `note`.
        layout: with both axes given.
        metric: names the colour scale.
        domain: of the colours, shared by all heat maps of a report.
        log: whether the colours' scale is logarithmic.
        title: of the whole figure.
        naming: of the sweep.
    """
    assert layout.x is not None
    assert layout.y is not None
    paths = {f"p{number}": path for number, path in enumerate((layout.x, layout.y, *layout.panels))}
    frame = _frame(cells, paths=paths, naming=naming)
    x, y = (
        theme.select(name, options=_first(paths, first), label=f"{label} ")
        for name, first, label in (("across", "p0", "across"), ("down", "p1", "up"))
    )
    lines, panels = 1 + int(frame["lines"].max()), _panels(cells, layout=layout)
    rows, columns = (len(grid.values(cells, path=path)) for path in (layout.y, layout.x))
    base = alt.Chart(frame).encode(
        alt.X(
            "x:N",
            sort=alt.EncodingSortField("xo", op="min"),
            axis=alt.Axis(
                title=theme.lookup("across", options=paths),
                labelAngle=0,
                labelLimit=TILE_WIDTH,
                ticks=False,
                domain=False,
            ),
        ),
        alt.Y(
            "y:N",
            sort=alt.EncodingSortField("yo", op="min", order="descending"),
            axis=alt.Axis(
                title=theme.lookup("down", options=paths),
                labelLimit=220,
                ticks=False,
                domain=False,
            ),
        ),
        tooltip=["cell", alt.Tooltip("value", format=".4g"), "interval", "note"],
    )
    scale = alt.Scale(
        type="log" if log else "linear", domain=list(domain), range="heatmap", nice=False
    )
    ticks = [tick for tick in theme.log_ticks(domain) if domain[0] <= tick <= domain[1]]
    bar = alt.Legend(
        title=[labels.with_unit(metric), labels.direction(metric)],
        gradientLength=max(100, min(260, TILE_HEIGHT * rows)),
        gradientThickness=14,
        titleLimit=260,
        **({"values": ticks, "format": "~g"} if log else {}),
    )
    known = base.transform_filter("isValid(datum.value)")
    ink = theme.ink_on("color", field="value")
    text = known.mark_text(baseline="middle")
    up = 6.5 * (lines - 1)
    layers = [
        base.mark_rect(style="empty").transform_filter("!isValid(datum.value)"),
        known.mark_rect().encode(color=alt.Color("value:Q", scale=scale, legend=bar)),
        text.mark_text(dy=-up, fontSize=13, fontWeight="bold").encode(text="mean:N", color=ink),
        text.mark_text(dy=13 - up, fontSize=10).encode(text="interval:N", color=ink),
        text.mark_text(dy=(26 if lines > 2 else 13) - up, fontSize=10).encode(
            text="note:N", color=ink
        ),
        base.transform_filter("!isValid(datum.value)")
        .mark_text(fontSize=10, lineBreak="\n", style="ink-text", dy=-5)
        .encode(text="note:N"),
    ]
    panel = alt.layer(*layers).properties(
        width=alt.Step(TILE_WIDTH), height=alt.Step(TILE_HEIGHT), view=alt.ViewConfig(stroke=None)
    )
    width = TILE_WIDTH * columns + 60
    chart: Any = panel
    if panels > 1 or len(paths) > 2:
        facet = alt.Facet("panel:N", title=None, sort=alt.EncodingSortField("place", op="min"))
        chart = panel.facet(facet, columns=theme.columns_of(panels, width=width))
    # Outside the panels, which are made of what is calculated.
    chart = chart.transform_calculate(
        x="datum[across]",
        y="datum[down]",
        xo="datum[across + '_order']",
        yo="datum[down + '_order']",
        panel=_rest(paths),
    )
    if len(paths) > 2:
        chart = chart.add_params(x, y)
    else:
        chart = chart.add_params(alt.param("across", value="p0"), alt.param("down", value="p1"))
    return theme.specification(chart, title=title, width=max(420, width + 150))


def _first(paths: Mapping[str, str], first: str) -> dict[str, str]:
    return {first: paths[first], **paths}


def _panels(cells: pd.DataFrame, *, layout: grid.Layout) -> int:
    return len(cells[["arm", *layout.panels]].drop_duplicates())


def _frame(cells: pd.DataFrame, *, paths: Mapping[str, str], naming: Naming) -> pd.DataFrame:
    """A row a cell: per path the name of its value and where that lies among the values."""
    intervals = [
        labels.interval(low, high=high)
        for low, high in zip(cells["low"], cells["high"], strict=True)
    ]
    columns: dict[str, Any] = {
        "place": range(len(cells)),
        "arm": cells["arm"].tolist(),
        "cell": [naming.cells[cell] for cell in cells["cell"]],
        "value": cells["value"].astype("float64").tolist(),
        "mean": ["" if is_missing(value) else labels.number(value) for value in cells["value"]],
        "interval": intervals,
        "note": cells["note"].tolist(),
        "lines": [
            bool(text) + bool(note) for text, note in zip(intervals, cells["note"], strict=True)
        ],
    }
    short = labels.short_names(paths.values())
    for name, path in paths.items():
        values = sorted(dict.fromkeys(cells[path]), key=order)
        columns[name] = [naming.value(value, path=path) for value in cells[path]]
        columns[f"{name}_order"] = [values.index(value) for value in cells[path]]
        columns[f"{name}_named"] = [f"{short[path]} {value}" for value in columns[name]]
    return pd.DataFrame(columns)


def _rest(paths: Mapping[str, str]) -> str:
    """The expression of a panel's title: the arm and the values of all paths that are no axis."""
    parts = [
        f"(across == '{name}' || down == '{name}' ? '' : ', ' + datum['{name}_named'])"
        for name in paths
    ]
    return f"replace(datum.arm + {' + '.join(parts)}, regexp('^, '), '')"
