"""What linear probes found in a run: a heat map of layers by levels for every target, and its numbers."""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

from seqtune.report import drawing, labels
from seqtune.report.render import write_chart
from seqtune.report.section import Chart
from seqtune.training.reading import TARGETS, ProbeTarget, Reading, greatest_error, signed

TILE_WIDTH, TILE_HEIGHT = 0.78, 0.46
"""Inches: enough for a score and what training added."""
NARROWEST = 6.5
"""Inches: enough for the caption."""
GAP = 0.25
"""Between the layers and what is told without one, in tiles."""


def write(
    readings: Sequence[Reading], *, name: str, title: str, caption: str, folder: Path
) -> list[Path]:
    """Writes a CSV file, and a figure as PNG and SVG; says where they are.

    Args:
        readings: of every layer of one run, by target, level and layer.
        name: stem of the files.
        title: of the figure.
        caption: what was fitted and scored, to stand below the figure.
        folder: where they are written.
    """
    data = pd.DataFrame([reading.to_data() for reading in readings]).astype({"layer": "Int64"})
    panels: dict[ProbeTarget, list[Reading]] = {}
    for reading in readings:
        panels.setdefault(reading.target, []).append(reading)
    meanings = [
        f"{TARGETS[target].title.capitalize()}: {TARGETS[target].meaning}." for target in panels
    ]
    error = f"Standard errors are at most {greatest_error(readings):.3f}."
    whole = "\n".join([*meanings, f"{caption} {error}"])
    figure = _figure(panels, title=title, caption=whole)
    write_chart(Chart(name, title, caption=whole, figure=figure, data=data), folder=folder)
    return [folder / f"{name}.{suffix}" for suffix in ("csv", "png", "svg")]


@drawing.styled
def _figure(panels: Mapping[ProbeTarget, Sequence[Reading]], *, title: str, caption: str) -> Figure:
    columns = [len({each.level for each in own}) for own in panels.values()]
    shown = list(itertools.chain(*panels.values()))
    layers = max(each.layer or 0 for each in shown)
    width = max(NARROWEST, TILE_WIDTH * sum(columns) + 0.35 * len(columns) + 1.9)
    lines = [drawing.broken(line, width=width, letter=1 / 16) for line in caption.splitlines()]
    text = "\n".join(lines)
    height = TILE_HEIGHT * (layers + 1) + 1.4 + 0.14 * (text.count("\n") + 1)
    figure = drawing.new_figure(width=width, height=height, title=title)
    lowest = min(each.score.value for each in shown)
    scale = Normalize(math.floor(10 * lowest) / 10, 1.0)
    row = figure.subplots(1, len(panels), squeeze=False, sharey=True, width_ratios=columns)[0]
    for axes, (target, own) in zip(row, panels.items(), strict=True):
        _panel(axes, own, target=target, scale=scale)
    _colour_bar(figure, row, scale=scale)
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(wspace=0.05)
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8, color=drawing.MUTED)
    return figure


def _panel(
    axes: Axes, readings: Sequence[Reading], *, target: ProbeTarget, scale: Normalize
) -> None:
    levels = list(dict.fromkeys(each.level for each in readings))
    scores = {(each.level, each.layer, each.model): each.score.value for each in readings}
    layers = sorted({each.layer for each in readings if each.layer is not None})
    for column, level in enumerate(levels):
        for layer in layers:
            value = scores[level, layer, "trained"]
            gain = signed(value - scores[level, layer, "untrained"])
            _tile(axes, (column, layer), value=value, below=gain, scale=scale)
        majority = scores[level, None, "majority"]
        _tile(axes, (column, -GAP), value=majority, below="", scale=scale)
    heights = [-GAP, *layers]
    axes.set_yticks(heights, ["majority\nclass", *(f"layer {layer}" for layer in layers)])
    axes.set_xticks(range(len(levels)), levels)
    axes.set_xlim(-0.5, len(levels) - 0.5)
    axes.set_ylim(-GAP - 0.5, layers[-1] + 0.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    explained = TARGETS[target]
    axes.set_title(f"{explained.title}:\n{explained.score.replace('_', ' ')}")


def _tile(
    axes: Axes, place: tuple[float, float], *, value: float, below: str, scale: Normalize
) -> None:
    colour = drawing.COLOUR_MAP(float(scale(value)))
    corner = (place[0] - 0.5, place[1] - 0.5)
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour, edgecolor="white", linewidth=1.5))
    for text, offset, size in ((labels.share(value), 5 if below else 0, 9.5), (below, -7, 7.5)):
        axes.annotate(
            text,
            place,
            xytext=(0, offset),
            textcoords="offset points",
            ha="center",
            va="center",
            color=drawing.text_colour(colour),
            fontsize=size,
        )


def _colour_bar(figure: Figure, row: np.ndarray, *, scale: Normalize) -> None:
    colours = ScalarMappable(norm=scale, cmap=drawing.COLOUR_MAP)
    bar = figure.colorbar(colours, ax=list(row), aspect=25, pad=0.02)
    bar.set_label("accuracy")
    bar.outline.set_visible(False)
