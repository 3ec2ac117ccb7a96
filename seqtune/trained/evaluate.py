"""Evaluations of a trained run: every score with its error, where the model errs, and what it generates.

Each is kept in the run's evaluation.json, one for every set of changes that it was asked with.
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
from seqtune.config.nested import assigned
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
"""Last part of the names of scores that are shares, which may be exactly 0 or 1."""

GENERATE = "evaluation.generate"


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """What an evaluation found of a trained run.

    Attributes:
        trained: the run, with the changes that were asked for.
        floor: of the validation strings, as run.json has it; None where there is none.
        references: losses of named predictors on them.
        scores: by the names of `METRICS`.
        tables: rows by the name of the table; the exam's, and those of `breakdown.tables`.
        samples: what was generated.
    """

    trained: TrainedRun
    floor: Mapping[str, float] | None
    references: Mapping[str, float]
    scores: Mapping[str, Score]
    tables: Mapping[str, Sequence[Mapping[str, Field]]]
    samples: Sequence[Sample]

    def to_data(self) -> dict[str, Any]:
        """Plain JSON data: the entry in evaluation.json.

        Of a share that is exactly 0 or 1, `bound` is how much it is at most, or at least, at 95 % confidence,
        and its standard error is null; of every other score `bound` is null.
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
    """Every score of a trained run on its task, which may be another than it was trained on.

    Raises:
        FileError: if its loss is no finite number there.
    """
    evaluator = Evaluator(trained.spec.evaluation, task=trained.task)
    try:
        evaluation = evaluator.evaluate(trained.model, epoch=trained.epoch)
    except DivergedError as error:
        raise FileError(f"{trained.directory.path}: {error}") from None
    exam = evaluation.examination
    return EvaluationResult(
        trained=trained,
        floor=evaluator.floor_data,
        references=evaluator.references,
        scores=evaluation.scores,
        tables=breakdown.tables(evaluator, trained.model) | dict(exam.tables if exam else {}),
        samples=exam.samples if exam else (),
    )


def crossed(changes: Mapping[str, Any], *, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every combination of changes of a run: of a path that takes one value, each of a list.

    Args:
        changes: new values by dotted path.
        spec: the run's, as run.json has it. A list that can stand in it is one value.

    Raises:
        FileError: if a list holds nothing.
    """
    choices = [
        value if _is_choice(path, value=value, spec=spec) else [value]
        for path, value in changes.items()
    ]
    empty = [path for path, values in zip(changes, choices, strict=True) if not values]
    if empty:
        raise FileError(f"--set {empty[0]}: must list one value at least, such as [3, 4]")
    return [dict(zip(changes, values, strict=True)) for values in itertools.product(*choices)]


def _is_choice(path: str, *, value: object, spec: Mapping[str, Any]) -> bool:
    if not isinstance(value, list):
        return False
    try:
        RunSpec.parse(assigned(spec, {path: value}))
    except SpecError:
        return True
    return False


def check(trained: TrainedRun) -> None:
    """Makes sure that an evaluation has what it needs and can be kept, before it takes its time.

    Raises:
        FileError: if a change has no effect, or evaluation.json holds something else.
        OSError: if the directory cannot be written to.
    """
    generator = seeding.generator(0, "generate")
    if (
        GENERATE in trained.changes
        and trained.task.generative_evaluation(1, generator=generator) is None
    ):
        raise FileError(
            f"--set {GENERATE}: has no effect here, since nothing is generated in this task's layout; "
            "leave it out"
        )
    with _locked(trained.directory):
        trained.directory.evaluations()
        check_writable(trained.directory.evaluation)


def keep(directory: RunDirectory, entry: dict[str, Any]) -> None:
    """Puts an entry into evaluation.json, in the place of one with the same changes if there is one."""
    with _locked(directory):
        entries = directory.evaluations()
        old = [each["set"] for each in entries]
        place = old.index(entry["set"]) if entry["set"] in old else len(old)
        entries[place : place + 1] = [entry]
        replace_text(
            directory.evaluation, json.dumps({"evaluations": entries}, allow_nan=False) + "\n"
        )


@contextmanager
def _locked(directory: RunDirectory) -> Iterator[None]:
    """Keeps other evaluations of the run out; its training may go on."""
    lock = FileLock(directory.path / ".evaluation.lock")
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise FileError(
            f"{directory.evaluation}: another process is writing it; give the same command once that is done"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _plain(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes as JSON reads them back, so that equal ones are found again."""
    return json.loads(json.dumps(dict(changes)))


def bounded(name: str, score: Score) -> bool:
    """Whether a score is a share of exactly 0 or 1."""
    return name.rpartition("/")[2] in SHARES and bound(score) is not None


def _field(name: str, value: Field) -> Any:
    match value:
        case Score() if bounded(name, value):
            return value.to_data() | {"standard_error": None, "bound": bound(value)}
        case Score():
            return value.to_data() | {"bound": None}
        case float():
            return finite(value)
        case _:
            return value
