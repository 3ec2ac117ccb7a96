"""Evaluations of a trained run: every score with its error, where the model errs, and what it generates.

Each is kept in the run's evaluation.json, one for every set of changes that it was asked with.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import torch
from filelock import FileLock, Timeout
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqtune import provenance
from seqtune.rundir import LOCK_SECONDS, RunDirectory, read_json, replace_text
from seqtune.source import FileError
from seqtune.tasks.exam import Sample
from seqtune.tasks.score import Score, finite
from seqtune.trained import Trained
from seqtune.training import breakdown
from seqtune.training.evaluation import Evaluator
from seqtune.training.measurement import COMPARED, METRICS, DivergedError

Field: TypeAlias = str | float | Score

FLOORED = {"valid/loss": "loss", "valid/accuracy": "accuracy"}
"""Scores with a best possible value, and its name in the floor; of those that are compared it is 0."""

WIDTH = 140
"""Columns of what is printed where there is no terminal to fit it to."""

ROUNDING = 1e-9
"""A standard error below so small a share of its value is what rounding leaves of none."""

PLACES = 6
"""Most decimals of a score; smaller ones are written as powers of ten."""


@dataclass(frozen=True, eq=False)
class Found:
    """What an evaluation found of a trained run.

    Attributes:
        trained: the run, with the changes that were asked for.
        floor: of the validation strings, as run.json has it; None where there is none.
        references: losses of named predictors on them.
        scores: by the names of `METRICS`.
        tables: rows by the name of the table; the exam's, and those of `breakdown.tables`.
        samples: what was generated.
    """

    trained: Trained
    floor: Mapping[str, float] | None
    references: Mapping[str, float]
    scores: Mapping[str, Score]
    tables: Mapping[str, Sequence[Mapping[str, Field]]]
    samples: Sequence[Sample]

    def to_data(self) -> dict[str, Any]:
        """Plain JSON data: the entry in evaluation.json."""
        trained = self.trained
        device = trained.model.device
        return {
            "set": _plain(trained.changes),
            "task": trained.spec.task.to_data(),
            "evaluation": trained.spec.evaluation.to_data(),
            "epoch": trained.epoch,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "device": torch.cuda.get_device_name(device)
            if device.type == "cuda"
            else provenance.cpu_name(),
            "versions": provenance.versions(),
            "git_commit": provenance.git_commit(),
            "floor": self.floor,
            "references": dict(self.references),
            "scores": {name: score.to_data() for name, score in self.scores.items()},
            "tables": {
                name: [{column: _field(value) for column, value in row.items()} for row in rows]
                for name, rows in self.tables.items()
            },
            "samples": [sample.to_data() for sample in self.samples],
        }


def evaluate(trained: Trained) -> Found:
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
    return Found(
        trained=trained,
        floor=evaluator.floor_data,
        references=evaluator.references,
        scores=evaluation.scores,
        tables=breakdown.tables(evaluator, trained.model) | dict(exam.tables if exam else {}),
        samples=exam.samples if exam else (),
    )


def check(directory: RunDirectory) -> None:
    """Makes sure that an evaluation can be kept, before it takes its time.

    Raises:
        FileError: if evaluation.json holds something else.
        OSError: if the directory cannot be written to.
    """
    with _locked(directory):
        _entries(directory)


def keep(directory: RunDirectory, entry: dict[str, Any]) -> None:
    """Puts an entry into evaluation.json, in the place of one with the same changes if there is one."""
    with _locked(directory):
        entries = _entries(directory)
        old = [each["set"] for each in entries]
        place = old.index(entry["set"]) if entry["set"] in old else len(old)
        entries[place : place + 1] = [entry]
        replace_text(
            directory.evaluation, json.dumps({"evaluations": entries}, allow_nan=False) + "\n"
        )


def _entries(directory: RunDirectory) -> list[dict[str, Any]]:
    path = directory.evaluation
    if not path.exists():
        return []
    entries = read_json(path).get("evaluations")
    if not isinstance(entries, list) or not all(
        isinstance(each, dict) and "set" in each for each in entries
    ):
        raise FileError(f"{path}: must hold a list of evaluations; move it away to begin another")
    return entries


@contextmanager
def _locked(directory: RunDirectory) -> Iterator[None]:
    """Keeps other evaluations of the run out; its training may go on."""
    lock = FileLock(directory.path / ".evaluation.lock")
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise FileError(f"{directory.evaluation}: another process is writing it") from None
    try:
        yield
    finally:
        lock.release()


def _plain(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes as JSON reads them back, so that equal ones are found again."""
    return json.loads(json.dumps(dict(changes)))


def _field(value: Field) -> Any:
    match value:
        case Score():
            return value.to_data()
        case float():
            return finite(value)
        case _:
            return value


def show(found: Found, *, console: Console) -> None:
    """Prints the scores with what they mean, then the tables."""
    trained = found.trained
    changes = ", ".join(f"{path}={value}" for path, value in trained.changes.items())
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


def _scores(found: Found) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    for heading in ("score", "value", "n", "best"):
        table.add_column(heading, justify="left" if heading == "score" else "right", no_wrap=True)
    table.add_column("meaning", overflow="fold")
    for name, score in found.scores.items():
        best, count = _best(name, floor=found.floor), f"{score.count:,}"
        table.add_row(name, written(score), count, best, Text(METRICS[name]))
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
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    return table


def _cell(value: Field) -> str:
    match value:
        case Score():
            return written(value)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case str():
            return value


def written(score: Score) -> str:
    """A score with its standard error, both to the second digit of the error: 0.4123 ± 0.0031."""
    value, error = score.value, score.standard_error
    if math.isnan(value):
        return "none"
    if math.isnan(error) or error <= ROUNDING * abs(value):
        return f"{value:.4g}"
    places = 1 - math.floor(math.log10(error))
    if places > PLACES:
        return f"{value:.2g} ± {error:.1g}"
    return f"{value:.{max(0, places)}f} ± {error:.{max(0, places)}f}"
