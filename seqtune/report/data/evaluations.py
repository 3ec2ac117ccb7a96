"""What `seqtune evaluate` found of the runs that stand for a sweep's cells, read back from their directories."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqtune.config.yaml_file import FileError
from seqtune.report.data.representative_runs import Standing
from seqtune.report.data.values import plain
from seqtune.runs.directory import RunDirectory


@dataclass(frozen=True, eq=False)
class RecordedEvaluation:
    """One entry of a run's evaluation.json.

    Attributes:
        own: the task that the run was trained on.
        task: the task that it was evaluated on.
        epoch: after which it had the weights that were evaluated.
        strings: how many validation strings there were.
        best_accuracy: of these very strings; NaN where it is not known of every scored token.
        scores: the values, by the names of `METRICS`.
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
        """Fields in which its task differs from the run's own."""
        return tuple(
            name for name, value in self.task.items() if self.own.get(name, value) != value
        )


def read(standing: Iterable[Standing], *, root: Path) -> tuple[RecordedEvaluation, ...]:
    """Every evaluation of these runs. Of several on the same task the one on most strings counts, then the last.

    Raises:
        FileError: if an evaluation.json cannot be read.
    """
    return tuple(each for run in standing for each in _of_run(run, root=root))


def _of_run(run: Standing, *, root: Path) -> list[RecordedEvaluation]:
    directory = RunDirectory(root / run.directory)
    entries = directory.evaluations()
    if not entries:
        return []
    own = directory.info()["spec"].get("task", {})
    try:
        found = [_evaluation(entry, run=run, own=own) for entry in entries]
    except (KeyError, TypeError, AttributeError) as error:
        raise FileError(
            f"{directory.evaluation}: holds an evaluation that cannot be read ({error!r}); move the file "
            "away and evaluate again"
        ) from None
    kept: dict[str, RecordedEvaluation] = {}
    for each in sorted(found, key=lambda each: each.strings):
        kept[str(plain(dict(each.task)))] = each
    return list(kept.values())


def _evaluation(
    entry: Mapping[str, Any], *, run: Standing, own: Mapping[str, Any]
) -> RecordedEvaluation:
    floor = entry["floor"]
    scores = {name: _number(score["value"]) for name, score in entry["scores"].items()}
    return RecordedEvaluation(
        run=run.run,
        cell=run.cell,
        own=own,
        task=entry["task"],
        epoch=entry["epoch"],
        strings=int(entry["scores"]["valid/loss"]["count"]),
        best_accuracy=_number(floor["accuracy"]) if floor and floor["share"] >= 1 else math.nan,
        scores=scores,
        lengths=entry["tables"].get("by length", ()),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
