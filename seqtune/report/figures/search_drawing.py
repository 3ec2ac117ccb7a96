"""The search on paper: scores over every tuned value, and all values of a trial side by side."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqtune.report.data.search_trials import SearchTrial
from seqtune.report.figures import drawing, grid
from seqtune.report.figures.coordinates import MISSING, Axis
from seqtune.report.naming import labels

WIDTH, HEIGHT, WIDEST = 3.2, 2.7, 10.0
SHADES = 8
"""Trials are coloured by the eighth of their cell that they belong to: the best are the darkest."""

Cells = Mapping[str, Sequence[SearchTrial]]
"""Name of a cell -> its trials."""


@drawing.styled
def slices(
    cells: Cells, *, axes: Mapping[str, Axis], score: Axis, metric: str, title: str
) -> Figure:
    """A panel a tuned path, a point a trial.

    Args:
        cells: what is drawn; at most as many as there are colours are told apart.
        axes: of the paths.
        score: of the metric.
        metric: what a score is.
        title: of the figure.
    """
    rows, columns = grid.shape(len(axes), most_columns=int(WIDEST / WIDTH))
    told = len(cells) <= len(drawing.COLOURS)
    longest = max(map(len, cells), default=0)
    beside = 0.075 * longest + 0.4 if told else 0.0
    size = (max(columns * WIDTH, 4.2) + 0.5 + beside, rows * HEIGHT + 0.5)
    figure = drawing.new_figure(width=size[0], height=size[1], title=title)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for panel in panels.flat[len(axes) :]:
        panel.set_axis_off()
    for panel, (path, axis) in zip(panels.flat, axes.items(), strict=False):
        for number, (name, trials) in enumerate(cells.items()):
            mine = [trial for trial in trials if path in trial.values]
            panel.plot(
                [axis.place(trial.values[path]) for trial in mine],
                [score.place(trial.score) for trial in mine],
                marker=drawing.MARKERS[number % len(drawing.MARKERS)] if told else "o",
                color=drawing.COLOURS[number % len(drawing.COLOURS)] if told else drawing.MUTED,
                ls="",
                ms=4.5,
                alpha=0.8,
                label=name,
            )
        _mark(panel, x=axis, y=score)
    for panel in panels[:, 0]:
        panel.set_ylabel(labels.with_unit(metric))
    if told and len(cells) > 1:
        handles, names = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside right upper", fontsize=8)
    return figure


def _mark(panel: Axes, *, x: Axis, y: Axis) -> None:
    panel.grid(axis="y")
    panel.set_xlim(-0.06, 1.06)
    panel.set_ylim(-0.06, 1.06)
    panel.set_xlabel(x.title)
    places, texts = zip(*x.ticks(), strict=True) if x.ticks() else ((), ())
    panel.set_xticks(places, [drawing.broken(text, width=0.9) for text in texts])
    places, texts = zip(*y.ticks(), strict=True) if y.ticks() else ((), ())
    panel.set_yticks(places, texts)


@drawing.styled
def parallel(
    cells: Cells, *, axes: Mapping[str, Axis], score: Axis, title: str, higher: bool
) -> Figure:
    """A panel a cell: an axis a tuned path and one for the score, a line a trial."""
    width = 1.05 * (len(axes) + 1) + 0.5
    rows, columns = grid.shape(len(cells), most_columns=int(12 / width))
    size = (columns * width + 0.3, rows * 3.1 + 0.5)
    figure = drawing.new_figure(width=size[0], height=size[1], title=title)
    panels = figure.subplots(rows, columns, squeeze=False)
    for panel in panels.flat[len(cells) :]:
        panel.set_axis_off()
    colours = list(reversed(drawing.ordered_colours(SHADES)))
    for panel, (name, trials) in zip(panels.flat, cells.items(), strict=False):
        panel.set_title(drawing.broken(name, width=width))
        # The best are drawn last, over the others.
        for trial, shade in reversed(shaded(trials, higher=higher)):
            panel.plot(places(trial, axes=axes, score=score), color=colours[shade], lw=1.1)
        _draw_axes(panel, axes=[*axes.values(), score])
    return figure


def places(trial: SearchTrial, *, axes: Mapping[str, Axis], score: Axis) -> list[float]:
    """Where a trial's line crosses every axis; the last is that of the score."""
    inside = [
        axis.place(trial.values[path]) if path in trial.values else MISSING
        for path, axis in axes.items()
    ]
    return [*inside, score.place(trial.score)]


def shaded(trials: Sequence[SearchTrial], *, higher: bool) -> list[tuple[SearchTrial, int]]:
    """The trials, the best first, with the number of the shade that each has: 0 for the best eighth."""
    ordered = sorted(trials, key=lambda trial: trial.score, reverse=higher)
    return [(trial, rank * SHADES // len(ordered)) for rank, trial in enumerate(ordered)]


def _draw_axes(panel: Axes, *, axes: Sequence[Axis]) -> None:
    panel.set_xticks(
        range(len(axes)), [axis.title.replace(".", ".\n") for axis in axes], fontsize=8
    )
    panel.set_xlim(-0.1, len(axes) - 0.6)
    panel.set_ylim(MISSING - 0.06, 1.06)
    panel.set_yticks([])
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)
    for number, axis in enumerate(axes):
        panel.plot([number] * 2, [0, 1], color=drawing.MUTED, lw=0.8, zorder=3)
        for place, text in axis.ticks():
            panel.annotate(
                labels.clip(text, longest=12),
                (number, place),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
                bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.75},
                zorder=4,
            )
