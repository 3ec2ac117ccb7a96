"""Printed evaluations: every score with its error and meaning, then tables of where errors lie."""

import math
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqtune.tasks.score import Score, shown_bound
from seqtune.trained.evaluate import EvaluationResult, Field, has_bound
from seqtune.trained.load import TrainedRun
from seqtune.training import breakdown
from seqtune.training.measurement import METRICS, ZERO_FLOOR

FLOOR_FIELDS = {"valid/loss": "loss", "valid/accuracy": "accuracy"}
"""Scores with a floor, and the floor's field. Scores relative to a floor have the best value 0."""

BOUND_NOTE = (
    "(≤ ...) and (≥ ...) are 95 % bounds of shares of exactly 0 and 1, whose standard error would "
    "be meaningless."
)

WIDTH = 140
"""Width of the output in columns if it does not go to a terminal."""

ROUNDING = 1e-9
"""A standard error below this fraction of its value is a rounding error of zero."""

MAX_DECIMALS = 6
"""Scores with smaller errors are written in scientific notation."""


def print_evaluation(found: EvaluationResult, *, console: Console) -> None:
    """Print the scores with their meaning, then the tables."""
    trained = found.trained
    changes = _changes(trained)
    title = f"{trained.directory.name}, after epoch {trained.epoch}{changes and f', {changes}'}"
    console.print(Text(title, style="bold"))
    console.print(_scores(found))
    for name, value in found.references.items():
        console.print(Text(f"valid/loss of {name}: {value:.4f}"))
    for name, rows in found.tables.items():
        if rows:
            console.print()
            about = breakdown.ABOUT.get(name, "")
            console.print(Text.assemble((name, "bold"), about and f": {about}"))
            console.print(_rows(rows))
    rows = [found.scores, *(row for rows in found.tables.values() for row in rows)]
    fields = [field for row in rows for field in row.items()]
    if any(isinstance(value, Score) and has_bound(name, value) for name, value in fields):
        console.print(Text(f"\n{BOUND_NOTE}", style="dim"))


def summary_line(found: EvaluationResult) -> str:
    """Return an evaluation in one line: its changes and its main scores."""
    first = "valid/excess" if "valid/excess" in found.scores else "valid/loss"
    names = (first, "valid/accuracy")
    scores = ", ".join(f"{name} {format_score(found.scores[name], name=name)}" for name in names)
    return f"{_changes(found.trained) or 'unchanged task'}: {scores}"


def _changes(trained: TrainedRun) -> str:
    return ", ".join(f"{path}={value}" for path, value in trained.changes.items())


def _scores(found: EvaluationResult) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    for heading in ("score", "value", "n", "best"):
        table.add_column(heading, justify="left" if heading == "score" else "right", no_wrap=True)
    table.add_column("meaning", overflow="fold")
    for name, score in found.scores.items():
        best, count = _best(name, floor=found.floor), f"{score.count:,}"
        table.add_row(
            name, format_score(score, name=name), count, best, Text(METRICS[name].description)
        )
    return table


def _best(name: str, *, floor: Mapping[str, float] | None) -> str:
    """Return the best possible value, or "" if it is not known for every scored token."""
    if name in ZERO_FLOOR:
        return "0"
    if floor is None or name not in FLOOR_FIELDS or floor["share"] < 1:
        return ""
    return f"{floor[FLOOR_FIELDS[name]]:.4f}"


def _rows(rows: Sequence[Mapping[str, Field]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for column, value in rows[0].items():
        table.add_column(
            column, justify="left" if isinstance(value, str) else "right", no_wrap=True
        )
    for row in rows:
        table.add_row(*(Text(_cell(value, name=name)) for name, value in row.items()))
    return table


def _cell(value: Field, *, name: str) -> str:
    match value:
        case Score():
            return format_score(value, name=name)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case str():
            return value


def format_score(score: Score, *, name: str = "") -> str:
    """Format a score with its standard error, to the error's second digit: 0.4123 ± 0.0031.

    A share of exactly 0 or 1 comes with its bound: 1 (≥ 0.86).
    """
    value, error = score.value, score.standard_error
    if math.isnan(value):
        return "none"
    if has_bound(name, score):
        return f"{value:g} ({'≤' if value == 0 else '≥'} {shown_bound(score):g})"
    if math.isnan(error) or error <= ROUNDING * abs(value):
        return f"{value:.4g}"
    decimals = 1 - math.floor(math.log10(error))
    if decimals > MAX_DECIMALS:
        return f"{value:.2g} ± {error:.1g}"
    return f"{value:.{max(0, decimals)}f} ± {error:.{max(0, decimals)}f}"
