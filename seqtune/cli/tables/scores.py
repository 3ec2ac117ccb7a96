"""Evaluations printed: every score with its error and what it means, then the tables."""

import math
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqtune.tasks.score import Score, shown_bound
from seqtune.trained.evaluate import EvaluationResult, Field, bounded
from seqtune.trained.load import TrainedRun
from seqtune.training import breakdown
from seqtune.training.measurement import COMPARED, METRICS

FLOORED = {"valid/loss": "loss", "valid/accuracy": "accuracy"}
"""Scores with a best possible value, and its name in the floor; of those that are compared it is 0."""

BOUNDED = (
    "(≤ ...) and (≥ ...) stand at shares of exactly 0 and 1, whose standard error says nothing: how far "
    "they may be off, at 95 % confidence."
)

WIDTH = 140
"""Columns of what is printed where there is no terminal to fit it to."""

ROUNDING = 1e-9
"""A standard error below so small a share of its value is what rounding leaves of none."""

PLACES = 6
"""Most decimals of a score; smaller ones are written as powers of ten."""


def show(found: EvaluationResult, *, console: Console) -> None:
    """Prints the scores with what they mean, then the tables."""
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
    if any(isinstance(value, Score) and bounded(name, value) for name, value in fields):
        console.print(Text(f"\n{BOUNDED}", style="dim"))


def line(found: EvaluationResult) -> str:
    """An evaluation in a line: what was changed, and the scores that tell most."""
    first = "valid/excess" if "valid/excess" in found.scores else "valid/loss"
    names = (first, "valid/accuracy")
    scores = ", ".join(f"{name} {written(found.scores[name], name=name)}" for name in names)
    return f"{_changes(found.trained) or 'its own task'}: {scores}"


def _changes(trained: TrainedRun) -> str:
    return ", ".join(f"{path}={value}" for path, value in trained.changes.items())


def _scores(found: EvaluationResult) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    for heading in ("score", "value", "n", "best"):
        table.add_column(heading, justify="left" if heading == "score" else "right", no_wrap=True)
    table.add_column("meaning", overflow="fold")
    for name, score in found.scores.items():
        best, count = _best(name, floor=found.floor), f"{score.count:,}"
        table.add_row(name, written(score, name=name), count, best, Text(METRICS[name]))
    return table


def _best(name: str, *, floor: Mapping[str, float] | None) -> str:
    """The best possible value; nothing where it is not known of every scored token."""
    if name in COMPARED:
        return "0"
    if floor is None or name not in FLOORED or floor["share"] < 1:
        return ""
    return f"{floor[FLOORED[name]]:.4f}"


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
            return written(value, name=name)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case str():
            return value


def written(score: Score, *, name: str = "") -> str:
    """A score with its standard error, both to the second digit of the error: 0.4123 ± 0.0031.

    A share of exactly 0 or 1, as its name tells that it is one, with its bound: 1 (≥ 0.86).
    """
    value, error = score.value, score.standard_error
    if math.isnan(value):
        return "none"
    if bounded(name, score):
        return f"{value:g} ({'≤' if value == 0 else '≥'} {shown_bound(score):g})"
    if math.isnan(error) or error <= ROUNDING * abs(value):
        return f"{value:.4g}"
    places = 1 - math.floor(math.log10(error))
    if places > PLACES:
        return f"{value:.2g} ± {error:.1g}"
    return f"{value:.{max(0, places)}f} ± {error:.{max(0, places)}f}"
