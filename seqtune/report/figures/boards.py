"""Boards side by side: a row a sample, first what was asked, then what every run answered."""

import base64
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from seqtune.report.figures import theme
from seqtune.report.naming import labels
from seqtune.tasks.generative_evaluation import CELLS, Cells
from seqtune.tasks.picture import CELL_PIXELS, PALETTE, Pixels, paint

LARGEST, SMALLEST = 160, 64
"""Pixels of a board's longer side."""
CELL = 10
"""Pixels of a cell, as long as the board lies between those bounds."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """A predicted board, and whether everything about the completion is right."""

    board: Cells
    right: bool | None

    @property
    def verdict(self) -> str:
        """What is written below the board."""
        wrong = int((self.board > 1).sum())
        if wrong:
            return f"{wrong:,} wrong"
        return "not exact" if self.right is False else "right"


@dataclass(frozen=True, eq=False)
class Row:
    """A sample.

    Attributes:
        title: what it is.
        asked: boards by name that all answers share: the prompt, the target.
        answers: in the order of the columns; None where this was not asked.
    """

    title: str
    asked: Mapping[str, Cells]
    answers: Sequence[Predicted | None]


def picture(rows: Sequence[Row], *, names: Sequence[str], title: str) -> theme.Spec:
    """Return the rows, all of which are asked by the same names.

    Args:
        rows: at least one.
        names: of the answers.
        title: of the whole figure.
    """
    boards = [board for row in rows for board in row.asked.values()]
    longer = max(max(board.shape) for board in boards)
    side = min(LARGEST, max(SMALLEST, CELL * longer)) / longer
    # Cells of the picture begin at whole pixels, so that no line between them is blurred.
    side = CELL_PIXELS * round(side / CELL_PIXELS) or CELL_PIXELS // 2
    height, width = (max(board.shape[axis] for board in boards) * side for axis in (0, 1))
    titles = [labels.clip(row.title, longest=36) for row in rows]
    columns = [*rows[0].asked, *names]
    frame = pd.DataFrame(_tiles(rows, titles=titles, names=names))
    # A heading may have several lines, which a header shows where its label is a list of them.
    headings = {name: "\n".join(theme.broken(name, width=max(width, 70))) for name in columns}
    frame["column"] = frame["column"].map(headings)
    lines = alt.Header(labelExpr="split(datum.label, '\\n')", labelPadding=8)
    column = alt.Column("column:N", title=None, sort=list(headings.values()), header=lines)
    header = alt.Header(
        labelAngle=0, labelAnchor="middle", labelAlign="right", labelFontWeight="normal"
    )
    row = alt.Row("row:N", title=None, sort=titles, header=header)
    base = alt.Chart(frame)
    key = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=list(CELLS), range=list(PALETTE)),
        legend=alt.Legend(
            title=None,
            orient="bottom",
            symbolType="square",
            symbolOpacity=1,
            symbolStrokeColor="#8c8c8c",
            symbolStrokeWidth=0.5,
        ),
    )
    layers = [
        # Only for the legend: the boards are pictures.
        base.transform_calculate(kind=f"'{next(iter(CELLS))}'")
        .mark_square(size=0, strokeWidth=0)
        .encode(color=key, x=alt.value(0), y=alt.value(0)),
        base.mark_image(width=width, height=height, align="left", baseline="top").encode(
            url="url:N", x=alt.value(0), y=alt.value(0), tooltip=["row", "column", "verdict"]
        ),
        base.mark_text(baseline="top", style="muted-text").encode(
            text="verdict:N", x=alt.value(width / 2), y=alt.value(height + 4)
        ),
    ]
    chart = alt.layer(*layers).properties(width=width, height=height + 16)
    facet = chart.facet(row=row, column=column).properties(spacing={"row": 10, "column": 14})
    return theme.specification(facet, title=title, width=(width + 14) * len(columns) + 120)


def _tiles(
    rows: Sequence[Row], *, titles: Sequence[str], names: Sequence[str]
) -> Iterator[dict[str, str | None]]:
    for title, row in zip(titles, rows, strict=True):
        for name, board in row.asked.items():
            yield {"row": title, "column": name, "url": data_url(board), "verdict": ""}
        for name, answer in zip(names, row.answers, strict=True):
            url, verdict = (
                (data_url(answer.board), answer.verdict) if answer else (None, "not asked")
            )
            yield {"row": title, "column": name, "url": url, "verdict": verdict}


def data_url(board: Cells) -> str:
    """Return a board as a PNG image in a URL."""
    return f"data:image/png;base64,{base64.b64encode(_png(paint({'': board}))).decode('ascii')}"


def _png(picture: Pixels) -> bytes:
    """PNG of 8-bit RGB, compressed; no library that seqtune needs anyway writes it."""
    picture = picture.repeat(4, axis=0).repeat(4, axis=1)
    height, width, _ = picture.shape
    # A filter byte of 0 begins every line.
    lines = np.concatenate([np.zeros((height, 1), np.uint8), picture.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = {b"IHDR": header, b"IDAT": zlib.compress(lines.tobytes(), 9), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts.items()
    )
