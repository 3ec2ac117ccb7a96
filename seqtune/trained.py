"""A trained run, to be asked more than it was asked while it trained.

The weights are the best of the run. Its task may be changed (longer strings, higher trees, other boards)
as long as the model can read and say the same tokens.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from seqtune.models.model import SequenceModel
from seqtune.record import build_model, choose_device
from seqtune.run import RunSpec
from seqtune.rundir import RunDirectory
from seqtune.source import FileError
from seqtune.spec import SpecError, assigned
from seqtune.tasks.task import Task


@dataclass(frozen=True, eq=False)
class Trained:
    """A run with its weights.

    Attributes:
        directory: where it is.
        spec: what was run, with the changes that were asked for.
        changes: those, by dotted path.
        task: of the changed spec.
        model: in evaluation mode, with the run's best weights.
        info: what run.json holds.
    """

    directory: RunDirectory
    spec: RunSpec
    changes: Mapping[str, Any]
    task: Task
    model: SequenceModel
    info: Mapping[str, Any]


def load(
    path: Path, *, changes: Mapping[str, Any], changeable: Iterable[str] = ("task", "evaluation")
) -> Trained:
    """Reads a run directory, and builds its task and its model.

    Args:
        path: of the run directory.
        changes: new values by dotted path; `training.device` may always be changed.
        changeable: the blocks of the spec whose fields may be changed.

    Raises:
        FileError: if there is no trained run, or what is changed does not fit its model.
    """
    directory = RunDirectory(path)
    if not directory.exists():
        raise FileError(f"{path}: is no run directory: it has no run.json")
    if not directory.weights.exists():
        state = directory.info()["state"]
        raise FileError(
            f"{path}: has no weights yet: the run is {state}, and they come with an epoch"
        )
    info = directory.info()
    original = _parsed(info["spec"], path=path)
    for name in changes:
        if name.partition(".")[0] not in changeable and name != "training.device":
            raise FileError(
                f"--set {name}: is what was trained; only {' and '.join(changeable)} can be changed here"
            )
    spec = _parsed(assigned(info["spec"], changes), path=path)
    task = original.task.build()
    _check_data(task, known=info.get("data_hash"), path=path)
    try:
        device = choose_device(spec.training)
    except RuntimeError as error:
        raise FileError(f"{path}: {error}; write --set training.device=cpu") from None
    model = build_model(original, task=task, device=torch.device("cpu"))
    model.load_state_dict(load_file(directory.weights))
    if spec.task != original.task:
        task = spec.task.build()
        _check_fit(task, model=model, original=original)
    return Trained(directory, spec, dict(changes), task, model.to(device).eval(), info)


def untrained(trained: Trained) -> SequenceModel:
    """The same network as it was before it learned anything, with its run's own first weights."""
    original = _parsed(trained.info["spec"], path=trained.directory.path)
    task = original.task.build()
    return build_model(original, task=task, device=trained.model.device).eval()


def _parsed(data: Mapping[str, Any], *, path: Path) -> RunSpec:
    try:
        return RunSpec.parse(data)
    except SpecError as error:
        raise FileError("\n".join(f"{path}: {each}" for each in error.problems)) from None


def _check_data(task: Task, *, known: str | None, path: Path) -> None:
    if known not in (None, task.data_hash):
        raise FileError(
            f"{path}: its text has changed since: SHA-256 was {known}, is {task.data_hash}"
        )


def _check_fit(task: Task, *, model: SequenceModel, original: RunSpec) -> None:
    """A model can only be asked about tokens that it knows, and about lengths that it can read."""
    known = original.task.build()
    for what, old, new in (
        ("reads", known.vocab_size, task.vocab_size),
        ("predicts", known.outputs, task.outputs),
    ):
        if old != new:
            raise FileError(
                f"--set task: the model {what} {old} different tokens, but this task has {new}; "
                "change what leaves its tokens as they are, such as its height or its size"
            )
    if model.longest is not None and task.max_length > model.longest:
        raise FileError(
            f"--set task: has up to {task.max_length} tokens to read, but the model learned a position "
            f"for each of {model.longest} only; models with relative positions go beyond"
        )
    if model.prompt_length > 0:
        model.prompt_length = task.prompt_length
