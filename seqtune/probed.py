"""What the layers of a trained run know of the trees over its strings: linear probes, scored and printed.

Probes are fitted to some strings and scored on others, drawn alike. Of long strings a sample of positions
is read: positions that end high nodes are rare, and are taken more often than their share; each stands for
as many as it was drawn from, in the fit and in the scores.
"""

import logging
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqtune import seeding
from seqtune.models.model import SequenceModel
from seqtune.source import FileError
from seqtune.tasks.task import Strings
from seqtune.trained import Trained, untrained
from seqtune.training.probe_examples import Examples, examples
from seqtune.training.probing import Told, fit, hidden_states, told, told_by_majority
from seqtune.training.reading import TARGETS, Reader, Reading, greatest_error, signed

log = logging.getLogger(__name__)

STRINGS = 512
"""Strings that probes are fitted to, and as many that they are scored on."""
POSITIONS = 20_000
"""Most positions that are read of either."""
WIDTH = 140
"""Columns of what is printed where there is no terminal to fit it to."""


@dataclass(frozen=True)
class Probed:
    """What was found.

    Attributes:
        run: name of the run's directory.
        epoch: after which it had the weights that were probed.
        changes: what was changed of its spec, by dotted path.
        strings: number of strings fitted to, and of those scored on.
        repeated: how many of the latter are among the former; a small language has few others.
        readings: by target, level and layer; the lowest first, and from no layer last.
    """

    run: str
    epoch: int
    changes: Mapping[str, Any]
    strings: int
    repeated: int
    readings: tuple[Reading, ...]

    @property
    def title(self) -> str:
        """What was probed."""
        return ", ".join([f"Linear probes of {self.run} after epoch {self.epoch}", *self._changed])

    @property
    def summary(self) -> str:
        """How it was probed."""
        repeated = f", {self.repeated:,} of which were fitted to as well" if self.repeated else ""
        return (
            "The signed number is what training added: the difference to probes of the network before it "
            f"learned. All were fitted to {self.strings:,} strings and scored on {self.strings:,} drawn "
            f"alike{repeated}."
        )

    @property
    def name(self) -> str:
        """Stem of the files that it is kept in: another one for every set of changes."""
        return "-".join(["probes", *(re.sub(r"[^\w.=]+", "_", each) for each in self._changed)])

    @property
    def _changed(self) -> list[str]:
        """What was changed that makes a difference."""
        return [
            f"{path}={value}"
            for path, value in self.changes.items()
            if not path.startswith("training.")
        ]

    def to_data(self) -> dict[str, Any]:
        """As plain values; what is missing is null."""
        return {
            "run": self.run,
            "epoch": self.epoch,
            "changes": dict(self.changes),
            "strings": self.strings,
            "repeated": self.repeated,
            "readings": [reading.to_data() for reading in self.readings],
        }


def probe(trained: Trained, *, strings: int = STRINGS) -> Probed:
    """Fits and scores probes of every layer, of the run and of its untrained copy.

    Raises:
        FileError: if the task has no trees, or there is nothing in them to tell.
    """
    if strings < 2:
        raise FileError(f"--strings: must be at least 2, but got {strings}")
    generator = seeding.generator(trained.spec.evaluation.seed, "probe")
    labelled = trained.task.labelled(2 * strings, generator=generator)
    path = trained.directory.path
    if labelled is None:
        raise FileError(
            f"{path}: has no trees to probe for: its task is {trained.spec.task.kind}, and only grammars "
            "(task.kind cfg) have them"
        )
    found = examples(labelled, most=POSITIONS, generator=generator)
    if not found.questions:
        raise FileError(
            f"{path}: has nothing to probe for: over what is read of its strings, every level of the trees "
            "is the same everywhere; take a higher task.height"
        )
    readings = [
        *_readings(trained.model, found, name="trained"),
        *_readings(untrained(trained), found, name="untrained"),
    ]
    order = {(each.target, each.level): place for place, each in enumerate(found.questions)}
    readings.sort(key=lambda each: (order[each.target, each.level], each.layer or math.inf))
    return Probed(
        run=trained.directory.name,
        epoch=trained.epoch,
        changes=trained.changes,
        strings=strings,
        repeated=_repeated(labelled.batch.strings),
        readings=tuple(readings),
    )


def _readings(model: SequenceModel, found: Examples, *, name: Reader) -> Iterator[Reading]:
    """Of every layer; with the trained model's, that of the majority too."""
    fitted, held_out = (
        hidden_states(model, torch.from_numpy(half.tokens), chosen=torch.from_numpy(half.chosen))
        for half in (found.fitted, found.held_out)
    )
    classes = tuple(question.classes for question in found.questions)
    for layer, (inputs, others) in enumerate(zip(fitted, held_out, strict=True), start=1):
        log.info("%s: probing layer %d of %d", name, layer, len(fitted))
        fit_ = fit(inputs, positions=found.fitted.positions, classes=classes)
        result = told(fit_, others, positions=found.held_out.positions)
        yield from _named(result, found, layer=layer, model=name)
        if layer == 1 and name == "trained":
            result = told_by_majority(fit_, positions=found.held_out.positions)
            yield from _named(result, found, layer=None, model="majority")


def _named(
    results: tuple[Told, ...], found: Examples, *, layer: int | None, model: Reader
) -> Iterator[Reading]:
    counts = (found.held_out.positions.labels >= 0).sum(axis=1)
    for question, result, positions in zip(found.questions, results, counts, strict=True):
        yield Reading(
            question.target,
            question.level,
            layer=layer,
            model=model,
            accuracy=result.accuracy,
            balanced_accuracy=result.balanced,
            classes=question.classes,
            positions=int(positions),
        )


def _repeated(strings: Strings) -> int:
    """How many of the second half are in the first."""
    rows = [row.tobytes() for row in strings]
    half = len(rows) // 2
    known = set(rows[:half])
    return sum(row in known for row in rows[half:])


def show(probed: Probed, *, console: Console) -> None:
    """Prints a table for every target: layers by levels, and what training added."""
    console.print(Text(probed.title, style="bold"), end="\n\n")
    for target, explained in TARGETS.items():
        own = [reading for reading in probed.readings if reading.target == target]
        if own:
            title = (f"{explained.title.capitalize()}: ", "bold")
            console.print(Text.assemble(title, f"{explained.meaning}."))
            console.print(_table(own))
            error = greatest_error(own)
            console.print(Text(f"Standard errors are at most {error:.3f}."), end="\n\n")
    console.print(Text(probed.summary))


def _table(readings: list[Reading]) -> Table:
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
