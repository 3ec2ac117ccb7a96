"""Probes printed: a table for every target, layers by levels, and how far its scores may be off."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqtune.tasks.score import bound, shown_bound
from seqtune.trained.probe import Probed
from seqtune.training.probe_result import TARGETS, ProbeResult, greatest_error, signed

WIDTH = 140
"""Columns of what is printed where there is no terminal to fit it to."""
ROUNDING = 1e-9


def errors(readings: Sequence[ProbeResult]) -> str:
    """How far the scores that are shown may be off, in a sentence or more."""
    scores = [reading.score for reading in readings]
    largest = greatest_error(each for each in readings if bound(each.score) is None)
    sentences = []
    # What rounding leaves of no error is not worth a sentence, and no number is not above it.
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


def show(probed: Probed, *, console: Console) -> None:
    """Prints a table for every target: layers by levels, and what training added."""
    console.print(Text(probed.title, style="bold"), end="\n\n")
    for target, explained in TARGETS.items():
        own = [reading for reading in probed.readings if reading.target == target]
        if own:
            title = (f"{explained.title.capitalize()}: ", "bold")
            console.print(Text.assemble(title, f"{explained.meaning}."))
            console.print(_table(own))
            console.print(Text(errors(own)), end="\n\n")
    console.print(Text(probed.summary))


def _table(readings: list[ProbeResult]) -> Table:
    levels = list(dict.fromkeys(reading.level for reading in readings))
    by_place = {(each.layer, each.level, each.model): each.score.value for each in readings}
    layers = list(dict.fromkeys(reading.layer for reading in readings))
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("", no_wrap=True)
    for level in levels:
        table.add_column(Text(level), justify="right", no_wrap=True)
    for layer in layers:
        if layer is None:
            cells = [Text(f"{by_place[None, level, 'majority']:.3f}") for level in levels]
            table.add_row(Text("majority class"), *cells, style="dim")
        else:
            pairs = [
                [by_place[layer, level, model] for model in ("trained", "untrained")]
                for level in levels
            ]
            cells = [Text.assemble(f"{a:.3f} ", (signed(a - b), "dim")) for a, b in pairs]
            table.add_row(Text(f"layer {layer}"), *cells)
    return table
