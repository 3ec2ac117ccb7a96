"""Load a trained run with its best weights, to evaluate it, generate with it or probe it.

Its task may be changed (longer strings, higher trees, other boards) as long as the model reads and
predicts the same tokens.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from seqtune.config.errors import SpecError, near
from seqtune.config.nested import assign
from seqtune.config.spec import paths
from seqtune.config.yaml_file import FileError, path_hint
from seqtune.models.base import SequenceModel
from seqtune.runs.build import DeviceError, build_model, choose_device
from seqtune.runs.directory import RunDirectory, State, run_directories
from seqtune.runs.spec import RunSpec
from seqtune.tasks.base import Task
from seqtune.tasks.build import build_task

STATE_PHRASES: Mapping[Literal["running", "stopped", "diverged", "failed"], str] = MappingProxyType(
    {
        "running": "is still running or was interrupted",
        "stopped": "was stopped",
        "diverged": "diverged",
        "failed": "failed",
    }
)
"""What happened to a run that did not finish, by its state."""


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """A run with its trained model.

    Attributes:
        directory: the run's directory.
        spec: the run's spec with the requested changes.
        changes: the requested changes, by dotted path.
        task: the task of the changed spec.
        model: the model in evaluation mode, with the run's best weights.
        epoch: epoch after which the model had these weights.
        info: content of run.json.
    """

    directory: RunDirectory
    spec: RunSpec
    changes: Mapping[str, Any]
    task: Task
    model: SequenceModel
    epoch: int
    info: Mapping[str, Any]

    @property
    def warning(self) -> str:
        """A line of warning if the run did not finish, else empty."""
        state: State = self.info["state"]
        if state == "finished":
            return ""
        reason = " ".join((self.info["reason"] or "").split())
        return (
            f"{self.directory.path}: the run {STATE_PHRASES[state]}{reason and f' ({reason})'}; "
            f"its weights after epoch {self.epoch} of {self.spec.training.epochs} are used"
        )


def load(
    path: Path,
    *,
    changes: Mapping[str, Any],
    changeable: Collection[str] = ("task", "evaluation"),
    unused: Mapping[str, str] = MappingProxyType({}),
) -> TrainedRun:
    """Read a run directory, and build its task and model.

    Args:
        path: the run directory.
        changes: new values by dotted path; `training.device` may always be changed.
        changeable: paths of the spec that may be changed, including everything below them.
        unused: paths whose change would have no effect, and what to write instead.

    Raises:
        FileError: if there is no trained run, or the changes do not fit its model.
    """
    directory = RunDirectory(path)
    if not directory.exists():
        raise FileError(f"{path}: is no run directory: it has no run.json{_run_hint(path)}")
    if not directory.weights.exists():
        state = directory.info()["state"]
        raise FileError(
            f"{path}: has no {directory.weights.name}: the run is {state}, and weights are saved "
            "after "
            f"an epoch with a finite loss{_NO_WEIGHTS.get(state, '')}"
        )
    info = directory.info()
    original = _parsed(info["spec"], path=path)
    _check_changeable(changes, original=original, changeable=changeable, unused=unused)
    # Always in single precision, which every device supports, whatever the training precision.
    spec = _changed(info["spec"], changes={"training.precision": "fp32", **changes})
    task = build_task(original.task)
    _check_data(task, known=info.get("data_hash"), path=path)
    try:
        device = choose_device(spec)
    except DeviceError as error:
        raise FileError(f"{path}: {error}; write --set training.device=cpu") from None
    weights, epoch = _read_weights(directory.weights, spec=info["spec"])
    model = build_model(original, task=task, device=torch.device("cpu"))
    _load_weights(model, weights=weights, path=directory.weights)
    if spec.task != original.task:
        known, task = task, build_task(spec.task)
        _check_fit(task, known=known, model=model)
    return TrainedRun(directory, spec, dict(changes), task, model.to(device).eval(), epoch, info)


_NO_WEIGHTS = {
    "running": "; resume its training first, then run this command again",
    "finished": "; if its sweep has keep: none, write keep: best and give another --out",
}
"""What to do about a run without weights, by its state."""


def _run_hint(path: Path) -> str:
    """Return the end of an error about a path that is no run directory: what to give instead."""
    runs = run_directories(path / "runs") or run_directories(path)
    return f"; give one of those in it, such as {runs[0].path}" if runs else path_hint(path)


def build_untrained(trained: TrainedRun) -> SequenceModel:
    """Build the run's model with its initial weights, as they were before training."""
    original = _parsed(trained.info["spec"], path=trained.directory.path)
    task = build_task(original.task)
    return build_model(original, task=task, device=trained.model.device).eval()


def _parsed(data: Mapping[str, Any], *, path: Path) -> RunSpec:
    try:
        return RunSpec.parse(data)
    except SpecError as error:
        problems = "; ".join(str(each) for each in error.problems)
        raise FileError(f"{path / 'run.json'}: spec: {problems}") from None


def _check_changeable(
    changes: Mapping[str, Any],
    *,
    original: RunSpec,
    changeable: Collection[str],
    unused: Mapping[str, str],
) -> None:
    for name in changes:
        if name in unused:
            raise FileError(f"--set {name}: has no effect on this command; {unused[name]}")
        if name == "training.device" or any(f"{name}.".startswith(f"{e}.") for e in changeable):
            continue
        known = paths(original)
        if name not in known and (close := near(name, known)) is not None:
            raise FileError(f"--set {name}: no such path; did you mean {close}?")
        raise FileError(
            f"--set {name}: was fixed by training; only {' and '.join(changeable)} can be changed"
        )


def _changed(data: Mapping[str, Any], *, changes: Mapping[str, Any]) -> RunSpec:
    try:
        return RunSpec.parse(assign(data, changes))
    except SpecError as error:
        raise FileError("\n".join(f"--set: {each}" for each in error.problems)) from None


def _read_weights(path: Path, *, spec: Mapping[str, Any]) -> tuple[dict[str, torch.Tensor], int]:
    """Return the run's best weights, and the epoch after which they were saved."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise FileError(f"{path}: cannot be read as weights: {error}") from None
    if _saved_spec(metadata) != spec:
        raise FileError(f"{path}: holds the weights of another run than run.json describes")
    epoch = metadata.get("epoch", "")
    if not re.fullmatch(r"[0-9]{1,9}", epoch):
        raise FileError(
            f"{path}: must name the epoch after which it was saved, but got {epoch[:20]!r}"
        )
    return weights, int(epoch)


def _saved_spec(metadata: Mapping[str, str]) -> Any:
    """Return the spec that weights were saved with, or None if it is missing."""
    try:
        return json.loads(metadata.get("spec", "null"))
    except (ValueError, RecursionError):
        return None


def _load_weights(model: SequenceModel, *, weights: Mapping[str, torch.Tensor], path: Path) -> None:
    """Load weights into their model; they must have its names, shapes and types, and be finite."""
    expected = model.state_dict()
    for name, weight in weights.items():
        if name in expected and weight.dtype != expected[name].dtype:
            raise FileError(f"{path}: {name} must be {expected[name].dtype}, but is {weight.dtype}")
        if not torch.isfinite(weight).all():
            raise FileError(f"{path}: {name} must hold finite numbers only")
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise FileError(f"{path}: does not fit this version's network: {reason}") from None


def _check_data(task: Task, *, known: str | None, path: Path) -> None:
    if known not in (None, task.data_hash):
        raise FileError(
            f"{path}: its text has changed since training: SHA-256 was {known}, is "
            f"{task.data_hash}; "
            "restore it"
        )


def _check_fit(task: Task, *, known: Task, model: SequenceModel) -> None:
    """Check that a changed task has the model's tokens, and lengths that it can read."""
    for what, old, new in (
        ("reads", known.vocab_size, task.vocab_size),
        ("predicts", known.outputs, task.outputs),
    ):
        if old != new:
            raise FileError(
                f"--set task: the model {what} {old} different tokens, but this task has {new}; "
                "change only what keeps the tokens, such as height or size"
            )
    for token, (old, new) in enumerate(zip_longest(known.token_names, task.token_names)):
        if old != new:
            raise FileError(
                f"--set task: token {token} is {old} to the model, but {new} in this task; "
                "change only what keeps the tokens, such as height or size"
            )
    if model.longest is not None and task.max_length > model.longest:
        raise FileError(
            f"--set task: has strings of up to {task.max_length} tokens, but the model learned "
            "only "
            f"{model.longest} positions; choose shorter strings, or a model with relative positions"
        )
    if model.prompt_length > 0:
        model.prompt_length = task.prompt_length
