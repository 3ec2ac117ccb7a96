"""A section of a report, independent of the output format.

All text is plain; the renderers escape it.
"""

from dataclasses import dataclass, field, replace

import pandas as pd

from seqtune.report.figures.theme import Spec

MOST_ROWS = 1000
"""Rows of a table that a reader can still page through and a browser sort."""


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure of a report.

    Attributes:
        name: stem of its files.
        title: alternative text.
        caption: what is shown, and what n is.
        chart: a Vega-Lite specification with its data: what the page draws and the files show.
        data: the numbers that are drawn, with every digit.
    """

    name: str
    title: str
    caption: str
    chart: Spec
    data: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Table:
    """A table; text is printed as it is, numbers are formatted by the renderer.

    Attributes:
        caption: what is shown, and what n is.
        frame: the table to print.
        name: stem of the file with its data; empty if it has none.
        data: the numbers behind it, with all digits.
    """

    caption: str
    frame: pd.DataFrame
    name: str = ""
    data: pd.DataFrame = field(default_factory=pd.DataFrame)

    def shortened(self) -> "Table":
        """Return the table with at most `MOST_ROWS` rows, which its caption then states."""
        rows = len(self.frame)
        if rows <= MOST_ROWS:
            return self
        note = f" The first {MOST_ROWS:,} of {rows:,} rows are shown; the CSV file has all."
        return replace(self, caption=self.caption + note, frame=self.frame.head(MOST_ROWS))


@dataclass(frozen=True, eq=False)
class Listing:
    """Lines of preformatted text."""

    caption: str
    lines: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Section:
    """A heading with alarms, then paragraphs, then figures, then tables, then listings.

    Attributes:
        alarms: reasons to doubt the results, printed in bold.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    listings: tuple[Listing, ...] = ()
    alarms: tuple[str, ...] = ()
