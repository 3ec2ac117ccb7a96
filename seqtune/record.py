"""A run, recorded: trains what a spec describes and writes its directory as it goes."""

import json
import logging
import math
import traceback
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save

from seqtune import provenance, seeding
from seqtune.models.model import SequenceModel, trainable_parameters
from seqtune.run import NO_FP16_ON_CPU, RunSpec
from seqtune.rundir import RunDirectory
from seqtune.source import FileError
from seqtune.tasks.picture import paint
from seqtune.tasks.task import Task
from seqtune.training import checkpoint, memory
from seqtune.training.evaluation import Evaluator
from seqtune.training.flops import training_flops_per_token
from seqtune.training.loop import Learner, Recipe, train
from seqtune.training.measurement import HIGHER_IS_BETTER, DivergedError, Measurement, Progress
from seqtune.training.spec import TrainingSpec

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

log = logging.getLogger(__name__)

CHANGED_DATA = "the data have changed since the run began"


def record(
    spec: RunSpec,
    *,
    directory: RunDirectory,
    metric: str = "valid/loss",
    sweep: Mapping[str, Any] | None = None,
    note: str = "",
    heartbeat: Callable[[Progress], None] | None = None,
) -> Generator[Measurement, None, None]:
    """Trains and records; yields every measurement of this sitting, once it is safely on disk.

    A run that was interrupted goes on from its checkpoint, a run that ended yields nothing. What goes
    wrong in the run is data: it ends with state `diverged` or `failed` and its traceback in error.txt.
    Closing the generator leaves the run `running`, to be gone on with or ended by whoever closed it.

    Args:
        spec: what to run.
        directory: where; another spec's directory is refused by its checkpoint's and run.json's hash.
        metric: the best weights are those with its best value.
        sweep: the run's place in a sweep, kept in run.json.
        note: a sentence for the model card.
        heartbeat: called about twice a second while training.

    Raises:
        RunInUseError: if another process is writing the directory.
    """
    with directory.lock():
        if not directory.exists():
            directory.create({"hash": spec.hash(), "spec": spec.to_data(), "sweep": sweep})
        info = directory.info()
        assert info["hash"] == spec.hash(), f"{directory.path} holds run {info['hash']}"
        if info["state"] != "running":
            return
        try:
            yield from _recorded(
                spec, directory=directory, metric=metric, note=note, heartbeat=heartbeat
            )
        except DivergedError as error:
            directory.end("diverged", reason=str(error))
        except torch.OutOfMemoryError:
            directory.end("failed", reason="out of memory", error=traceback.format_exc())
        except Exception as error:
            # The one place where any exception is caught: here it becomes the run's result.
            reason = f"error: {type(error).__name__}: {error}".splitlines()[0]
            directory.end("failed", reason=reason, error=traceback.format_exc())
        else:
            directory.end("finished")


def check_startable(spec: RunSpec, *, directory: RunDirectory) -> None:
    """Makes sure that a run can begin or go on here and now, before anything is written.

    Raises:
        FileError: if its device is not here, or its data or its checkpoint are not what they were.
    """
    try:
        device = choose_device(spec.training)
    except RuntimeError as error:
        raise FileError(f"{directory.path}: {error}") from None
    if not directory.exists() or directory.info()["state"] != "running":
        return
    known, found = directory.info().get("data_hash"), spec.task.build().data_hash
    if known not in (None, found):
        raise FileError(f"{directory.path}: {CHANGED_DATA}: {known}, {found}")
    if directory.checkpoint.exists():
        try:
            checkpoint.load(directory.checkpoint, run=spec.hash(), device=device)
        except checkpoint.CheckpointError as error:
            raise FileError(f"{error}; move it away to begin the run anew") from None


def build_model(spec: RunSpec, *, task: Task, device: torch.device) -> SequenceModel:
    """The model with the fresh weights that the spec's seed gives, the same on every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.integer_seed(spec.seed, "init"))
        model = spec.model.build(
            vocab_size=task.vocab_size,
            outputs=task.outputs,
            max_length=task.max_length,
            prompt_length=task.prompt_length,
        )
    return model.to(device)


def choose_device(spec: TrainingSpec) -> torch.device:
    """The device of `training.device`, `auto` being CUDA wherever it is.

    Raises:
        RuntimeError: if the run needs CUDA and it is not there.
    """
    if spec.device == "cpu" or not torch.cuda.is_available():
        if spec.device == "cuda":
            raise RuntimeError("training.device is cuda, but torch finds no CUDA device here")
        if spec.precision == "fp16":
            raise RuntimeError(f"training.precision: {NO_FP16_ON_CPU}")
        return torch.device("cpu")
    return torch.device("cuda")


def _recorded(
    spec: RunSpec,
    *,
    directory: RunDirectory,
    metric: str,
    note: str,
    heartbeat: Callable[[Progress], None] | None,
) -> Generator[Measurement, None, None]:
    from torch.utils.tensorboard.writer import SummaryWriter

    device = choose_device(spec.training)
    memory.start_measuring(device)
    task = spec.task.build()
    known = directory.info().get("data_hash")
    if known not in (None, task.data_hash):
        raise RuntimeError(f"{CHANGED_DATA}: {known}, {task.data_hash}")
    learner = _learner(spec, task=task, device=device)
    if directory.checkpoint.exists():
        learner.restore(checkpoint.load(directory.checkpoint, run=spec.hash(), device=device))
        log.info("%s goes on after epoch %d", directory.name, learner.epoch)
    directory.rewind(learner.measurement)
    evaluator = Evaluator(spec.evaluation, task=task)
    directory.update(_facts(spec, learner=learner, evaluator=evaluator, device=device))
    directory.write_card(_card(spec, learner.model, info=directory.info(), note=note))
    best = _Best(metric, directory=directory, spec=spec)
    feeds_back = spec.forcing.feeds_back(
        epochs=spec.training.epochs, steps=spec.training.batches_per_epoch
    )
    with SummaryWriter(directory.path, purge_step=learner.epoch + 1, flush_secs=600) as board:
        board.add_custom_scalars(_charts(feeds_back=feeds_back))
        for measurement in train(learner, evaluator=evaluator, heartbeat=heartbeat):
            best.keep(learner.model, measurement=measurement)
            # The checkpoint first: it holds the measurement, so a kill after it loses no row.
            checkpoint.save(directory.checkpoint, learner.state(), run=spec.hash())
            directory.append(measurement)
            _show(measurement, board=board, feeds_back=feeds_back)
            if measurement.examination is not None:
                found = measurement.examination.to_data()
                directory.write_generated(measurement.epoch, found=found)
            yield measurement


def _charts(*, feeds_back: bool) -> dict[str, dict[str, list[Any]]]:
    """TensorBoard's custom scalars: losses in one chart, and the share of own tokens as an area behind them."""
    together = ["train/loss", "valid/loss", "free/loss", "forcing"]
    charts: dict[str, list[Any]] = {"losses and forcing": ["Multiline", together]}
    if feeds_back:
        band = ["train/loss", "phase/low", "phase/high"]
        charts["train/loss over the share of own tokens read"] = ["Margin", band]
    return {"training": charts}


def _show(measurement: Measurement, *, board: "SummaryWriter", feeds_back: bool) -> None:
    """A measurement for TensorBoard: its numbers as curves, its samples as text or pictures."""
    for name, value in measurement.metrics.items():
        board.add_scalar(name, value, measurement.epoch)
    if feeds_back:
        board.add_scalar("phase/low", 0.0, measurement.epoch)
        board.add_scalar("phase/high", 1 - measurement.metrics["forcing"], measurement.epoch)
    for sample in measurement.examination.samples if measurement.examination else ():
        name = f"samples/{sample.title}"
        if sample.panels is not None:
            picture = paint(sample.panels)
            board.add_image(name, picture, measurement.epoch, dataformats="HWC")
        else:
            # Indented, Markdown shows it as it stands.
            text = "\n".join("    " + line for line in "".join(sample.marked).splitlines())
            board.add_text(name, text, measurement.epoch)
    board.flush()


def _learner(spec: RunSpec, *, task: Task, device: torch.device) -> Learner:
    recipe = Recipe(
        training=spec.training,
        optimizer=spec.optimizer,
        forcing=spec.forcing,
        data=spec.data,
        seed=spec.seed,
    )
    return Learner(build_model(spec, task=task, device=device), task=task, recipe=recipe)


class _Best:
    """Keeps the weights with the best value of a metric."""

    def __init__(self, metric: str, *, directory: RunDirectory, spec: RunSpec) -> None:
        self._metric = metric
        self._sign = -1.0 if metric in HIGHER_IS_BETTER else 1.0
        self._directory = directory
        self._spec = spec
        self._cost = min((self._cost_of(m) for m in directory.measurements()), default=math.inf)

    def keep(self, model: SequenceModel, *, measurement: Measurement) -> None:
        cost = self._cost_of(measurement)
        if not cost < self._cost:
            return
        self._cost = cost
        weights = {
            name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
        }
        about = {"spec": json.dumps(self._spec.to_data()), "epoch": str(measurement.epoch)}
        partial = self._directory.weights.with_suffix(".partial")
        # Not safetensors' own writing of files, which keeps everybody but the owner from reading them.
        partial.write_bytes(save(weights, metadata=about))
        partial.replace(self._directory.weights)

    def _cost_of(self, measurement: Measurement) -> float:
        return self._sign * measurement.metrics.get(self._metric, math.inf * self._sign)


def _facts(
    spec: RunSpec, *, learner: Learner, evaluator: Evaluator, device: torch.device
) -> dict[str, Any]:
    """What run.json says besides spec and state."""
    return {
        "parameters": trainable_parameters(learner.model),
        # A scored token, with its share of the prompts and the padding that are read beside it.
        "flops_per_token": training_flops_per_token(
            spec.model, task=learner.task, tokens=evaluator.read / len(evaluator.strings)
        )
        * (evaluator.read / evaluator.scored),
        "floor": evaluator.floor_data,
        "references": evaluator.references,
        "data_hash": learner.task.data_hash,
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else provenance.cpu_name(),
        "threads": torch.get_num_threads(),
        "versions": provenance.versions(),
        "git_commit": provenance.git_commit(),
    }


def _card(spec: RunSpec, model: SequenceModel, *, info: Mapping[str, Any], note: str) -> str:
    layers = "\n".join(
        f"| {name} | {'x'.join(str(size) for size in weight.shape)} | {weight.numel():,} |"
        for name, weight in model.named_parameters()
    )
    settings = json.dumps(spec.to_data(), indent=2)
    return f"""# {info["run"]}

- Name: {info["run"]}
- Created: {info["created"]}
- Trainable parameters: {info["parameters"]:,}
- Note: {note or "none"}

## Architecture

```
{model}
```

## Parameters

| tensor | shape | parameters |
|---|---|---|
{layers}

```json
{settings}
```
"""
