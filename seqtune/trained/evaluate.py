"""Evaluate a trained run: scores with errors, tables of where the model errs, generated samples.

Results are stored in the run's evaluation.json, one entry per set of changes.
"""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import torch
from filelock import FileLock, Timeout

from seqtune import provenance, seeding
from seqtune.config.errors import SpecError
from seqtune.config.nested import assign
from seqtune.config.yaml_file import FileError
from seqtune.runs.directory import LOCK_SECONDS, RunDirectory
from seqtune.runs.spec import RunSpec
from seqtune.storage.files import check_writable, replace_text
from seqtune.tasks.generative_evaluation import Sample
from seqtune.tasks.score import Score, bound, finite
from seqtune.trained.load import TrainedRun
from seqtune.training import breakdown
from seqtune.training.evaluation import Evaluator
from seqtune.training.measurement import DivergedError

Field: TypeAlias = str | float | Score

SHARES = ("accuracy", "exact", "valid", "valid_cut", "cells")
"""Last part of the names of scores that are shares, so that 0 and 1 get bounds."""

GENERATE = "evaluation.generate"


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """Result of an evaluation.

    Attributes:
        trained: the run, with the requested changes.
        floor: floor of the validation strings, as in run.json; None if there is none.
        references: losses of reference predictors on these strings, by name.
        scores: scores by the names of `METRICS`.
        tables: rows by name of the table: those of the generative evaluation and of `breakdown`.
        samples: generated samples.
    """

    trained: TrainedRun
    floor: Mapping[str, float] | None
    references: Mapping[str, float]
    scores: Mapping[str, Score]
    tables: Mapping[str, Sequence[Mapping[str, Field]]]
    samples: Sequence[Sample]

    def to_data(self) -> dict[str, Any]:
        """Return plain JSON data: the entry in evaluation.json.

        A share of exactly 0 or 1 has a 95 % `bound`, and null as its standard error; for other
        scores `bound` is null.
        """
        trained = self.trained
        device = trained.model.device
        return {
            "set": _plain(trained.changes),
            "task": trained.spec.task.to_data(),
            "evaluation": trained.spec.evaluation.to_data(),
            "epoch": trained.epoch,
            "state": trained.info["state"],
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "device": torch.cuda.get_device_name(device)
            if device.type == "cuda"
            else provenance.cpu_name(),
            "versions": provenance.versions(),
            "git_commit": provenance.git_commit(),
            "floor": self.floor,
            "references": dict(self.references),
            "scores": {name: _field(name, score) for name, score in self.scores.items()},
            "tables": {
                name: [
                    {column: _field(column, value) for column, value in row.items()} for row in rows
                ]
                for name, rows in self.tables.items()
            },
            "samples": [sample.to_data() for sample in self.samples],
        }


def evaluate(trained: TrainedRun) -> EvaluationResult:
    """Evaluate a trained run on its task, which may differ from the one it was trained on.

    Raises:
        FileError: if the loss is not finite.
    """
    evaluator = Evaluator(trained.spec.evaluation, task=trained.task)
    try:
        evaluation = evaluator.evaluate(trained.model, epoch=trained.epoch)
    except DivergedError as error:
        raise FileError(f"{trained.directory.path}: {error}") from None
    exam = evaluation.generated
    return EvaluationResult(
        trained=trained,
        floor=evaluator.floor_data,
        references=evaluator.references,
        scores=evaluation.scores,
        tables=breakdown.make_tables(evaluator, trained.model) | dict(exam.tables if exam else {}),
        samples=exam.samples if exam else (),
    )


def expand_changes(changes: Mapping[str, Any], *, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every combination of changes, where a list stands for several values of its path.

    Args:
        changes: new values, or lists of them, by dotted path.
        spec: the run's spec, as in run.json. A list that is valid there is one value.

    Raises:
        FileError: if a list is empty.
    """
    choices = [
        value if _is_choice(path, value=value, spec=spec) else [value]
        for path, value in changes.items()
    ]
    empty = [path for path, values in zip(changes, choices, strict=True) if not values]
    if empty:
        raise FileError(f"--set {empty[0]}: must list at least one value, such as [3, 4]")
    return [dict(zip(changes, values, strict=True)) for values in itertools.product(*choices)]


def _is_choice(path: str, *, value: object, spec: Mapping[str, Any]) -> bool:
    if not isinstance(value, list):
        return False
    try:
        RunSpec.parse(assign(spec, {path: value}))
    except SpecError:
        return True
    return False


def check_saveable(trained: TrainedRun) -> None:
    """Check that an evaluation makes sense and can be stored, before it takes time.

    Raises:
        FileError: if a change has no effect, or evaluation.json is invalid.
        OSError: if the directory is not writable.
    """
    generator = seeding.generator(0, "generate")
    if (
        GENERATE in trained.changes
        and trained.task.generative_evaluation(1, generator=generator) is None
    ):
        raise FileError(
            f"--set {GENERATE}: has no effect, since this task's layout generates nothing; leave "
            "it out"
        )
    with _lock(trained.directory):
        trained.directory.evaluations()
        check_writable(trained.directory.evaluation)


def save_entry(directory: RunDirectory, entry: dict[str, Any]) -> None:
    """Store an entry in evaluation.json, replacing one with the same changes."""
    with _lock(directory):
        entries = directory.evaluations()
        changes = [each["set"] for each in entries]
        index = changes.index(entry["set"]) if entry["set"] in changes else len(changes)
        entries[index : index + 1] = [entry]
        replace_text(
            directory.evaluation, json.dumps({"evaluations": entries}, allow_nan=False) + "\n"
        )


@contextmanager
def _lock(directory: RunDirectory) -> Iterator[None]:
    """Lock the run against other evaluations; its training may continue."""
    lock = FileLock(directory.path / ".evaluation.lock")
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise FileError(
            f"{directory.evaluation}: another process is writing it; try again once that is done"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _plain(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes as JSON reads them back, so that equal ones compare equal."""
    return json.loads(json.dumps(dict(changes)))


def has_bound(name: str, score: Score) -> bool:
    """Return whether a score is a share of exactly 0 or 1, which has a bound."""
    return name.rpartition("/")[2] in SHARES and bound(score) is not None


def _field(name: str, value: Field) -> Any:
    match value:
        case Score() if has_bound(name, value):
            return value.to_data() | {"standard_error": None, "bound": bound(value)}
        case Score():
            return value.to_data() | {"bound": None}
        case float():
            return finite(value)
        case _:
            return value
