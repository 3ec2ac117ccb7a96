"""Checkpoints: everything that a run needs to go on, replaced atomically, read without running code.

A checkpoint lies between two epochs. All randomness is named by epoch (`seeding`), so no generator state
belongs to it, and a resumed run ends with bit-identical weights on the same device.
"""

import os
import zipfile
from pathlib import Path
from typing import Any

import torch

FORMAT = 1


class CheckpointError(ValueError):
    """A checkpoint is torn, of another format, or of another run."""


def save(path: Path, state: dict[str, Any], *, run: str) -> None:
    """Writes `state` so that a reader finds the old checkpoint or the new one, never a part.

    Args:
        path: where.
        state: tensors and plain values.
        run: hash of the spec that the state belongs to.

    Raises:
        OSError: if it cannot be written; the old one stays.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            torch.save({"format": FORMAT, "run": run, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        # Half a checkpoint helps nobody, least of all on a full disk.
        partial.unlink(missing_ok=True)
        # torch's writer puts an error of its own over the one that says why.
        if isinstance(error, RuntimeError) and isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def load(path: Path, *, run: str, device: torch.device) -> dict[str, Any]:
    """Reads what `save` wrote.

    Raises:
        CheckpointError: if the file cannot be read, or is of another format or run.
    """
    # torch reports a torn file in as many ways as it has layers; its archive has its end or has not.
    if not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path}: is torn or no checkpoint")
    state = torch.load(path, map_location=device, weights_only=True)
    if state.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: has format {state.get('format')}, but this version reads {FORMAT}"
        )
    if state.get("run") != run:
        raise CheckpointError(f"{path}: belongs to run {state.get('run')}, but this is run {run}")
    return state
