"""A section of a report as a value: what it says, shows and tabulates, before any format is chosen.

All text is plain: whoever renders it escapes it.
"""

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Chart:
    """A drawn figure.

    Attributes:
        name: stem of its files.
        title: what it is, for a reader who cannot see it.
        caption: what is shown, and what n is.
        data: the numbers that are drawn.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    data: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Table:
    """A table: text as it stands, numbers as the renderer writes them."""

    caption: str
    frame: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Listing:
    """Lines of text shown as they stand, in letters of one width."""

    caption: str
    lines: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Section:
    """A heading with paragraphs, then charts, then tables, then listings."""

    title: str
    paragraphs: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    listings: tuple[Listing, ...] = ()
