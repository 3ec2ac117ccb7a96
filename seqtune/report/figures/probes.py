"""What linear probes found in a run: a heat map of layers by levels for every target, and its numbers."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

from seqtune.report.figures import drawing
from seqtune.report.naming import labels
from seqtune.report.render.files import write_chart
from seqtune.report.sections.section import Chart
from seqtune.training.probes import TARGETS, ProbeResult, ProbeTarget, signed

TILE_WIDTH, TILE_HEIGHT = 0.78, 0.46
"""Inches: enough for a score and what training added."""
NARROWEST = 6.5
"""Inches: enough for the caption."""
NARROWEST_PANEL = 1.6
"""Tiles: enough for the longest word of a heading."""
GAP = 0.25
"""Between the layers and what is told without one, in tiles."""


def write(
    readings: Sequence[ProbeResult],
    *,
    rows: Sequence[Mapping[str, Any]],
    name: str,
    title: str,
    caption: str,
    folder: Path,
) -> list[Path]:
    """Writes a CSV file, and a figure as PNG and SVG; says where they are.

    Each takes the place of one of its name when it is whole.

    Args:
        readings: of every layer of one run, by target, level and layer.
        rows: the same for the CSV file, each with how it was measured.
        name: stem of the files.
        title: of the figure.
        caption: what was fitted and scored and how far it may be off, to stand below the figure.
        folder: where they are written.

    Raises:
        OSError: if they cannot be written there, with a name.
    """
    data = pd.DataFrame(rows).astype({"layer": "Int64"})
    meanings = [
        f"{TARGETS[target].title.capitalize()}: {TARGETS[target].meaning}."
        for target in _panels(readings)
    ]
    whole = "\n".join([*meanings, caption])
    figure = drawn(readings, title=title, caption=whole)
    chart = Chart(name, title, caption=whole, figure=figure, data=data)
    paths = [folder / f"{name}.{suffix}" for suffix in ("csv", "png", "svg")]
    try:
        with TemporaryDirectory(dir=folder, prefix=f".{name}.") as partial:
            write_chart(chart, folder=Path(partial))
            for path in paths:
                (Path(partial) / path.name).replace(path)
    except OSError as error:
        # A full disk does not say which file had no room.
        raise OSError(error.errno, error.strerror or str(error), str(paths[0])) from error
    return paths


def _panels(readings: Sequence[ProbeResult]) -> dict[ProbeTarget, list[ProbeResult]]:
    panels: dict[ProbeTarget, list[ProbeResult]] = {}
    for reading in readings:
        panels.setdefault(reading.target, []).append(reading)
    return panels


@drawing.styled
def drawn(readings: Sequence[ProbeResult], *, title: str, caption: str) -> Figure:
    """A panel for every target: layers by levels."""
    panels = _panels(readings)
    columns = [_columns(own) for own in panels.values()]
    layers = max(each.layer or 0 for each in readings)
    width = max(NARROWEST, TILE_WIDTH * sum(columns) + 0.35 * len(columns) + 1.9)
    lines = [drawing.broken(line, width=width, letter=1 / 16) for line in caption.splitlines()]
    text = "\n".join(lines)
    headings = [
        _heading(target, width=TILE_WIDTH * own)
        for target, own in zip(panels, columns, strict=True)
    ]
    height = TILE_HEIGHT * (layers + 1) + 1.1
    height += 0.14 * (drawing.line_count([text]) + drawing.line_count(headings))
    figure = drawing.new_figure(width=width, height=height, title=title)
    lowest = min(each.score.value for each in readings)
    scale = Normalize(math.floor(10 * lowest) / 10, 1.0)
    row = figure.subplots(1, len(panels), squeeze=False, sharey=True, width_ratios=columns)[0]
    for axes, own, heading in zip(row, panels.values(), headings, strict=True):
        _panel(axes, own, scale=scale)
        axes.set_title(heading)
    _colour_bar(figure, row, scale=scale)
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(wspace=0.05)
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8, color=drawing.MUTED)
    return figure


def _heading(target: ProbeTarget, *, width: float) -> str:
    """A panel's target and score in lines of at most so many inches."""
    explained = TARGETS[target]
    parts = (f"{explained.title}:", explained.score.replace("_", " "))
    return "\n".join(drawing.broken(part, width=width) for part in parts)


def _columns(readings: Sequence[ProbeResult]) -> float:
    """Width of a panel in tiles; one of few levels is wider than these, for its heading."""
    return max(NARROWEST_PANEL, len({each.level for each in readings}))


def _panel(axes: Axes, readings: Sequence[ProbeResult], *, scale: Normalize) -> None:
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
    axes.set_xlim(-0.5, _columns(readings) - 0.5)
    axes.set_ylim(-GAP - 0.5, layers[-1] + 0.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


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
