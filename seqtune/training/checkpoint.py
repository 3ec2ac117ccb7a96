"""Checkpoints: what a run is resumed from. Replaced atomically, read without running code.

A checkpoint is taken between two epochs. Every random stream is seeded per epoch (`seeding`), so no
generator state is stored, and a resumed run ends with bit-identical weights on the same device.
"""

import os
import zipfile
from pathlib import Path
from typing import Any

import torch

FORMAT = 1


class CheckpointError(ValueError):
    """A checkpoint is incomplete, of another format, or of another run."""


def save(path: Path, state: dict[str, Any], *, run: str) -> None:
    """Write a checkpoint; readers find the old one or the new one, never a part.

    Args:
        path: the file, replaced if it exists.
        state: tensors and plain values.
        run: hash of the run's spec.

    Raises:
        OSError: if it cannot be written; the old checkpoint is kept.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            torch.save({"format": FORMAT, "run": run, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        # Free the space: the disk may be full.
        partial.unlink(missing_ok=True)
        # torch's writer hides the cause, such as a full disk, behind an error of its own.
        if isinstance(error, RuntimeError) and isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def load(path: Path, *, run: str, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint that `save` wrote.

    Raises:
        CheckpointError: if the file cannot be read, or is of another format or run.
    """
    # torch raises many different errors for a truncated file; a ZIP archive without its end is one.
    if not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path}: is incomplete or not a checkpoint")
    state = torch.load(path, map_location=device, weights_only=True)
    if state.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: has format {state.get('format')}, but this version reads {FORMAT}"
        )
    if state.get("run") != run:
        raise CheckpointError(f"{path}: belongs to run {state.get('run')}, but this is run {run}")
    return state
