"""Points with intervals: cells along one compared path, or one below the other where none is compared."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from seqtune.report.figures import drawing, grid
from seqtune.report.naming import labels
from seqtune.report.naming.labels import is_missing
from seqtune.report.naming.names import Naming, distinct

MOST_NAMED = 14
"""With more points side by side, their means would be written over each other."""

Seeds = Mapping[str, Sequence[float]]
"""Cell -> the values that its mean is taken over."""


@drawing.styled
def along_path(
    cells: pd.DataFrame, *, path: str, seeds: Seeds, metric: str, title: str, naming: Naming
) -> Figure:
    """A series for every arm over the values of a compared path.

    Args:
        cells: rows with `arm`, `cell`, the compared path, `value`, `low`, `high` and `note`.
        path: the x axis.
        seeds: drawn as small rings beside the means.
        metric: the y axis.
        title: of the figure.
        naming: of the sweep.
    """
    values = grid.values(cells, path=path)
    names = [naming.value(value, path=path) for value in values]
    arms = list(dict.fromkeys(cells["arm"]))
    width = min(max(5.0, 1.6 + 0.9 * len(values) * len(arms)), 13.0)
    texts = _broken(names, room=(width - 1.2) / len(values))
    # Names too long to stand side by side stand one below another.
    upright = texts is not None
    height = 4.0 if upright else 1.4 + 0.38 * len(values) * len(arms)
    figure = drawing.new_figure(width=width if upright else 8.0, height=height, title=title)
    plot = _Plot(figure.subplots(), metric=metric, upright=upright, series=len(arms))
    plot.fit(cells, seeds=seeds)
    plot.name_places(texts or names, of=path)
    step = 0.8 / len(arms)
    for rank, arm in enumerate(arms):
        for _, row in cells[cells["arm"] == arm].iterrows():
            place = values.index(row[path]) + step * (rank - (len(arms) - 1) / 2)
            plot.draw(row, place=place, seeds=seeds.get(row["cell"], ()), rank=rank)
        plot.axes.plot([], [], **_marker(rank), label=arm)
    if arms != [""]:
        figure.legend(loc="outside lower left", ncols=min(len(arms), 4))
    return figure


@drawing.styled
def one_below_another(
    cells: pd.DataFrame, *, seeds: Seeds, metric: str, title: str, naming: Naming
) -> Figure:
    """A line for every cell; the arguments are those of `along_path`."""
    figure = drawing.new_figure(width=7.2, height=1.4 + 0.38 * len(cells), title=title)
    plot = _Plot(figure.subplots(), metric=metric, upright=False)
    plot.fit(cells, seeds=seeds)
    for line, (_, row) in enumerate(cells.iterrows()):
        plot.draw(row, place=line, seeds=seeds.get(row["cell"], ()), rank=0)
    whole = [row["arm"] or naming.cells[row["cell"]] for _, row in cells.iterrows()]
    plot.name_places(distinct(whole, longest=48))
    return figure


def _broken(names: Sequence[str], *, room: float) -> list[str] | None:
    """Names in lines of so many inches; None if that takes more than two lines, or breaks a word."""
    texts = [drawing.broken(name, width=room, letter=1 / 12) for name in names]
    whole = all(text.split() == name.split() for text, name in zip(texts, names, strict=True))
    return texts if whole and drawing.line_count(texts) <= 2 else None


class _Plot:
    """Axes with the metric along one side and places along the other; upright has the metric at the left."""

    def __init__(self, axes: Axes, *, metric: str, upright: bool, series: int = 1) -> None:
        self.axes = axes
        self._upright = upright
        # Beside the mean, and nearer to it than to that of the next series.
        self._beside = -0.08 if upright else 0.24 / series
        self._named = True
        self._value_axis: Axis = axes.yaxis if upright else axes.xaxis
        separator = "\n" if upright else ", "
        self._value_axis.set_label_text(
            f"{labels.with_unit(metric)}{separator}{labels.direction(metric)}"
        )
        axes.grid(axis="y" if upright else "x")
        axes.margins(0.08)

    def fit(self, cells: pd.DataFrame, *, seeds: Seeds) -> None:
        """Chooses the scale of the metric by what will be drawn, and whether means fit beside points."""
        self._named = not self._upright or len(cells) <= MOST_NAMED
        drawn = [value for cell in cells["cell"] for value in seeds.get(cell, ())]
        drawn += [float(value) for value in cells["value"].dropna()]
        log = drawing.needs_log(drawn)
        if log:
            bounds = [float(value) for name in ("low", "high") for value in cells[name].dropna()]
            positive = [value for value in (*drawn, *bounds) if value > 0]
            # An interval may reach below 0, where the scale ends: it is drawn to the edge.
            low, high = max(min(positive), min(drawn) / 10) / 1.6, max(positive) * 1.6
            if self._upright:
                self.axes.set(yscale="log", ylim=(low, high))
            else:
                self.axes.set(xscale="log", xlim=(low, high))
        drawing.plain_ticks(self._value_axis, log=log)

    def name_places(self, names: Sequence[str], *, of: str = "") -> None:
        """Writes the names of places 0, 1, ... along their axis, from left to right or from top to bottom."""
        first, last = -0.6, len(names) - 0.4
        if self._upright:
            self.axes.set_xticks(range(len(names)), names)
            self.axes.set_xlim(first, last)
            self.axes.set_xlabel(of)
        else:
            self.axes.set_yticks(range(len(names)), names)
            self.axes.set_ylim(last, first)
            self.axes.set_ylabel(of)
            self.axes.tick_params(axis="y", length=0)

    def draw(self, row: pd.Series, *, place: float, seeds: Sequence[float], rank: int) -> None:
        """A cell: its mean with the figure beside it, its interval as a line, its seeds as rings."""
        if is_missing(row["value"]):
            self._say(row["note"], place=place)
            return
        value, colour = float(row["value"]), drawing.COLOURS[rank % len(drawing.COLOURS)]
        if len(seeds) > 1:
            beside = [place + self._beside] * len(seeds)
            ring = {"marker": "o", "ms": 3.5, "mfc": "none", "mec": colour, "mew": 0.8}
            self._line(beside, seeds, ls="", **ring)
        if not is_missing(row["low"]):
            self._line([place, place], [row["low"], row["high"]], color=colour, lw=1.6)
        self._line([place], [value], **_marker(rank))
        self.axes.annotate(
            labels.number(value) if self._named else "",
            (place, value) if self._upright else (value, place),
            xytext=(7, 0) if self._upright else (0, 6),
            textcoords="offset points",
            ha="left" if self._upright else "center",
            va="center" if self._upright else "bottom",
            fontsize=8,
        )

    def _line(self, places: Sequence[float], values: Sequence[float], **style: Any) -> None:
        self.axes.plot(*((places, values) if self._upright else (values, places)), **style)

    def _say(self, note: str, *, place: float) -> None:
        axes, upright = self.axes, self._upright
        axes.text(
            *((place, 0.03) if upright else (0.02, place)),
            note if upright else note.replace("\n", " "),
            transform=axes.get_xaxis_transform() if upright else axes.get_yaxis_transform(),
            ha="center" if upright else "left",
            va="bottom" if upright else "center",
            color=drawing.MUTED,
            fontsize=8,
        )


def _marker(rank: int) -> dict[str, Any]:
    colour = drawing.COLOURS[rank % len(drawing.COLOURS)]
    return {
        "color": colour,
        "marker": drawing.MARKERS[rank % len(drawing.MARKERS)],
        "ms": 6,
        "ls": "",
    }
