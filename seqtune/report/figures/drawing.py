"""What all figures share: type, colours, scales.

Colours are told apart by colour-blind readers and in greyscale: light means little, dark means much.
Figures are matplotlib objects of their own; nothing is drawn through pyplot's global state.
"""

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LogNorm, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, ScalarFormatter

from seqtune.report.naming.labels import order

INK = "#222222"
MUTED = "#6b6b6b"
EMPTY = "#f1f1f1"
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"),
    *("#8c8c8c", "#7f4f24"),
)
"""Those of Okabe & Ito 2008; for yellow, which is not seen as a thin line on white, grey and brown."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
COLOUR_MAP = matplotlib.colormaps["YlGnBu"]
DPI = 150
LOG_FROM = 20.0
"""Positive values that span more than this factor are shown on a logarithmic scale."""

styled = matplotlib.rc_context(
    {
        "font.size": 9,
        "axes.titlesize": 9.5,
        "axes.titlelocation": "left",
        "axes.labelsize": 9,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": False,
        "grid.color": "#e3e3e3",
        "grid.linewidth": 0.8,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "text.color": INK,
        # A name with two dollar signs is a name, no formula.
        "text.parse_math": False,
        "legend.frameon": False,
        "savefig.dpi": DPI,
        # The same runs give the same files, byte for byte.
        "svg.hashsalt": "seqtune",
    }
)
"""Draws a function's figures in this style: use it as a decorator."""


def new_figure(*, width: float, height: float, title: str) -> Figure:
    """An empty figure in inches, its title broken to its width."""
    figure = Figure(figsize=(width, height), layout="constrained")
    text = broken(title, width=width, letter=1 / 12)
    figure.suptitle(text, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
    return figure


def broken(text: str, *, width: float, letter: float = 1 / 14) -> str:
    """Text in lines of at most `width` inches, a letter being `letter` inches wide."""
    return textwrap.fill(text, width=max(10, int(width / letter)))


def line_count(texts: Iterable[str]) -> int:
    """Lines of the tallest text."""
    return max((text.count("\n") + 1 for text in texts), default=1)


def needs_log(values: Iterable[float]) -> bool:
    """Whether values are all positive and so unlike that a linear scale would hide the small ones."""
    numbers = _finite(values)
    return bool(numbers) and min(numbers) > 0 and max(numbers) > LOG_FROM * min(numbers)


def colour_scale(values: Iterable[float]) -> Normalize:
    """Values -> [0, 1], logarithmic where they need it; a single value lies in the middle."""
    numbers = _finite(values) or [0.0]
    low, high = min(numbers), max(numbers)
    if needs_log(numbers):
        return LogNorm(low, high)
    if low == high:
        margin = abs(low) / 2 or 1.0
        return Normalize(low - margin, high + margin)
    return Normalize(low, high)


def text_colour(background: Any) -> str:
    """Black or white, whichever stands out more against a background."""
    return "black" if (luminance(background) + 0.05) ** 2 > 1.05 * 0.05 else "white"


def as_text(colour: Any) -> tuple[float, float, float]:
    """A line's colour, darkened until text of it can be read on white: a contrast of 4.5."""
    red, green, blue = to_rgb(colour)
    while 1.05 / (luminance((red, green, blue)) + 0.05) < 4.5:
        red, green, blue = 0.95 * red, 0.95 * green, 0.95 * blue
    return red, green, blue


def luminance(colour: Any) -> float:
    """How light a colour is, in [0, 1]. Source: WCAG 2.1, relative luminance."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in to_rgb(colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ordered_colours(count: int) -> list[Any]:
    """Colours for values in an order, light to dark, all dark enough for a line on white."""
    if count == 1:
        return [COLOURS[0]]
    ramp: Colormap = matplotlib.colormaps["viridis_r"]
    return [ramp(0.18 + 0.82 * index / (count - 1)) for index in range(count)]


def distinct_colours(count: int) -> list[Any]:
    """Colours for values in no order; after nine they repeat."""
    return [COLOURS[index % len(COLOURS)] for index in range(count)]


def named_colours(ranks: Mapping[str, Any]) -> dict[str, Any]:
    """Name -> colour, the same in every panel: along a ramp where the names have an order.

    Args:
        ranks: by name, the value by which it is ordered; None if by nothing.
    """
    if all(isinstance(rank, int | float) for rank in ranks.values()):
        names = sorted(ranks, key=lambda name: order(ranks[name]))
        return dict(zip(names, ordered_colours(len(names)), strict=True))
    return dict(zip(ranks, distinct_colours(len(ranks)), strict=True))


def plain_ticks(axis: Any, *, log: bool) -> None:
    """Writes ticks as 0.01, 0.1, 1 rather than as powers; `axis` is an x, y or colour-bar axis."""
    if log:
        axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=12))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axis.set_major_formatter(ScalarFormatter(useOffset=False))


def short_count(value: float, _: object = None) -> str:
    """A tick of a large count: 500, 20k, 1.5M."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def spread(positions: list[float], *, gap: float) -> list[float]:
    """Moves positions apart to at least `gap`, keeping their order and, as far as can be, their places."""
    ranks = sorted(range(len(positions)), key=lambda index: positions[index])
    # Neighbours that are too close become one block around their own mean, and blocks may merge again.
    blocks: list[list[int]] = []
    for index in ranks:
        blocks.append([index])
        while len(blocks) > 1 and _top(blocks[-2], positions, gap) + gap > _bottom(
            blocks[-1], positions, gap
        ):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    moved = list(positions)
    for block in blocks:
        start = _bottom(block, positions, gap)
        for step, index in enumerate(block):
            moved[index] = start + step * gap
    return moved


def held(positions: list[float], *, gap: float, low: float, high: float) -> list[float]:
    """Moves positions that are `gap` apart between two bounds; too many of them leave the upper one."""
    ranks = sorted(range(len(positions)), key=lambda index: positions[index])
    moved = list(positions)
    for below, index in enumerate(reversed(ranks)):
        moved[index] = min(moved[index], high - below * gap)
    for below, index in enumerate(ranks):
        moved[index] = max(moved[index], low + below * gap)
    return moved


@dataclass(frozen=True)
class End:
    """Where a line ends, in data coordinates, and what is written there."""

    x: float
    y: float
    text: str
    colour: Any


def label_line_ends(axes: Axes, *, ends: Sequence[End], gap: float) -> None:
    """Names lines at the right edge of the axes; `gap` is the least distance in axes heights.

    The axes' limits must be final.
    """
    axes.autoscale_view()
    to_axes = (axes.transScale + axes.transLimits).transform
    heights = spread([float(to_axes((end.x, end.y))[1]) for end in ends], gap=gap)
    # Names may not stand above or below the axes, where titles, ticks and the next panel are.
    heights = held(heights, gap=gap, low=gap / 2, high=1.0)
    for end, height in zip(ends, heights, strict=True):
        axes.annotate(
            end.text,
            xy=(end.x, end.y),
            xytext=(1.06, height),
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            color=as_text(end.colour),
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "relpos": (0, 0.5),
                "patchA": None,
                "color": end.colour,
                "lw": 0.6,
                "shrinkA": 2,
                "shrinkB": 3,
            },
        )


def _middle(block: list[int], positions: list[float]) -> float:
    return math.fsum(positions[index] for index in block) / len(block)


def _bottom(block: list[int], positions: list[float], gap: float) -> float:
    return _middle(block, positions) - gap * (len(block) - 1) / 2


def _top(block: list[int], positions: list[float], gap: float) -> float:
    return _middle(block, positions) + gap * (len(block) - 1) / 2


def _finite(values: Iterable[float]) -> list[float]:
    return [float(value) for value in values if math.isfinite(value)]
