"""A section of a report as a value: what it says, shows and tabulates, before any format is chosen.

All text is plain: whoever renders it escapes it.
"""

from dataclasses import dataclass, field, replace

import pandas as pd

from seqtune.report.figures.theme import Spec

MOST_ROWS = 1000
"""Of a table that a reader can still leaf through, and a browser sort."""


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure of a report.

    Attributes:
        name: stem of its files.
        title: what it is, for a reader who cannot see it.
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
    """A table: text as it stands, numbers as the renderer writes them.

    Attributes:
        caption: what is shown, and what n is.
        frame: as it is read.
        name: stem of the file with its data; empty if it has none of its own.
        data: the numbers behind it, with every digit.
    """

    caption: str
    frame: pd.DataFrame
    name: str = ""
    data: pd.DataFrame = field(default_factory=pd.DataFrame)

    def shortened(self) -> "Table":
        """The same with at most `MOST_ROWS` rows, and a caption that says so."""
        rows = len(self.frame)
        if rows <= MOST_ROWS:
            return self
        note = f" Of {rows:,} rows the first {MOST_ROWS:,} are shown; the CSV file has all."
        return replace(self, caption=self.caption + note, frame=self.frame.head(MOST_ROWS))


@dataclass(frozen=True, eq=False)
class Listing:
    """Lines of text shown as they stand, in letters of one width."""

    caption: str
    lines: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Section:
    """A heading with alarms, then paragraphs, then figures, then tables, then listings.

    Attributes:
        alarms: what makes the results doubtful; it cannot be overlooked.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    listings: tuple[Listing, ...] = ()
    alarms: tuple[str, ...] = ()
