"""Cost-quality fronts: a panel a family, a point a cell; the price can be changed."""

from typing import Any

import altair as alt
import pandas as pd

from seqtune.report.data.pareto import PRICES
from seqtune.report.figures import theme
from seqtune.report.naming import labels
from seqtune.report.naming.names import Naming

MOST_NAMED = 8
"""In a panel with more cells, only those on the front are named."""


def front(found: pd.DataFrame, *, metric: str, title: str, naming: Naming) -> theme.Spec:
    """Return the points of `pareto.points` with their intervals, and each family's front as a line.

    Args:
        found: a row a cell.
        metric: of the means.
        title: of the figure.
        naming: of the sweep.
    """
    known = {price: name for price, name in PRICES.items() if found[price].notna().any()}
    frame, families = _frame(found, prices=list(known), naming=naming), found["family"].unique()
    price = theme.select("price", options=known, label="price ")
    log = theme.needs_log(found["mean"])
    y = alt.Y(
        "mean:Q",
        title=f"{labels.with_unit(metric)}, {labels.direction(metric)}",
        **theme.value_axis(found["mean"], log=log),
    )
    x = alt.X(
        "x:Q",
        scale=alt.Scale(type="log", nice=False, padding=50),
        axis=alt.Axis(title=theme.lookup("price", options=known), format=".3~s", tickCount=4),
    )
    base = (
        alt.Chart(frame)
        .transform_calculate(
            x="datum[price]",
            front="datum['front.' + price] ? 'on the front' : 'not on the front'",
        )
        .transform_filter("isValid(datum.x)")
    )
    kinds = ["on the front", "not on the front"]
    color = alt.Color(
        "front:N", scale=alt.Scale(domain=kinds), legend=alt.Legend(title=None, orient="top")
    )
    shape = alt.Shape(
        "front:N", scale=alt.Scale(domain=kinds), legend=alt.Legend(title=None, orient="top")
    )
    on = base.transform_filter("datum.front == 'on the front'")
    point = base.mark_point(size=70, filled=True, opacity=1).encode(
        x,
        y,
        color,
        shape,
        tooltip=["cell", alt.Tooltip("mean", format=".4g"), "interval", "n", *known],
    )
    named = base.transform_filter(f"datum.front == 'on the front' || datum.crowd <= {MOST_NAMED}")
    layers = [
        on.mark_line(strokeWidth=1.2).encode(x, y, color),
        base.mark_rule(strokeWidth=1.5).encode(x, alt.Y("ci_low:Q"), alt.Y2("ci_high:Q"), color),
        point,
        named.mark_text(dy=-11).encode(x, y, text="name:N"),
    ]
    width = 520 if len(families) == 1 else 340
    panel = alt.layer(*layers).properties(width=width, height=300)
    chart: Any = panel
    if len(families) > 1:
        facet = alt.Facet("family:N", title=None, sort=[*map(str, families)])
        columns = theme.columns_of(len(families), width=width + 40)
        chart = panel.facet(facet, columns=columns).resolve_scale(x="independent")
    return theme.specification(chart.add_params(price), title=title)


def _frame(found: pd.DataFrame, *, prices: list[str], naming: Naming) -> pd.DataFrame:
    """What is drawn, an interval that leaves a logarithmic scale cut off at half the least mean."""
    log = theme.needs_log(found["mean"])
    least = float(found["mean"].min()) / 2 if log else float("-inf")
    names = pd.Series("", index=found.index)
    for _, cells in found.groupby("family", sort=False):
        names.update(pd.Series(naming.distinguish(cells), index=cells.index))
    return pd.DataFrame(
        {
            **{name: found[name] for name in ("family", "n", "mean", "ci_high")},
            "ci_low": found["ci_low"].clip(lower=least),
            "interval": [
                labels.interval(low, high=high)
                for low, high in zip(found["ci_low"], found["ci_high"], strict=True)
            ],
            "cell": found["cell"].map(naming.cells),
            "name": names,
            "crowd": found.groupby("family")["cell"].transform("size"),
            **{price: found[price].astype("float64") for price in prices},
            **{f"front.{price}": found[f"front.{price}"].astype(bool) for price in prices},
        }
    )
