"""What runs generated after their last epoch, read back from their directories."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqtune.rundir import RunDirectory, read_json
from seqtune.tasks.exam import Examination, Sample


@dataclass(frozen=True, eq=False)
class Generated:
    """What one run generated after an epoch."""

    epoch: int
    examination: Examination


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
        examination=Examination(
            scores=data["scores"],
            tables={name: tuple(rows) for name, rows in data["tables"].items()},
            samples=tuple(_sample(each) for each in data["samples"]),
        ),
    )


def _sample(data: Mapping[str, Any]) -> Sample:
    panels = {name: np.array(rows, dtype=np.int8) for name, rows in data["panels"].items()}
    return Sample(data["title"], data["text"], right=data["right"], panels=panels or None)
