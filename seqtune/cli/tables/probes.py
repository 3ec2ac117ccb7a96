"""Printed probe results: one table per target, layers by levels, and the errors of its scores."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqtune.tasks.score import bound, shown_bound
from seqtune.trained.probe import ProbeReport
from seqtune.training.probes import TARGETS, ProbeResult, greatest_error, signed

WIDTH = 140
"""Width of the output in columns if it does not go to a terminal."""
ROUNDING = 1e-9
"""Standard errors up to this are rounding errors of zero."""


def describe_errors(readings: Sequence[ProbeResult]) -> str:
    """Return sentences with the largest standard error and the bounds of scores of 0 and 1."""
    scores = [reading.score for reading in readings]
    largest = greatest_error(each for each in readings if bound(each.score) is None)
    sentences = []
    # False for NaN too: there may be no score with a standard error.
    if largest > ROUNDING:
        sentences.append(f"Standard errors are at most {max(largest, 0.001):.3f}.")
    for value, furthest, word in ((0, max, "most"), (1, min, "least")):
        found = [shown_bound(each) for each in scores if each.value == value]
        bounds = [each for each in found if each is not None]
        if bounds:
            worst = f"{furthest(bounds):g}"
            sentences.append(
                f"A score of exactly {value} is at {word} {worst}, at 95 % confidence."
            )
    return " ".join(sentences)


def print_probes(report: ProbeReport, *, console: Console) -> None:
    """Print a table per target: scores by layer and level, and what training added."""
    console.print(Text(report.title, style="bold"), end="\n\n")
    for target, explained in TARGETS.items():
        results = [each for each in report.readings if each.target == target]
        if results:
            title = (f"{explained.title.capitalize()}: ", "bold")
            console.print(Text.assemble(title, f"{explained.meaning}."))
            console.print(_table(results))
            console.print(Text(describe_errors(results)), end="\n\n")
    console.print(Text(report.summary))


def _table(readings: list[ProbeResult]) -> Table:
    levels = list(dict.fromkeys(reading.level for reading in readings))
    scores = {(each.layer, each.level, each.model): each.score.value for each in readings}
    layers = list(dict.fromkeys(reading.layer for reading in readings))
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("", no_wrap=True)
    for level in levels:
        table.add_column(Text(level), justify="right", no_wrap=True)
    for layer in layers:
        if layer is None:
            cells = [Text(f"{scores[None, level, 'majority']:.3f}") for level in levels]
            table.add_row(Text("majority class"), *cells, style="dim")
        else:
            pairs = [
                [scores[layer, level, model] for model in ("trained", "untrained")]
                for level in levels
            ]
            cells = [Text.assemble(f"{a:.3f} ", (signed(a - b), "dim")) for a, b in pairs]
            table.add_row(Text(f"layer {layer}"), *cells)
    return table
