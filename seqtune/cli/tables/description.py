"""Printed descriptions of languages."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqtune.tasks.description import (
    Description,
    EstimatedFigure,
    Figures,
    GridFigure,
    ListedStrings,
    Value,
)

PLAIN_DIGITS = 15
"""Whole numbers of up to this many digits get thousands separators."""


def print_description(description: Description, *, console: Console) -> None:
    """Print a description: title, summary, and a table or list per heading."""
    console.print(Text(description.title, style="bold"))
    console.print(Text(description.summary))
    for heading, part in description.parts.items():
        console.print()
        console.print(Text(heading, style="bold"))
        match part:
            case Figures():
                console.print(_figures(part))
            case GridFigure():
                console.print(_grid(part))
            case ListedStrings():
                for line in part.lines:
                    console.print(Text(f"  {line}"), soft_wrap=True)


def _figures(figures: Figures) -> Table:
    table = Table(box=None, show_header=False, pad_edge=True, padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in figures.values.items():
        table.add_row(Text(name), Text(_text(value)))
    return table


def _grid(grid: GridFigure) -> Table:
    table = Table(box=None, pad_edge=True, padding=(0, 2), header_style="dim")
    for index, name in enumerate(grid.columns):
        if any(isinstance(row[index], str) for row in grid.rows):
            table.add_column(Text(name), no_wrap=True, overflow="ellipsis")
        else:
            table.add_column(Text(name), no_wrap=True, justify="right")
    for row in grid.rows:
        table.add_row(*(Text(_text(value)) for value in row))
    return table


def _text(value: Value) -> str:
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}" if len(str(abs(value))) <= PLAIN_DIGITS else str(value)
        case float():
            return f"{value:.6g}"
        case EstimatedFigure():
            return f"{value.value:.6g} ± {value.standard_error:.2g}"
        case str():
            return value
