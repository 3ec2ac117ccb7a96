"""Small runs that tests share."""

from typing import Any

from seqtune.config.nested import assign
from seqtune.runs.spec import RunSpec

TINY: dict[str, Any] = {
    "task": {"kind": "cfg", "grammar": "cfg3b", "height": 1},
    "model": {"kind": "lstm", "layers": 1, "width": 8, "embedding": 8},
    "training": {"epochs": 3, "batches_per_epoch": 6, "batch_size": 16, "device": "cpu"},
    "optimizer": {"kind": "adamw", "lr": 0.02},
    "evaluation": {"strings": 64, "generate": 16},
}


def tiny(**changes: Any) -> RunSpec:
    """A run of well under a second; `changes` by dotted path, written with double underscores."""
    return RunSpec.parse(
        assign(TINY, {path.replace("__", "."): value for path, value in changes.items()})
    )
