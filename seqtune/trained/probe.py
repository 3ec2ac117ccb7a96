"""Linear probes of a trained run's layers for the parse trees of its strings.

Probes are fitted on some strings and scored on others from the same distribution. Long strings are
read at a sample of positions. Those that end high nodes are rare and therefore oversampled; weights
in the fit and in the scores correct for this.
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
from seqtune.trained.load import TrainedRun, build_untrained
from seqtune.training.probe_fitting import (
    Predictions,
    fit,
    hidden_states,
    predict,
    predict_majority,
)
from seqtune.training.probes import Examples, ProbeResult, Reader, make_examples

log = logging.getLogger(__name__)

STRINGS = 512
"""Default number of strings to fit probes on, and as many to score them on."""
POSITIONS = 20_000
"""Maximum number of positions that are read of either."""
LONGEST_NAME = 100
"""Maximum characters of a file name; file systems allow 255 bytes, and a character may take 4."""
CHANGEABLE = ("task", "evaluation.seed")
"""Paths of a run's spec that may be changed for probing."""
OWN_STRINGS = (
    "probes draw their own strings: write --strings NUMBER, or --set evaluation.seed=NUMBER"
)
UNUSED = {
    "evaluation": OWN_STRINGS,
    "evaluation.strings": "write --strings NUMBER",
    "evaluation.free": "leave it out",
    "evaluation.generate": "leave it out",
    **{f"task.{field}": hint for spec in TASK_SPECS for field, hint in spec.probe_ignores.items()},
}
"""Paths whose change would have no effect, and what to write instead."""


@dataclass(frozen=True)
class ProbeReport:
    """Probe results of a trained run.

    Attributes:
        run: name of the run's directory.
        state: state of the run.
        epoch: epoch after which the probed weights were saved.
        changes: changes of the run's spec, by dotted path.
        task: task of the strings, as plain data.
        seed: seed of the strings.
        strings: number of strings fitted on, and of those scored on.
        repeated: how many of the latter are among the former; a small language has few others.
        readings: results by target, level and layer, lowest first; those of no layer last.
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
        """Title: the run, the epoch and the changes."""
        return ", ".join([f"Linear probes of {self.run} after epoch {self.epoch}", *self._changed])

    @property
    def summary(self) -> str:
        """How the probes were fitted and scored, in sentences."""
        repeated = f", {self.repeated:,} of which were also fitted on" if self.repeated else ""
        return (
            "The signed number is what training added: the difference to probes of the untrained "
            f"network. Probes were fitted on {self.strings:,} strings and scored on "
            f"{self.strings:,} "
            f"others{repeated}."
        )

    @property
    def name(self) -> str:
        """Stem of the report's files: `probes`, with all that differs from the defaults.

        Example:
            `probes`, `probes-strings=50`, `probes-task.height=5`.
        """
        strings = [f"strings={self.strings}"] * (self.strings != STRINGS)
        plain = "-".join(["probes", *strings, *sorted(self._changed)])
        name = re.sub(r"[^\w.=-]+", "_", plain)[:LONGEST_NAME]
        if name == plain:
            return name
        # What was cut off or replaced may be the only difference to another name.
        return f"{name}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"

    @property
    def _changed(self) -> list[str]:
        """Changes that affect the results."""
        return [
            f"{path}={value}"
            for path, value in self.changes.items()
            if not path.startswith("training.")
        ]

    @property
    def rows(self) -> list[dict[str, str | int | float | None]]:
        """Results as rows of plain values, each with the settings of the measurement.

        A score of exactly 0 or 1 has a 95 % `_bound` and no standard error; others have no bound.
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
        """Return plain JSON data; missing values are null."""
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


def probe(trained: TrainedRun, *, strings: int = STRINGS) -> ProbeReport:
    """Fit and score probes on every layer of the run's model and of its untrained copy.

    Raises:
        FileError: if the task has no trees, or the trees do not vary.
    """
    if strings < 2:
        raise FileError(f"--strings: must be at least 2, but got {strings}")
    generator = seeding.generator(trained.spec.evaluation.seed, "probe")
    labelled = trained.task.with_trees(2 * strings, generator=generator)
    path = trained.directory.path
    if labelled is None:
        raise FileError(
            f"{path}: has no trees to probe for: its task is {trained.spec.task.kind}; only "
            "grammars "
            "(task.kind cfg) have trees"
        )
    found = make_examples(labelled, most=POSITIONS, generator=generator)
    if not found.questions:
        raise FileError(
            f"{path}: has nothing to probe for: at every level, all trees have the same node at "
            "all "
            "positions; choose a higher task.height"
        )
    readings = [
        *_readings(trained.model, found, name="trained"),
        *_readings(build_untrained(trained), found, name="untrained"),
    ]
    order = {(each.target, each.level): index for index, each in enumerate(found.questions)}
    readings.sort(key=lambda each: (order[each.target, each.level], each.layer or math.inf))
    return ProbeReport(
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
    """Yield the results of every layer, and with the trained model those of the majority class."""
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
    """Return how many strings of the second half also occur in the first."""
    rows = [row.tobytes() for row in strings]
    half = len(rows) // 2
    known = set(rows[:half])
    return sum(row in known for row in rows[half:])
