"""Points with intervals: a row a cell, by the values of a compared path or by name."""

from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd

from seqtune.report.figures import grid, theme
from seqtune.report.naming import labels
from seqtune.report.naming.labels import is_missing
from seqtune.report.naming.names import Naming, distinct

ROW = 34
"""Pixels of a row."""

Seeds = Mapping[str, Sequence[float]]
"""Cell -> the values that its mean is taken over."""


def points(
    cells: pd.DataFrame, *, path: str | None, seeds: Seeds, metric: str, title: str, naming: Naming
) -> theme.Spec:
    """Return a row a value of the path and in it a point an arm, or a row a cell without a path.

    Args:
        cells: rows with `arm`, `cell`, the compared path, `value`, `low`, `high` and `note`.
        path: whose values the rows are.
        seeds: drawn as small rings below the means.
        metric: the x axis.
        title: of the figure.
        naming: of the sweep.
    """
    if path is None:
        whole = [row["arm"] or naming.cells[row["cell"]] for _, row in cells.iterrows()]
        rows = distinct(whole, longest=48)
        order, arms = rows, [""] * len(rows)
    else:
        order = [naming.value(value, path=path) for value in grid.values(cells, path=path)]
        rows = [naming.value(value, path=path) for value in cells[path]]
        arms = [str(arm) for arm in cells["arm"]]
    several = {
        cell: list(seeds.get(cell, ())) for cell in cells["cell"] if len(seeds.get(cell, ())) > 1
    }
    known = [float(value) for value in cells["value"].dropna()]
    drawn = known + [value for each in several.values() for value in each]
    log = theme.needs_log(drawn)
    # An interval may reach below 0, where a logarithmic scale ends: it is drawn to the edge.
    least = min(drawn, default=0.0) / 2 if log else float("-inf")
    frame = pd.DataFrame(
        {
            "row": rows,
            "arm": arms,
            "cell": [naming.cells[cell] for cell in cells["cell"]],
            "value": cells["value"].astype("float64").tolist(),
            "low": [max(low, least) for low in cells["low"].astype("float64")],
            "high": cells["high"].astype("float64").tolist(),
            "text": ["" if is_missing(value) else labels.number(value) for value in cells["value"]],
            "note": [str(note).replace("\n", " ") for note in cells["note"]],
            "seeds": [several.get(cell, []) for cell in cells["cell"]],
        }
    )
    names = list(dict.fromkeys(arms))
    y = alt.Y("row:N", sort=order, title=path, axis=alt.Axis(labelLimit=320, ticks=False))
    offset = alt.YOffset("arm:N", sort=names)
    name = f"{labels.with_unit(metric)}, {labels.direction(metric)}"
    x = alt.X("value:Q", title=name, **theme.value_axis(drawn, log=log))
    color = theme.colour("arm", names=names)
    base = alt.Chart(frame).encode(y=y, yOffset=offset)
    tooltip = ["cell", alt.Tooltip("value", format=".4g"), "low", "high", "note"]
    present = base.transform_filter("isValid(datum.value)")
    layers = [
        base.transform_flatten(["seeds"])
        .mark_point(size=22, strokeWidth=1, filled=False, opacity=1)
        .encode(x=alt.X("seeds:Q"), color=color),
        present.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q"), x2="high:Q", color=color),
        present.mark_point(size=70, filled=True, opacity=1).encode(
            x=x, color=color, shape=alt.Shape("arm:N", sort=names, legend=None), tooltip=tooltip
        ),
        present.mark_text(dy=-10).encode(x=x, text="text:N"),
        base.transform_filter("!isValid(datum.value)")
        .mark_text(align="left", style="muted-text")
        .encode(x=alt.value(6), text="note:N"),
    ]
    if not several:
        layers.pop(0)
    chart = alt.layer(*layers).properties(width=520, height=alt.Step(ROW))
    return theme.specification(chart, title=title)
