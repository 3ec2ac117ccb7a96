"""What the layers of a trained run know of the trees over its strings: linear probes, scored.

Probes are fitted to some strings and scored on others, drawn alike. Of long strings a sample of positions
is read: positions that end high nodes are rare, and are taken more often than their share; each stands for
as many as it was drawn from, in the fit and in the scores.
"""

import hashlib
import json
import logging
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from seqtune import provenance, seeding
from seqtune.config.yaml_file import FileError
from seqtune.models.base import SequenceModel
from seqtune.runs.directory import State
from seqtune.tasks import TASK_SPECS
from seqtune.tasks.base import Strings
from seqtune.tasks.score import bound
from seqtune.trained.load import TrainedRun, untrained
from seqtune.training.probe_examples import Examples, examples
from seqtune.training.probe_fitting import (
    Predictions,
    fit,
    hidden_states,
    predict,
    predict_majority,
)
from seqtune.training.probe_result import ProbeResult, Reader

log = logging.getLogger(__name__)

STRINGS = 512
"""Strings that probes are fitted to, and as many that they are scored on."""
POSITIONS = 20_000
"""Most positions that are read of either."""
LONGEST_NAME = 100
"""Most letters of a file's name; file systems take 255 bytes, of which a letter may be four."""
CHANGEABLE = ("task", "evaluation.seed")
"""What of a run's spec may be changed here."""
OWN_STRINGS = "it draws strings of its own: write --strings NUMBER, or --set evaluation.seed=NUMBER"
UNUSED = {
    "evaluation": OWN_STRINGS,
    "evaluation.strings": "write --strings NUMBER",
    "evaluation.free": "leave it out",
    "evaluation.generate": "leave it out",
    **{f"task.{field}": hint for spec in TASK_SPECS for field, hint in spec.probe_ignores.items()},
}
"""What of it would change nothing, and what to write instead."""


@dataclass(frozen=True)
class Probed:
    """What was found.

    Attributes:
        run: name of the run's directory.
        state: of the run.
        epoch: after which it had the weights that were probed.
        changes: what was changed of its spec, by dotted path.
        task: whose strings were read, as plain data.
        seed: what they were drawn by.
        strings: number of strings fitted to, and of those scored on.
        repeated: how many of the latter are among the former; a small language has few others.
        readings: by target, level and layer; the lowest first, and from no layer last.
    """

    run: str
    state: State
    epoch: int
    changes: Mapping[str, Any]
    task: Mapping[str, Any]
    seed: int
    strings: int
    repeated: int
    readings: tuple[ProbeResult, ...]

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
        """Stem of the files that it is kept in: another one for all that was asked otherwise than by default.

        Example:
            `probes`, `probes-strings=50`, `probes-task.height=5`.
        """
        strings = [f"strings={self.strings}"] * (self.strings != STRINGS)
        plain = "-".join(["probes", *strings, *sorted(self._changed)])
        name = re.sub(r"[^\w.=-]+", "_", plain)[:LONGEST_NAME]
        if name == plain:
            return name
        # What was left out of the name may be all that tells it from another.
        return f"{name}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"

    @property
    def _changed(self) -> list[str]:
        """What was changed that makes a difference."""
        return [
            f"{path}={value}"
            for path, value in self.changes.items()
            if not path.startswith("training.")
        ]

    @property
    def rows(self) -> list[dict[str, str | int | float | None]]:
        """The readings as rows of plain values, each with how it was measured.

        Of a score that is exactly 0 or 1 the `_bound` is how much it is at most, or at least, at 95 %
        confidence, and its standard error is missing; of others the bound is.
        """
        measured = {
            "run": self.run,
            "epoch": self.epoch,
            "set": json.dumps(dict(self.changes), sort_keys=True),
            "seed": self.seed,
            "fitted_strings": self.strings,
        }
        return [_row(reading) | measured for reading in self.readings]

    def to_data(self) -> dict[str, Any]:
        """As plain values; what is missing is null."""
        return {
            "run": self.run,
            "state": self.state,
            "epoch": self.epoch,
            "changes": dict(self.changes),
            "task": dict(self.task),
            "seed": self.seed,
            "strings": self.strings,
            "repeated": self.repeated,
            "positions": POSITIONS,
            "versions": provenance.versions(),
            "git_commit": provenance.git_commit(),
            "readings": [_row(reading) for reading in self.readings],
        }


def _row(reading: ProbeResult) -> dict[str, str | int | float | None]:
    row = reading.to_data()
    scores = (("accuracy", reading.accuracy), ("balanced_accuracy", reading.balanced_accuracy))
    for name, score in scores:
        row[f"{name}_bound"] = bound(score)
        if bound(score) is not None:
            row[f"{name}_standard_error"] = None
    return row


def probe(trained: TrainedRun, *, strings: int = STRINGS) -> Probed:
    """Fits and scores probes of every layer, of the run and of its untrained copy.

    Raises:
        FileError: if the task has no trees, or there is nothing in them to tell.
    """
    if strings < 2:
        raise FileError(f"--strings: must be at least 2, but got {strings}")
    generator = seeding.generator(trained.spec.evaluation.seed, "probe")
    labelled = trained.task.with_trees(2 * strings, generator=generator)
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
        state=trained.info["state"],
        epoch=trained.epoch,
        changes=trained.changes,
        task=trained.spec.task.to_data(),
        seed=trained.spec.evaluation.seed,
        strings=strings,
        repeated=_repeated(labelled.batch.strings),
        readings=tuple(readings),
    )


def _readings(model: SequenceModel, found: Examples, *, name: Reader) -> Iterator[ProbeResult]:
    """Of every layer; with the trained model's, that of the majority too."""
    fitted, held_out = (
        hidden_states(model, torch.from_numpy(half.tokens), chosen=torch.from_numpy(half.chosen))
        for half in (found.fitted, found.held_out)
    )
    classes = tuple(question.classes for question in found.questions)
    for layer, (inputs, others) in enumerate(zip(fitted, held_out, strict=True), start=1):
        log.info("%s: probing layer %d of %d", name, layer, len(fitted))
        fit_ = fit(inputs, positions=found.fitted.positions, classes=classes)
        result = predict(fit_, others, positions=found.held_out.positions)
        yield from _named(result, found, layer=layer, model=name)
        if layer == 1 and name == "trained":
            result = predict_majority(fit_, positions=found.held_out.positions)
            yield from _named(result, found, layer=None, model="majority")


def _named(
    results: tuple[Predictions, ...], found: Examples, *, layer: int | None, model: Reader
) -> Iterator[ProbeResult]:
    counts = (found.held_out.positions.labels >= 0).sum(axis=1)
    for question, result, positions in zip(found.questions, results, counts, strict=True):
        yield ProbeResult(
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
