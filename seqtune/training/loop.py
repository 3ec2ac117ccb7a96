"""Training of one model: a generator that yields a measurement after every epoch.

Ray, TensorBoard, the CSV file and the progress bar consume that stream; this module imports none of
them.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqtune import seeding
from seqtune.models.base import SequenceModel
from seqtune.tasks.base import Batch, Mask, Task
from seqtune.training.data import Batches
from seqtune.training.device import (
    Sent,
    Transfer,
    find_micro_batch,
    peak_memory_bytes,
    reset_peak_memory,
)
from seqtune.training.epoch_metrics import EpochMetrics
from seqtune.training.evaluation import Evaluator
from seqtune.training.forcing import ForcingSpec
from seqtune.training.forcing.inputs import choose_inputs
from seqtune.training.measurement import Measurement, Progress
from seqtune.training.optim import OptimizerSpec, build_optimizer
from seqtune.training.scoring import token_scores
from seqtune.training.spec import DataSpec, TrainingSpec

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}

_COUNTERS = ("epoch", "step", "tokens", "seconds", "micro_batch")
"""Plain attributes of a `TrainState` that a checkpoint holds."""


@dataclass(frozen=True)
class TrainConfig:
    """The specs of a training and the seed of its draws.

    Attributes:
        language: hash of the task's spec, under which runs on a node share a fixed set of strings;
            None if they do not.
    """

    training: TrainingSpec
    optimizer: OptimizerSpec
    forcing: ForcingSpec
    data: DataSpec
    seed: int
    language: str | None = None


class TrainState:
    """A model in training: weights, optimizer and progress.

    Attributes:
        network: the model, compiled if `training.compile` says so.
        epoch: epochs done; `step` and `tokens` likewise.
        seconds: wall time spent, including before the run was resumed.
        micro_batch: strings processed at once; None until it is known.
        seen: bool [V], which parts of the validation strings were trained on; None before the first
            epoch.
        measurement: the last one yielded; None before the first epoch.
    """

    def __init__(self, model: SequenceModel, *, task: Task, config: TrainConfig) -> None:
        self.model = model
        self.network: Callable[[Tensor], Tensor] = (
            torch.compile(model) if config.training.compile else model
        )
        self.task = task
        self.config = config
        self.optimizer = build_optimizer(config.optimizer, model=model)
        self.scaler = torch.amp.GradScaler(
            model.device.type, enabled=config.training.precision == "fp16"
        )
        self.epoch = 0
        self.step = 0
        self.tokens = 0
        self.seconds = 0.0
        micro_batch = config.training.micro_batch
        self.micro_batch: int | None = None if micro_batch == "auto" else micro_batch
        self.seen: Mask | None = None
        self.measurement: Measurement | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint has to hold: tensors and plain values."""
        measured = self.measurement
        return {name: getattr(self, name) for name in _COUNTERS} | {
            "seen": None if self.seen is None else torch.from_numpy(self.seen),
            "metrics": None if measured is None else dict(measured.metrics),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to the point at which `state_dict` gave `state`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        for name in _COUNTERS:
            setattr(self, name, state[name])
        self.seen = None if state["seen"] is None else state["seen"].cpu().numpy()
        if state["metrics"] is not None:
            self.measurement = Measurement(
                epoch=self.epoch,
                step=self.step,
                tokens=self.tokens,
                seconds=self.seconds,
                metrics=state["metrics"],
            )


def train(
    state: TrainState, *, evaluator: Evaluator, heartbeat: Callable[[Progress], None] | None = None
) -> Iterator[Measurement]:
    """Train from the current epoch to the last, and yield a measurement after each.

    Args:
        state: updated in place; whenever a measurement is yielded, it is the state measured.
        evaluator: computes the validation scores.
        heartbeat: called about twice a second within an epoch.

    Raises:
        DivergedError: as soon as a loss is found not to be finite.
    """
    batches = _batches(state, evaluator=evaluator)
    state.model.train()
    if state.micro_batch is None:
        state.micro_batch = _find_micro_batch(state)
    while state.epoch < state.config.training.epochs:
        started = time.perf_counter()
        reset_peak_memory(state.model.device)
        metrics = _train_epoch(state, batches=batches, heartbeat=heartbeat)
        metrics["peak_memory_bytes"] = peak_memory_bytes(state.model.device)
        state.epoch += 1
        state.seen = batches.seen.copy()
        evaluation = evaluator.evaluate(state.model, epoch=state.epoch)
        metrics |= evaluation.metrics
        if len(state.seen):
            metrics["valid/seen"] = float(state.seen.mean())
        state.seconds += time.perf_counter() - started
        state.measurement = Measurement(
            epoch=state.epoch,
            step=state.step,
            tokens=state.tokens,
            seconds=state.seconds,
            metrics=metrics,
            generated=evaluation.generated,
        )
        yield state.measurement


def _batches(state: TrainState, *, evaluator: Evaluator) -> Batches:
    config = state.config
    return Batches(
        state.task,
        data=config.data,
        training=config.training,
        seed=config.seed,
        watched=evaluator.strings,
        seen=state.seen,
        language=config.language,
    )


def _find_micro_batch(state: TrainState) -> int:
    """Return the number of strings processed at once: all, or as many of the longest as fit."""
    settings, device = state.config.training, state.model.device
    if settings.micro_batch != "auto":
        return settings.batch_size
    # Adam allocates two running means with its first step: reserve their memory during the search.
    reserved = [torch.empty_like(weight) for weight in state.model.parameters() for _ in range(2)]

    def work(strings: int) -> None:
        shape = (strings, state.task.max_length)
        tokens = torch.zeros(shape, dtype=torch.int64, device=device)
        scored = torch.ones(shape, dtype=torch.bool, device=device)
        _backward(state, tokens, targets=tokens, scored=scored, count=scored.numel())
        state.optimizer.zero_grad(set_to_none=True)

    with torch.random.fork_rng(devices=_cuda_devices(device)):
        found = find_micro_batch(settings.batch_size, work=work)
    del reserved
    return found


def _train_epoch(
    state: TrainState, *, batches: Batches, heartbeat: Callable[[Progress], None] | None
) -> dict[str, float]:
    """Make the steps of one epoch, without waiting for the device before its end."""
    config = state.config
    epochs, steps = config.training.epochs, config.training.batches_per_epoch
    forcing_rates = config.forcing.rates(state.epoch, epochs=epochs, steps=steps)
    generator = seeding.generator(config.seed, "forcing", state.epoch)
    sums = EpochMetrics(state.model.device)
    lr = math.nan
    transfer = Transfer(state.model.device)

    def send(batch: Batch) -> tuple[Batch, Sent]:
        return batch, transfer.send(batch.tokens, batch.targets, batch.scored)

    with (
        torch.random.fork_rng(devices=_cuda_devices(state.model.device)),
        closing(batches.of_epoch(state.epoch, prepare=send)) as ahead,
    ):
        # Dropout draws from torch's global generator: seeded per epoch, and restored afterwards.
        torch.manual_seed(seeding.integer_seed(config.seed, "dropout", state.epoch))
        for (batch, sent), rate in zip(ahead, forcing_rates, strict=True):
            tokens, targets, scored = sent.receive()
            tokens = _choose_inputs(
                state, tokens, rate=rate, scored=batch.scored, generator=generator
            )
            count = int(batch.scored.sum())
            lr = _step(state, tokens, targets=targets, scored=scored, count=count, sums=sums)
            state.tokens += count
            if heartbeat is not None and sums.due():
                heartbeat(sums.progress(step=state.step, steps=config.training.steps, lr=lr))
    # statistics.mean is exact: the mean of equal rates is that rate.
    metrics = sums.metrics() | {"forcing": statistics.mean(forcing_rates), "lr": lr}
    return metrics | {"data_wait": batches.waited_seconds / sums.seconds}


def _choose_inputs(
    state: TrainState, tokens: Tensor, *, rate: float, scored: Mask, generator: np.random.Generator
) -> Tensor:
    """Return the tokens that the model reads; parallel passes use the precision of the training."""
    with _autocast(state):
        return choose_inputs(
            state.model,
            tokens,
            forcing=state.config.forcing,
            rate=rate,
            scored=scored,
            generator=generator,
            at_once=state.micro_batch,
        )


def _step(
    state: TrainState,
    tokens: Tensor,
    *,
    targets: Tensor,
    scored: Tensor,
    count: int,
    sums: EpochMetrics,
) -> float:
    """Make one optimizer step and return its learning rate."""
    settings = state.config.training
    spec = state.config.optimizer
    lr = spec.schedule.rate(
        peak=spec.lr,
        step=state.step,
        steps=settings.steps,
        steps_per_epoch=settings.batches_per_epoch,
    )
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    state.optimizer.zero_grad(set_to_none=True)
    size = state.micro_batch or len(tokens)
    for part in (slice(first, first + size) for first in range(0, len(tokens), size)):
        loss, correct = _backward(
            state, tokens[part], targets=targets[part], scored=scored[part], count=count
        )
        sums.add(loss=loss, correct=correct)
    state.scaler.unscale_(state.optimizer)
    norm = torch.nn.utils.clip_grad_norm_(state.model.parameters(), settings.clip_norm or math.inf)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.step += 1
    sums.step(norm=norm.detach(), count=count)
    return lr


def _backward(
    state: TrainState, tokens: Tensor, *, targets: Tensor, scored: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Add the gradient of the strings' loss over `count`; return loss and correct tokens."""
    with _autocast(state):
        logits = state.network(tokens)
    losses, hits = token_scores(logits, targets=targets, scored=scored)
    loss = losses.sum()
    state.scaler.scale(loss / count).backward()
    return loss.detach(), hits.sum()


def _autocast(state: TrainState) -> torch.autocast:
    dtype = PRECISIONS.get(state.config.training.precision)
    return torch.autocast(state.model.device.type, dtype=dtype, enabled=dtype is not None)


def _cuda_devices(device: torch.device) -> list[int]:
    return [torch.cuda.current_device()] if device.type == "cuda" else []
