"""Cost-quality fronts on paper and on a page with a script."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from seqtune.report.data.pareto import PRICES
from seqtune.report.figures import drawing, grid, moving
from seqtune.report.naming import labels
from seqtune.report.naming.names import Naming

ON, OFF = drawing.COLOURS[0], drawing.MUTED
"""Of cells on the front and of the others; they differ in shape too."""
MOST_NAMED = 8
"""In a panel with more cells, only those on the front are named."""
WIDTH, HEIGHT, WIDEST = 5.2, 3.7, 13.0


@drawing.styled
def front_figure(
    found: pd.DataFrame, *, price: str, metric: str, title: str, naming: Naming
) -> Figure:
    """A panel a family: a point a cell with its interval, and the front as a line.

    Args:
        found: as `fronts.points`, those with a price.
        price: name in `PRICES`.
        metric: of the means.
        title: of the figure.
        naming: of the sweep.
    """
    families = [*found.groupby("family", sort=False)]
    rows, columns = grid.shape(len(families), most_columns=int(WIDEST / WIDTH))
    figure = drawing.new_figure(
        width=columns * WIDTH + 0.3, height=rows * HEIGHT + 0.4, title=title
    )
    axes_grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    log = drawing.needs_log(found["mean"])
    for axes in axes_grid.flat[len(families) :]:
        axes.set_axis_off()
    for axes, (family, cells) in zip(axes_grid.flat, families, strict=False):
        axes.set_title(drawing.broken(str(family), width=WIDTH))
        _panel(axes, cells, price=price, log=log, naming=naming)
        axes.set_xlabel(f"{PRICES[price]} (log)")
    drawing.plain_ticks(axes_grid[0, 0].yaxis, log=log)
    for axes in axes_grid[:, 0]:
        axes.set_ylabel(f"{labels.with_unit(metric)}\n{labels.direction(metric)}")
    return figure


def _panel(axes: Axes, cells: pd.DataFrame, *, price: str, log: bool, naming: Naming) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log" if log else "linear")
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=_subs(cells[price]), numticks=8))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(drawing.short_count))
    axes.margins(x=0.25, y=0.12)
    front = cells[cells[f"front.{price}"]].sort_values(price)
    axes.plot(front[price], front["mean"], color=ON, lw=1.2, zorder=1)
    names = naming.distinguish(cells)
    for name, (_, cell) in zip(names, cells.iterrows(), strict=True):
        on = bool(cell[f"front.{price}"])
        colour = ON if on else OFF
        axes.plot([cell[price]] * 2, [cell["ci_low"], cell["ci_high"]], color=colour)
        shape: dict[str, Any] = {"marker": "o"} if on else {"marker": "s", "mfc": "white"}
        axes.plot([cell[price]], [cell["mean"]], ms=6, ls="", color=colour, **shape)
        if on or len(cells) <= MOST_NAMED:
            axes.annotate(
                name,
                (cell[price], cell["mean"]),
                xytext=(6, 5),
                textcoords="offset points",
                fontsize=8,
                color=drawing.INK if on else OFF,
            )


def _subs(prices: "pd.Series[float]") -> tuple[float, ...]:
    """Which multiples of the powers of ten are written at the axis: the fewer, the longer it is."""
    span = float(prices.max() / prices.min())
    if span < 10:
        return (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
    return (1.0, 2.0, 5.0) if span < 1000 else (1.0,)


def moving_front(found: pd.DataFrame, *, metric: str, naming: Naming) -> str:
    """All families in one figure, as plotly's JSON; the price can be changed.

    Args:
        found: as `fronts.points`.
        metric: of the means.
        naming: of the sweep.
    """
    known = [price for price in PRICES if found[price].notna().any()]
    traces: list[Any] = []
    shown: list[str] = []
    for price in known:
        made = _traces(found, price=price, metric=metric, naming=naming, visible=price == known[0])
        traces += made
        shown += [price] * len(made)
    log = drawing.needs_log(found["mean"])
    ticks = {price: _ticks(found, price=price) for price in known}
    figure = moving.figure(
        traces, x=PRICES[known[0]], y=f"{labels.with_unit(metric)}", log=(True, log)
    )
    buttons = [
        {
            "label": PRICES[price],
            "method": "update",
            "args": [
                {"visible": [each == price for each in shown]},
                {
                    "xaxis.title.text": PRICES[price],
                    "xaxis.autorange": True,
                    **{f"xaxis.{name}": value for name, value in ticks[price].items()},
                },
            ],
        }
        for price in known
    ]
    figure.update_layout(updatemenus=[moving.menu(buttons)])
    figure.update_xaxes(ticks[known[0]])
    return moving.as_json(figure)


def _ticks(found: pd.DataFrame, *, price: str) -> dict[str, Any]:
    """What is written at a logarithmic axis: 1, 2, 5, and more where it is short."""
    short = float(found[price].max() / found[price].min()) < 5
    # Seconds may be fractions, of which SI would make thousandths: 100m.
    return {"tickformat": "~g" if price == "seconds" else "~s", "dtick": None if short else "D2"}


def _traces(
    found: pd.DataFrame, *, price: str, metric: str, naming: Naming, visible: bool
) -> list[Any]:
    """The points of every family, and its front."""
    families = [*found.dropna(subset=price).groupby("family", sort=False)]
    traces: list[Any] = []
    for (family, cells), colour in zip(families, moving.colours(len(families)), strict=True):
        group: dict[str, Any] = {"legendgroup": str(family), "visible": visible}
        front = cells[cells[f"front.{price}"]].sort_values(price)
        on = cells[f"front.{price}"].tolist()
        traces.append(
            go.Scatter(
                x=front[price].tolist(),
                y=front["mean"].tolist(),
                mode="lines",
                line={"color": colour, "width": 1.5},
                hoverinfo="skip",
                showlegend=False,
                **group,
            )
        )
        traces.append(
            go.Scatter(
                x=cells[price].tolist(),
                y=cells["mean"].tolist(),
                mode="markers",
                name=moving.text(family or "cells"),
                marker={
                    "color": colour,
                    "size": 10,
                    "symbol": ["circle" if each else "square-open" for each in on],
                },
                error_y={
                    "type": "data",
                    "array": (cells["ci_high"] - cells["mean"]).tolist(),
                    "thickness": 1,
                    "width": 3,
                },
                hovertext=[
                    _hover(row, metric=metric, naming=naming) for _, row in cells.iterrows()
                ],
                hoverinfo="text",
                **group,
            )
        )
    return traces


def _hover(row: "pd.Series[Any]", *, metric: str, naming: Naming) -> str:
    name = moving.text(naming.cells[row["cell"]])
    numbers = {
        metric: row["mean"],
        "95 % interval": labels.interval(row["ci_low"], high=row["ci_high"]),
        "n": int(row["n"]),
        **{PRICES[price]: row[price] for price in PRICES},
    }
    return f"<b>{name}</b><br>{moving.told(numbers)}"
