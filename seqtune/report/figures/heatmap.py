"""Heat maps over two compared paths: a tile a cell, a panel for every combination of the further paths."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from seqtune.report.figures import drawing, grid
from seqtune.report.naming import labels
from seqtune.report.naming.labels import is_missing
from seqtune.report.naming.names import Naming

TILE_WIDTH, TILE_HEIGHT = 1.3, 0.74
"""Inches: enough for a mean, its interval and its n."""
WIDEST = 13.0


@dataclass(frozen=True)
class _Axis:
    path: str
    values: list[Any]
    texts: list[str]


@drawing.styled
def heat_map(
    cells: pd.DataFrame,
    *,
    layout: grid.Layout,
    metric: str,
    scale: Normalize,
    title: str,
    naming: Naming,
) -> Figure:
    """Draws the cells of one layout.

    Args:
        cells: rows with `arm`, the compared paths, `value`, `low`, `high` and `note`.
        layout: with both axes given.
        metric: names the colour bar.
        scale: shared by all heat maps of a report, so that one colour means one value.
        title: of the whole figure.
        naming: of the sweep.
    """
    assert layout.x is not None
    assert layout.y is not None
    x, y = (_axis(cells, path=path, naming=naming) for path in (layout.x, layout.y))
    panel_width = max(TILE_WIDTH * len(x.values), 2.2)
    panels = list(_panels(cells, paths=layout.panels, naming=naming))
    titles = [drawing.broken(name, width=panel_width) for name, _ in panels]
    x_texts = [drawing.broken(text, width=panel_width / len(x.values)) for text in x.texts]
    rows, columns = grid.shape(len(panels), most_columns=int(WIDEST / (panel_width + 0.6)))
    lines = drawing.line_count(titles) + drawing.line_count(x_texts)
    row_height = max(TILE_HEIGHT * len(y.values), 1.5) + 0.17 * lines
    figure = drawing.new_figure(
        width=columns * (panel_width + 0.3) + 1.5 + 0.07 * max(len(text) for text in y.texts),
        height=rows * row_height + 0.9,
        title=title,
    )
    grid_of_axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes, text, (_, inside) in zip(grid_of_axes.flat, titles, panels, strict=False):
        axes.set_title(text)
        _tiles(axes, inside, x=x, y=y, scale=scale)
        axes.set_xticks(range(len(x_texts)), x_texts)
    _name_axes(grid_of_axes, x=x, y=y, panels=len(panels))
    if cells["value"].notna().any():
        _colour_bar(figure, grid_of_axes, scale=scale, metric=metric)
    return figure


def _name_axes(grid_of_axes: np.ndarray, *, x: _Axis, y: _Axis, panels: int) -> None:
    """Names the outer axes, below the lowest panel of each column too where the last row is not full."""
    for axes in grid_of_axes.flat[panels:]:
        axes.set_axis_off()
    for axes in grid_of_axes.flat[:panels]:
        axes.tick_params(labelbottom=True)
    for axes in grid_of_axes[:, 0]:
        axes.set_ylabel(y.path)
    for axes in grid_of_axes.flat[max(0, panels - grid_of_axes.shape[1]) : panels]:
        axes.set_xlabel(x.path)


def _axis(cells: pd.DataFrame, *, path: str, naming: Naming) -> _Axis:
    values = grid.values(cells, path=path)
    return _Axis(path, values, texts=[naming.value(value, path=path) for value in values])


def _panels(
    cells: pd.DataFrame, *, paths: tuple[str, ...], naming: Naming
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Title and cells of every panel: arms, crossed with the values of the further paths."""
    arms = list(dict.fromkeys(cells["arm"]))
    choices = [grid.values(cells, path=path) for path in paths]
    for arm, *chosen in itertools.product(arms, *choices):
        inside = cells[cells["arm"] == arm]
        for path, value in zip(paths, chosen, strict=True):
            inside = inside[inside[path] == value]
        if len(inside):
            settings = naming.settings(inside.iloc[0], paths=paths)
            yield ", ".join(part for part in (arm, settings) if part), inside


def _tiles(axes: Axes, cells: pd.DataFrame, *, x: _Axis, y: _Axis, scale: Normalize) -> None:
    rows = {(row[x.path], row[y.path]): row for _, row in cells.iterrows()}
    for (column, x_value), (line, y_value) in itertools.product(
        enumerate(x.values), enumerate(y.values)
    ):
        row = rows.get((x_value, y_value))
        if row is None or is_missing(row["value"]):
            text = "no run" if row is None else row["note"]
            _empty_tile(axes, column, line, text=text)
        else:
            _tile(axes, column, line, row=row, scale=scale)
    axes.set_xlim(-0.5, len(x.values) - 0.5)
    axes.set_ylim(-0.5, len(y.values) - 0.5)
    axes.set_yticks(range(len(y.values)), y.texts)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _tile(axes: Axes, column: int, line: int, *, row: pd.Series, scale: Normalize) -> None:
    colour = drawing.COLOUR_MAP(float(scale(row["value"])))
    ink = drawing.text_colour(colour)
    axes.add_patch(_square(column, line, facecolor=colour, edgecolor="white", linewidth=1.5))
    below = "\n".join(filter(None, (labels.interval(row["low"], high=row["high"]), row["note"])))
    mean = labels.number(row["value"])
    for text, offset, size in ((mean, 11, 11), (below, -9, 8)):
        axes.annotate(
            text,
            (column, line),
            xytext=(0, offset),
            textcoords="offset points",
            ha="center",
            va="center",
            color=ink,
            fontsize=size,
        )


def _empty_tile(axes: Axes, column: int, line: int, *, text: str) -> None:
    axes.add_patch(
        _square(
            column, line, facecolor=drawing.EMPTY, edgecolor="#cfcfcf", hatch="///", linewidth=0
        )
    )
    axes.text(
        column,
        line,
        text,
        ha="center",
        va="center",
        fontsize=8,
        color=drawing.INK,
        bbox={"boxstyle": "round,pad=0.25", "facecolor": drawing.EMPTY, "edgecolor": "none"},
    )


def _square(column: int, line: int, **style: Any) -> Rectangle:
    return Rectangle((column - 0.5, line - 0.5), 1, 1, **style)


def _colour_bar(figure: Figure, grid_of_axes: np.ndarray, *, scale: Normalize, metric: str) -> None:
    colours = ScalarMappable(norm=scale, cmap=drawing.COLOUR_MAP)
    bar = figure.colorbar(colours, ax=list(grid_of_axes.flat), aspect=25, pad=0.02)
    bar.set_label(f"{labels.with_unit(metric)}\n{labels.direction(metric)}")
    bar.outline.set_visible(False)
    drawing.plain_ticks(bar.ax.yaxis, log=isinstance(scale, LogNorm))
