"""Boards side by side: a row a sample, first what was asked, then what every run answered.

Everything is placed in inches: tiles keep their size and their distance however many there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from seqtune.report.figures import drawing
from seqtune.report.naming import labels
from seqtune.tasks.generative_evaluation import CELLS, Cells
from seqtune.tasks.picture import LINE, PALETTE, rgb

LARGEST, SMALLEST = 1.6, 0.75
"""Inches of a tile's longer side."""
CELL = 0.1
"""Inches of a cell, as long as the tile lies between those bounds."""
LEAST_PITCH = 1.05
"""Inches from tile to tile: room for a name above it."""
LEAST_WIDTH = 4.4
"""Inches of the sheet: room for the legend."""
TITLES, MARGIN, GAP, BETWEEN, LINE_HEIGHT = 1.15, 0.15, 0.15, 0.28, 0.17
"""Inches: names of the samples; the edge; between tiles; before the answers; of a line of text."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """A predicted board, and whether everything about the completion is right."""

    board: Cells
    right: bool | None

    @property
    def verdict(self) -> str:
        """Said below the board."""
        wrong = int((self.board > 1).sum())
        if wrong:
            return f"{wrong:,} wrong"
        return "not exact" if self.right is False else "right"


@dataclass(frozen=True, eq=False)
class Row:
    """A sample.

    Attributes:
        title: what it is.
        asked: boards by name that all answers share: the prompt, the truth.
        answers: in the order of the columns; None where this was not asked.
    """

    title: str
    asked: Mapping[str, Cells]
    answers: Sequence[Predicted | None]


@drawing.styled
def picture(rows: Sequence[Row], *, names: Sequence[str], title: str) -> Figure:
    """Draws the rows, all of which are asked by the same names.

    Args:
        rows: at least one.
        names: of the answers.
        title: of the whole figure.
    """
    asked = list(rows[0].asked)
    sheet = _Sheet.of(rows, asked=asked, names=names, title=title)
    for place in range(len(sheet.headings)):
        sheet.say(place)
    for line, row in enumerate(rows):
        sheet.name(line)
        for place, board in enumerate(row.asked.values()):
            _tile(sheet.axes(line, place), board)
        for place, answer in enumerate(row.answers, start=len(asked)):
            axes = sheet.axes(line, place)
            if answer is None:
                axes.set_axis_off()
                axes.text(0.5, 0.5, "not asked", ha="center", va="center", color=drawing.MUTED)
            else:
                _tile(axes, answer.board)
                axes.set_xlabel(answer.verdict, fontsize=7.5, labelpad=2)
    _legend(sheet.figure)
    return sheet.figure


@dataclass(frozen=True, eq=False)
class _Sheet:
    """The figure, and where on it everything is, in inches from the lower left.

    Attributes:
        headings: of the columns, in lines; `titles` are those of the rows.
        asked: columns before the answers.
        width: of a tile; `height` likewise, and `pitch` from one to the next, to the right and down.
        top: of the uppermost tiles.
    """

    figure: Figure
    headings: list[str]
    titles: list[str]
    asked: int
    width: float
    height: float
    pitch: tuple[float, float]
    top: float

    @classmethod
    def of(
        cls, rows: Sequence[Row], *, asked: Sequence[str], names: Sequence[str], title: str
    ) -> "_Sheet":
        """A sheet of the size that the rows need."""
        boards = [board for row in rows for board in row.asked.values()]
        longer = max(max(board.shape) for board in boards)
        side = min(LARGEST, max(SMALLEST, CELL * longer))
        # Whole pixels: the lines between cells would else lie beside the cells' edges.
        scale = max(1, round(side / longer * drawing.DPI)) / drawing.DPI
        width = max(board.shape[1] for board in boards) * scale
        height = max(board.shape[0] for board in boards) * scale
        right = max(LEAST_PITCH, width + GAP)
        headings = [drawing.broken(name, width=right - 0.1) for name in (*asked, *names)]
        titles = [
            drawing.broken(labels.clip(row.title, longest=36), width=TITLES - 0.25) for row in rows
        ]
        down = max(height + 2 * LINE_HEIGHT, LINE_HEIGHT * (drawing.line_count(titles) + 0.5))
        across = max(LEAST_WIDTH, TITLES + BETWEEN + right * len(headings) + MARGIN)
        # The title is broken to the sheet's width, which is known only now.
        lines = drawing.line_count([drawing.broken(title, width=across, letter=1 / 12)])
        above = 0.1 + 0.2 * lines + LINE_HEIGHT * (drawing.line_count(headings) + 0.6)
        top = 0.35 + len(rows) * down
        size = {"width": _whole(across), "height": _whole(above + top)}
        figure = drawing.new_figure(**size, title=title)
        figure.set_layout_engine("none")
        # Without a layout engine it would stand at a share of the height, which differs.
        figure.texts[0].set_y(1 - 0.06 / size["height"])
        pitch = (right, down)
        return cls(figure, headings, titles, len(asked), width, height, pitch, top=top)

    def axes(self, row: int, column: int) -> Axes:
        """Axes for a tile."""
        box = (_whole(self._left(column)), _whole(self._bottom(row)), self.width, self.height)
        across, down = self.figure.get_size_inches()
        return self.figure.add_axes(tuple(np.divide(box, (across, down, across, down))))

    def say(self, column: int) -> None:
        """Writes a column's heading."""
        x = self._left(column) + self.width / 2
        self._text(x, self.top + 0.05, self.headings[column], ha="center", va="bottom")

    def name(self, row: int) -> None:
        """Writes a row's name."""
        middle = self._bottom(row) + self.height / 2
        self._text(MARGIN, middle, self.titles[row], ha="left", va="center")

    def _left(self, column: int) -> float:
        between = BETWEEN if column >= self.asked else 0.0
        return TITLES + between + column * self.pitch[0] + (self.pitch[0] - self.width) / 2

    def _bottom(self, row: int) -> float:
        return self.top - self.height - row * self.pitch[1]

    def _text(self, x: float, y: float, text: str, *, ha: str, va: str) -> None:
        width, height = self.figure.get_size_inches()
        self.figure.text(x / width, y / height, text, ha=ha, va=va, fontsize=9)


def _whole(inches: float) -> float:
    return round(inches * drawing.DPI) / drawing.DPI


def _tile(axes: Axes, board: Cells) -> None:
    colours = np.array([rgb(colour) for colour in PALETTE], dtype=np.uint8)
    # Drawn as it is, not resampled: a cell keeps its colour and its edges, in the SVG too.
    axes.imshow(colours[board], interpolation="none")
    rows, columns = board.shape
    width = 0.6 if max(rows, columns) <= 16 else 0.3
    axes.hlines(np.arange(rows + 1) - 0.5, -0.5, columns - 0.5, color=LINE, lw=width)
    axes.vlines(np.arange(columns + 1) - 0.5, -0.5, rows - 0.5, color=LINE, lw=width)
    axes.set(xticks=[], yticks=[], xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    axes.spines[:].set_visible(False)


def _legend(figure: Figure) -> None:
    patches = [
        Patch(facecolor=colour, edgecolor=drawing.MUTED, linewidth=0.5, label=name)
        for name, colour in zip(CELLS, PALETTE, strict=True)
    ]
    figure.legend(
        handles=patches,
        loc="lower left",
        ncols=len(patches),
        fontsize=8,
        borderaxespad=0.3,
        handlelength=1.0,
        handletextpad=0.4,
        columnspacing=1.2,
    )
