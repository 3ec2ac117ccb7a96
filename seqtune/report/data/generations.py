"""What runs generated after their last epoch, read back from their directories."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqtune.runs.directory import RunDirectory
from seqtune.storage.files import read_json
from seqtune.tasks.generative_evaluation import GenerationResult, Sample
from seqtune.tasks.score import Score


@dataclass(frozen=True, eq=False)
class Generated:
    """What one run generated after an epoch."""

    epoch: int
    examination: GenerationResult


def read(directory: RunDirectory) -> Generated | None:
    """What a run generated; None if that was nothing.

    Raises:
        FileError: if generated.json is no JSON object.
    """
    if not directory.generated.exists():
        return None
    data = read_json(directory.generated)
    return Generated(
        epoch=data["epoch"],
        examination=GenerationResult(
            scores={name: _score(score) for name, score in data["scores"].items()},
            tables={name: tuple(rows) for name, rows in data["tables"].items()},
            samples=tuple(_sample(each) for each in data["samples"]),
        ),
    )


def _score(data: Mapping[str, Any] | float) -> Score:
    # Before scores had errors, they were plain numbers.
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
        # A run recorded before these were known has neither.
        wrong_at=data.get("wrong_at"),
        reason=data.get("reason", ""),
    )
