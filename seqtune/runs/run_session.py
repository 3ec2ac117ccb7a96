"""One session of a run: train from the last checkpoint on, and record every measurement."""

import gc
import json
import logging
import math
import socket
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

import torch
from safetensors.torch import save

from seqtune import provenance
from seqtune.models.base import SequenceModel, trainable_parameters
from seqtune.runs.build import build_model, choose_device
from seqtune.runs.directory import RunDirectory
from seqtune.runs.spec import Keep, Limits, RunSpec
from seqtune.runs.tensorboard import custom_scalars, write_measurement
from seqtune.tasks.base import Task
from seqtune.tasks.build import build_task
from seqtune.training import checkpoint
from seqtune.training.device import is_out_of_memory, reset_peak_memory
from seqtune.training.evaluation import Evaluator
from seqtune.training.loop import TrainConfig, TrainState, train
from seqtune.training.measurement import HIGHER_IS_BETTER, DivergedError, Measurement, Progress
from seqtune.training.network_cost import training_flops_per_token

log = logging.getLogger(__name__)


CHANGED_DATA = "the data have changed since the run began"


class OvertimeError(Exception):
    """The run has exceeded `limits.seconds`."""


class RunSession:
    """Training of a run from its last checkpoint, or from the start, to the end.

    See `record` for the arguments.
    """

    def __init__(
        self,
        spec: RunSpec,
        *,
        directory: RunDirectory,
        metric: str,
        note: str,
        limits: Limits,
        keep: Keep,
        heartbeat: Callable[[Progress], None] | None,
        node: str | None,
    ) -> None:
        self._spec = spec
        self._directory = directory
        self._metric = metric
        self._note = note
        self._limits = limits
        self._keep: Keep = keep
        self._heartbeat = heartbeat
        self._node = node or socket.gethostname()
        self._learner: TrainState | None = None
        self._started = time.perf_counter()
        self._previous_seconds = 0.0

    def run(self) -> Generator[Measurement, None, None]:
        """Train to the end; out of memory, retry once in smaller micro-batches."""
        try:
            yield from self._attempt()
        except (RuntimeError, MemoryError) as error:
            smaller = self._smaller_micro_batch(self._learner)
            self._learner = None
            if smaller is None or not is_out_of_memory(error):
                raise
        else:
            return
        # Outside the handler, where the error would keep the tensors of its frames alive.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        log.warning(
            "%s: out of memory; resuming in micro-batches of %d", self._directory.name, smaller
        )
        self._directory.update({"micro_batch": smaller})
        yield from self._attempt()

    def _smaller_micro_batch(self, learner: TrainState | None) -> int | None:
        """Return half the micro-batch size; None if it was halved before, or is one string."""
        if self._directory.info().get("micro_batch") is not None:
            return None
        known = learner.micro_batch if learner is not None else None
        strings = known or self._spec.training.batch_size
        return -(-strings // 2) if strings > 1 else None

    def _attempt(self) -> Generator[Measurement, None, None]:
        from torch.utils.tensorboard.writer import SummaryWriter

        spec, directory = self._spec, self._directory
        device = choose_device(spec)
        reset_peak_memory(device)
        task = build_task(spec.task)
        known = directory.info().get("data_hash")
        if known not in (None, task.data_hash):
            raise RuntimeError(f"{CHANGED_DATA}: {known}, {task.data_hash}")
        learner = self._learner = self._restore(task, device=device)
        directory.rewind(learner.measurement)
        evaluator = Evaluator(spec.evaluation, task=task)
        measured = _run_info(spec, learner=learner, evaluator=evaluator, device=device)
        directory.update({**measured, "node": self._node})
        directory.write_card(_card(spec, learner.model, info=directory.info(), note=self._note))
        weights = _Weights(self._keep, metric=self._metric, directory=directory, spec=spec)
        feeds_back = spec.forcing.feeds_back(
            epochs=spec.training.epochs, steps=spec.training.batches_per_epoch
        )
        with SummaryWriter(directory.path, purge_step=learner.epoch + 1, flush_secs=600) as writer:
            writer.add_custom_scalars(custom_scalars(feeds_back=feeds_back))
            for measurement in train(learner, evaluator=evaluator, heartbeat=self._beat):
                weights.keep(learner.model, measurement=measurement)
                # The checkpoint first: it also holds the measurement, so a kill loses no row.
                checkpoint.save(directory.checkpoint, learner.state_dict(), run=spec.hash())
                directory.append(measurement)
                write_measurement(
                    measurement,
                    writer=writer,
                    epochs=spec.training.epochs,
                    feeds_back=feeds_back,
                )
                if measurement.generated is not None:
                    found = measurement.generated.to_data()
                    directory.write_generated(measurement.epoch, found=found)
                self._check_limits(measurement, outputs=task.outputs)
                yield measurement

    def _restore(self, task: Task, *, device: torch.device) -> TrainState:
        """Build the training state, and restore the checkpoint if there is one."""
        spec, directory = self._spec, self._directory
        config = TrainConfig(
            training=spec.training,
            optimizer=spec.optimizer,
            forcing=spec.forcing,
            data=spec.data,
            seed=spec.seed,
            language=spec.task.hash(),
        )
        learner = TrainState(build_model(spec, task=task, device=device), task=task, config=config)
        if directory.checkpoint.exists():
            learner.load_state_dict(
                checkpoint.load(directory.checkpoint, run=spec.hash(), device=device)
            )
            log.info("%s resumes after epoch %d", directory.name, learner.epoch)
        info = directory.info()
        smaller = self._smaller_micro_batch(learner) if info.get("low_on_memory") else None
        if smaller is not None:
            directory.update({"micro_batch": smaller})
        micro_batch = smaller or info.get("micro_batch")
        if micro_batch is not None:
            learner.micro_batch = micro_batch
        self._previous_seconds = learner.seconds
        return learner

    def _beat(self, progress: Progress) -> None:
        self._check_time()
        if self._heartbeat is not None:
            self._heartbeat(progress)

    def _check_limits(self, measurement: Measurement, *, outputs: int) -> None:
        """Raise if the run has exceeded a limit; called after its measurement was recorded."""
        if self._limits.loss is not None:
            most = self._limits.loss * math.log(max(outputs, 2))
            for name in ("train/loss", "valid/loss"):
                value = measurement.metrics[name]
                if not value <= most:
                    raise DivergedError(
                        f"{name} is {value:.4g} after epoch {measurement.epoch}, above {most:.4g}: "
                        f"{self._limits.loss:g} times the loss of guessing"
                    )
        if measurement.epoch < self._spec.training.epochs:
            self._check_time()

    def _check_time(self) -> None:
        most = self._limits.seconds
        elapsed = self._previous_seconds + time.perf_counter() - self._started
        if most is not None and elapsed > most:
            raise OvertimeError(f"took longer than limits.seconds, {most:g} s")


class _Weights:
    """Writes the weights to keep: the best by a metric, the last, or none."""

    def __init__(self, keep: Keep, *, metric: str, directory: RunDirectory, spec: RunSpec) -> None:
        self._keep = keep
        self._metric = metric
        self._sign = -1.0 if metric in HIGHER_IS_BETTER else 1.0
        self._directory = directory
        self._spec = spec
        self._cost = min((self._cost_of(m) for m in directory.measurements()), default=math.inf)

    def keep(self, model: SequenceModel, *, measurement: Measurement) -> None:
        cost = self._cost_of(measurement)
        if self._keep == "none" or (self._keep == "best" and not cost < self._cost):
            return
        self._cost = cost
        weights = {
            name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
        }
        about = {"spec": json.dumps(self._spec.to_data()), "epoch": str(measurement.epoch)}
        partial = self._directory.weights.with_suffix(".partial")
        # `safetensors.torch.save_file` would make a file that only its owner may read.
        partial.write_bytes(save(weights, metadata=about))
        partial.replace(self._directory.weights)

    def _cost_of(self, measurement: Measurement) -> float:
        return self._sign * measurement.metrics.get(self._metric, math.inf * self._sign)


def _run_info(
    spec: RunSpec, *, learner: TrainState, evaluator: Evaluator, device: torch.device
) -> dict[str, Any]:
    """Return the fields of run.json besides spec, state and node."""
    return {
        "parameters": trainable_parameters(learner.model),
        # Per scored token: includes its share of the prompt and padding tokens that are read.
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
