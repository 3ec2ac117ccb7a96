"""One sitting of a run: it trains from the checkpoint on, and writes down every measurement."""

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
from seqtune.runs.limits import Keep, Limits
from seqtune.runs.spec import RunSpec
from seqtune.runs.tensorboard import charts, show
from seqtune.tasks.base import Task
from seqtune.training import checkpoint
from seqtune.training.device import is_out_of_memory, reset_peak_memory
from seqtune.training.evaluation import Evaluator
from seqtune.training.loop import TrainConfig, TrainState, train
from seqtune.training.measurement import HIGHER_IS_BETTER, DivergedError, Measurement, Progress
from seqtune.training.network_cost import training_flops_per_token

log = logging.getLogger(__name__)


CHANGED_DATA = "the data have changed since the run began"


class OvertimeError(Exception):
    """The run has taken longer than it may."""


class RunSession:
    """One sitting of a run."""

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
        self._before = 0.0

    def go_on(self) -> Generator[Measurement, None, None]:
        """Trains to the end; when memory runs out, once more in smaller parts."""
        try:
            yield from self._attempt()
        except (RuntimeError, MemoryError) as error:
            smaller = self._smaller(self._learner)
            self._learner = None
            if smaller is None or not is_out_of_memory(error):
                raise
        else:
            return
        # Outside the handler: the error holds on to the tensors of the frames that it went through.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        log.warning("%s: out of memory; goes on with %d strings", self._directory.name, smaller)
        self._directory.update({"micro_batch": smaller})
        yield from self._attempt()

    def _smaller(self, learner: TrainState | None) -> int | None:
        """Half as many strings at a time as now; None if that was tried before, or cannot be."""
        if self._directory.info().get("micro_batch") is not None:
            return None
        known = learner.micro_batch if learner is not None else None
        now = known or self._spec.training.batch_size
        return -(-now // 2) if now > 1 else None

    def _attempt(self) -> Generator[Measurement, None, None]:
        from torch.utils.tensorboard.writer import SummaryWriter

        spec, directory = self._spec, self._directory
        device = choose_device(spec)
        reset_peak_memory(device)
        task = spec.task.build()
        known = directory.info().get("data_hash")
        if known not in (None, task.data_hash):
            raise RuntimeError(f"{CHANGED_DATA}: {known}, {task.data_hash}")
        learner = self._learner = self._taken_up(task, device=device)
        directory.rewind(learner.measurement)
        evaluator = Evaluator(spec.evaluation, task=task)
        facts = _facts(spec, learner=learner, evaluator=evaluator, device=device)
        directory.update({**facts, "node": self._node})
        directory.write_card(_card(spec, learner.model, info=directory.info(), note=self._note))
        weights = _Weights(self._keep, metric=self._metric, directory=directory, spec=spec)
        feeds_back = spec.forcing.feeds_back(
            epochs=spec.training.epochs, steps=spec.training.batches_per_epoch
        )
        with SummaryWriter(directory.path, purge_step=learner.epoch + 1, flush_secs=600) as board:
            board.add_custom_scalars(charts(feeds_back=feeds_back))
            for measurement in train(learner, evaluator=evaluator, heartbeat=self._beat):
                weights.keep(learner.model, measurement=measurement)
                # The checkpoint first: it holds the measurement, so a kill after it loses no row.
                checkpoint.save(directory.checkpoint, learner.state_dict(), run=spec.hash())
                directory.append(measurement)
                show(
                    measurement,
                    board=board,
                    epochs=spec.training.epochs,
                    feeds_back=feeds_back,
                )
                if measurement.generated is not None:
                    found = measurement.generated.to_data()
                    directory.write_generated(measurement.epoch, found=found)
                self._check(measurement, outputs=task.outputs)
                yield measurement

    def _taken_up(self, task: Task, *, device: torch.device) -> TrainState:
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
            log.info("%s goes on after epoch %d", directory.name, learner.epoch)
        if (
            directory.info().get("low_on_memory")
            and (smaller := self._smaller(learner)) is not None
        ):
            directory.update({"micro_batch": smaller})
        told = directory.info().get("micro_batch")
        if told is not None:
            learner.micro_batch = told
        self._before = learner.seconds
        return learner

    def _beat(self, progress: Progress) -> None:
        self._check_time()
        if self._heartbeat is not None:
            self._heartbeat(progress)

    def _check(self, measurement: Measurement, *, outputs: int) -> None:
        """Ends the run if it has gone beyond a limit, once its measurement is kept."""
        if self._limits.loss is not None:
            most = self._limits.loss * math.log(max(outputs, 2))
            for name in ("train/loss", "valid/loss"):
                value = measurement.metrics[name]
                if not value <= most:
                    raise DivergedError(
                        f"{name} is {value:.4g} after epoch {measurement.epoch}, above {most:.4g}: "
                        f"{self._limits.loss:g} times that of guessing"
                    )
        if measurement.epoch < self._spec.training.epochs:
            self._check_time()

    def _check_time(self) -> None:
        most = self._limits.seconds
        if most is not None and self._before + time.perf_counter() - self._started > most:
            raise OvertimeError(f"took longer than limits.seconds, {most:g} s")


class _Weights:
    """Keeps weights: those with the best value of a metric, the last ones, or none."""

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
        # Not safetensors' own writing of files, which keeps everybody but the owner from reading them.
        partial.write_bytes(save(weights, metadata=about))
        partial.replace(self._directory.weights)

    def _cost_of(self, measurement: Measurement) -> float:
        return self._sign * measurement.metrics.get(self._metric, math.inf * self._sign)


def _facts(
    spec: RunSpec, *, learner: TrainState, evaluator: Evaluator, device: torch.device
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
