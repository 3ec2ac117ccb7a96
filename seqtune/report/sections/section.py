"""A section of a report, independent of the output format.

All text is plain; the renderers escape it.
"""

from dataclasses import dataclass, field, replace

import pandas as pd
from matplotlib.figure import Figure

MOST_ROWS = 1000
"""Rows of a table that a reader can still page through and a browser sort."""


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure.

    Attributes:
        name: stem of its files.
        title: alternative text.
        caption: what is shown, and what n is.
        data: the numbers that are drawn.
        interactive: the same for a page with a script, as JSON of a plotly figure; None without.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    data: pd.DataFrame
    interactive: str | None = None


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
    """A heading with alarms, paragraphs, charts, tables and listings, in this order.

    Attributes:
        alarms: reasons to doubt the results, printed in bold.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    listings: tuple[Listing, ...] = ()
    alarms: tuple[str, ...] = ()
