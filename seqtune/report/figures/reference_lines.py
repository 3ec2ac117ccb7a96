"""Dotted lines of references in greys, the darker the better, each named at its right end."""

from collections.abc import Iterator, Mapping

from matplotlib.axes import Axes

from seqtune.report.figures import drawing
from seqtune.report.naming import labels

LIGHT, DARK = 0.62, 0.3
"""Greys of the worst and of the best reference, from black 0 to white 1."""
DOTTED = (0, (1, 2))


def draw(axes: Axes, references: Mapping[str, float]) -> None:
    """Draws the lines; they get their names from `ends`, once the axes' limits are final."""
    for _, value, colour in _coloured(axes, references):
        axes.axhline(value, color=colour, lw=1.1, ls=DOTTED, zorder=1)


def ends(axes: Axes, references: Mapping[str, float]) -> list[drawing.End]:
    """The lines' names at their right ends."""
    right = float(axes.get_xlim()[1])
    return [
        drawing.End(right, value, text=short(name), colour=colour)
        for name, value, colour in _coloured(axes, references)
    ]


def short(name: str) -> str:
    """A name that fits beside a chart."""
    return labels.clip(name, longest=28)


def _coloured(axes: Axes, references: Mapping[str, float]) -> Iterator[tuple[str, float, str]]:
    """Name, value and grey of every reference that the scale has a place for, the worst first."""
    step = (LIGHT - DARK) / max(1, len(references) - 1)
    worst_first = sorted(references.items(), key=lambda each: -each[1])
    for rank, (name, value) in enumerate(worst_first):
        if value > 0 or axes.get_yscale() != "log":
            yield name, value, f"{LIGHT - step * rank:.3f}"
