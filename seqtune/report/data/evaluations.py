"""Results of `seqtune evaluate`, and samples generated in training, read from run directories."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqtune.config.yaml_file import FileError
from seqtune.report.data.representative_runs import RepresentativeRun
from seqtune.report.naming.labels import plain
from seqtune.runs.directory import RunDirectory
from seqtune.storage.files import read_json
from seqtune.tasks.generative_evaluation import GenerationResult, Sample
from seqtune.tasks.score import Score


@dataclass(frozen=True, eq=False)
class RecordedEvaluation:
    """One entry of a run's evaluation.json.

    Attributes:
        own: the task that the run was trained on.
        task: the task that it was evaluated on.
        epoch: epoch of the evaluated weights.
        strings: number of validation strings.
        best_accuracy: floor of the accuracy on these strings; NaN unless known for every scored
            token.
        scores: values by the names of `METRICS`.
        lengths: rows of the table by length.
    """

    run: str
    cell: str
    own: Mapping[str, Any]
    task: Mapping[str, Any]
    epoch: int
    strings: int
    best_accuracy: float
    scores: Mapping[str, float]
    lengths: Sequence[Mapping[str, Any]]

    @property
    def changed(self) -> tuple[str, ...]:
        """Fields in which the evaluated task differs from the run's own."""
        return tuple(
            name for name, value in self.task.items() if self.own.get(name, value) != value
        )


def read(runs: Iterable[RepresentativeRun], *, root: Path) -> tuple[RecordedEvaluation, ...]:
    """Return the evaluations of these runs.

    Of several evaluations on the same task, the one on most strings is kept, then the last.

    Raises:
        FileError: if an evaluation.json cannot be read.
    """
    return tuple(each for run in runs for each in _read_run(run, root=root))


def _read_run(run: RepresentativeRun, *, root: Path) -> list[RecordedEvaluation]:
    directory = RunDirectory(root / run.directory)
    entries = directory.evaluations()
    if not entries:
        return []
    own = directory.info()["spec"].get("task", {})
    try:
        found = [_evaluation(entry, run=run, own=own) for entry in entries]
    except (KeyError, TypeError, AttributeError) as error:
        raise FileError(
            f"{directory.evaluation}: contains an evaluation that cannot be read ({error!r}); move "
            "the file away and run seqtune evaluate again"
        ) from None
    by_task = {}
    for each in sorted(found, key=lambda each: each.strings):
        by_task[str(plain(dict(each.task)))] = each
    return list(by_task.values())


def _evaluation(
    entry: Mapping[str, Any], *, run: RepresentativeRun, own: Mapping[str, Any]
) -> RecordedEvaluation:
    floor = entry["floor"]
    scores = {name: number_or_nan(score["value"]) for name, score in entry["scores"].items()}
    known = floor and floor["share"] >= 1
    return RecordedEvaluation(
        run=run.run,
        cell=run.cell,
        own=own,
        task=entry["task"],
        epoch=entry["epoch"],
        strings=int(entry["scores"]["valid/loss"]["count"]),
        best_accuracy=number_or_nan(floor["accuracy"]) if known else math.nan,
        scores=scores,
        lengths=entry["tables"].get("by length", ()),
    )


def number_or_nan(value: float | None) -> float:
    """Return a number of a JSON file, where null stands for NaN."""
    return math.nan if value is None else float(value)


@dataclass(frozen=True, eq=False)
class Generated:
    """The generative evaluation of one run after an epoch."""

    epoch: int
    result: GenerationResult


def read_generated(directory: RunDirectory) -> Generated | None:
    """Return the run's last generative evaluation; None if it has none.

    Raises:
        FileError: if generated.json is not a JSON object.
    """
    if not directory.generated.exists():
        return None
    data = read_json(directory.generated)
    return Generated(
        epoch=data["epoch"],
        result=GenerationResult(
            scores={name: _score(score) for name, score in data["scores"].items()},
            tables={name: tuple(rows) for name, rows in data["tables"].items()},
            samples=tuple(_sample(each) for each in data["samples"]),
        ),
    )


def _score(data: Mapping[str, Any] | float) -> Score:
    # Runs recorded before scores had standard errors hold plain numbers.
    if isinstance(data, Mapping):
        return Score.from_data(data)
    return Score(data, count=0, standard_error=math.nan)


def _sample(data: Mapping[str, Any]) -> Sample:
    panels = {name: np.array(rows, dtype=np.int8) for name, rows in data["panels"].items()}
    return Sample(
        data["title"],
        data["text"],
        right=data["right"],
        panels=panels or None,
        # Runs recorded before these fields existed have neither.
        wrong_at=data.get("wrong_at"),
        reason=data.get("reason", ""),
    )
