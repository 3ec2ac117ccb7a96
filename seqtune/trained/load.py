"""A trained run, to be asked more than it was asked while it trained.

The weights are the best of the run. Its task may be changed (longer strings, higher trees, other boards)
as long as the model can read and say the same tokens.
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
from seqtune.config.nested import assigned
from seqtune.config.spec import paths
from seqtune.config.yaml_file import FileError, instead
from seqtune.models.base import SequenceModel
from seqtune.runs.build import DeviceError, build_model, choose_device
from seqtune.runs.directory import RunDirectory, State, run_directories
from seqtune.runs.spec import RunSpec
from seqtune.tasks.base import Task
from seqtune.tasks.build import build_task

HOW: Mapping[Literal["running", "stopped", "diverged", "failed"], str] = MappingProxyType(
    {
        "running": "is still running or was interrupted",
        "stopped": "was stopped",
        "diverged": "diverged",
        "failed": "failed",
    }
)
"""What became of a run that did not finish, by its state."""


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """A run with its weights.

    Attributes:
        directory: where it is.
        spec: what was run, with the changes that were asked for.
        changes: those, by dotted path.
        task: of the changed spec.
        model: in evaluation mode, with the run's best weights.
        epoch: after which it had these.
        info: what run.json holds.
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
        """What is to be known of a run that did not finish, in a line; empty for one that did."""
        state: State = self.info["state"]
        if state == "finished":
            return ""
        reason = " ".join((self.info["reason"] or "").split())
        return (
            f"{self.directory.path}: the run {HOW[state]}{reason and f' ({reason})'}; "
            f"its weights after epoch {self.epoch} of {self.spec.training.epochs} are used"
        )


def load(
    path: Path,
    *,
    changes: Mapping[str, Any],
    changeable: Collection[str] = ("task", "evaluation"),
    unused: Mapping[str, str] = MappingProxyType({}),
) -> TrainedRun:
    """Reads a run directory, and builds its task and its model.

    Args:
        path: of the run directory.
        changes: new values by dotted path; `training.device` may always be changed.
        changeable: the paths of the spec that may be changed, with all that is below them.
        unused: paths whose change would have no effect on what is asked, and what to write instead.

    Raises:
        FileError: if there is no trained run, or what is changed does not fit its model.
    """
    directory = RunDirectory(path)
    if not directory.exists():
        raise FileError(f"{path}: is no run directory: it has no run.json{_instead(path)}")
    if not directory.weights.exists():
        state = directory.info()["state"]
        raise FileError(
            f"{path}: has no {directory.weights.name}: the run is {state}, and its weights come with an "
            f"epoch whose loss is a number{_NO_WEIGHTS.get(state, '')}"
        )
    info = directory.info()
    original = _parsed(info["spec"], path=path)
    _check_changeable(changes, original=original, changeable=changeable, unused=unused)
    # A run is asked in single precision, which every device has, whatever it was trained in.
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
    "running": "; give the command that trains it again, and then this one",
    "finished": "; where a sweep says keep: none, write keep: best and give another --out",
}
"""What helps where a run has no weights, by its state."""


def _instead(path: Path) -> str:
    """The end of a sentence about what is no run directory: what may have been meant."""
    runs = run_directories(path / "runs") or run_directories(path)
    return f"; give one of those in it, such as {runs[0].path}" if runs else instead(path)


def untrained(trained: TrainedRun) -> SequenceModel:
    """The same network as it was before it learned anything, with its run's own first weights."""
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
            raise FileError(f"--set {name}: has no effect here; {unused[name]}")
        if name == "training.device" or any(f"{name}.".startswith(f"{e}.") for e in changeable):
            continue
        known = paths(original)
        if name not in known and (close := near(name, known)) is not None:
            raise FileError(f"--set {name}: no such path; did you mean {close}?")
        raise FileError(
            f"--set {name}: is what was trained; only {' and '.join(changeable)} can be changed here"
        )


def _changed(data: Mapping[str, Any], *, changes: Mapping[str, Any]) -> RunSpec:
    try:
        return RunSpec.parse(assigned(data, changes))
    except SpecError as error:
        raise FileError("\n".join(f"--set: {each}" for each in error.problems)) from None


def _read_weights(path: Path, *, spec: Mapping[str, Any]) -> tuple[dict[str, torch.Tensor], int]:
    """The run's best weights, and the epoch after which it had them."""
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise FileError(f"{path}: holds no weights that can be read: {error}") from None
    if _saved_spec(about) != spec:
        raise FileError(f"{path}: holds the weights of another run than run.json describes")
    epoch = about.get("epoch", "")
    if not re.fullmatch(r"[0-9]{1,9}", epoch):
        raise FileError(f"{path}: must say after which epoch it was saved, but got {epoch[:20]!r}")
    return weights, int(epoch)


def _saved_spec(about: Mapping[str, str]) -> Any:
    """The spec that weights were saved with; None where they do not say."""
    try:
        return json.loads(about.get("spec", "null"))
    except (ValueError, RecursionError):
        return None


def _load_weights(model: SequenceModel, *, weights: Mapping[str, torch.Tensor], path: Path) -> None:
    """Puts weights into their model: its own names, shapes and types, and all of them numbers."""
    own = model.state_dict()
    for name, found in weights.items():
        if name in own and found.dtype != own[name].dtype:
            raise FileError(f"{path}: {name} must be of {own[name].dtype}, but is of {found.dtype}")
        if not torch.isfinite(found).all():
            raise FileError(f"{path}: {name} must hold finite numbers, but some are not")
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise FileError(f"{path}: does not fit this version's network: {reason}") from None


def _check_data(task: Task, *, known: str | None, path: Path) -> None:
    if known not in (None, task.data_hash):
        raise FileError(
            f"{path}: its text has changed since: SHA-256 was {known}, is {task.data_hash}; "
            "put it back as it was"
        )


def _check_fit(task: Task, *, known: Task, model: SequenceModel) -> None:
    """A model can only be asked about tokens that it knows, and about lengths that it can read."""
    for what, old, new in (
        ("reads", known.vocab_size, task.vocab_size),
        ("predicts", known.outputs, task.outputs),
    ):
        if old != new:
            raise FileError(
                f"--set task: the model {what} {old} different tokens, but this task has {new}; "
                "change what leaves its tokens as they are, such as its height or its size"
            )
    for token, (old, new) in enumerate(zip_longest(known.token_names, task.token_names)):
        if old != new:
            raise FileError(
                f"--set task: token {token} is {old} to the model, but {new} in this task; "
                "change what leaves its tokens as they are, such as its height or its size"
            )
    if model.longest is not None and task.max_length > model.longest:
        raise FileError(
            f"--set task: has up to {task.max_length} tokens to read, but the model learned a position "
            f"for each of {model.longest} only; ask about shorter strings; models with relative positions go beyond"
        )
    if model.prompt_length > 0:
        model.prompt_length = task.prompt_length
