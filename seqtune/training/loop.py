"""The training of one model: a generator that yields a measurement after every epoch.

Ray, TensorBoard, the CSV file and the progress bar are readers of that stream; none of them is known here.
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
from seqtune.training import memory
from seqtune.training.data import Batches
from seqtune.training.epoch_metrics import EpochMetrics
from seqtune.training.evaluation import Evaluator
from seqtune.training.forcing import ForcingSpec
from seqtune.training.forcing.inputs import forced_inputs
from seqtune.training.measurement import Measurement, Progress
from seqtune.training.micro_batch import largest_that_fits
from seqtune.training.optim import OptimizerSpec
from seqtune.training.scoring import token_scores
from seqtune.training.spec import DataSpec, TrainingSpec
from seqtune.training.transfer import Sent, Transfer

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class TrainConfig:
    """What a training is made of, and the seed of its draws.

    Attributes:
        language: hash of the task's spec, by which runs on a node share a set of strings; None if they do not.
    """

    training: TrainingSpec
    optimizer: OptimizerSpec
    forcing: ForcingSpec
    data: DataSpec
    seed: int
    language: str | None = None


class TrainState:
    """A model in training: weights, optimizer and how far it has come.

    Attributes:
        epoch: epochs done; `step` and `tokens` likewise.
        seconds: wall time spent, over all sittings.
        micro_batch: strings that are worked on at once; None until that is known.
        seen: bool, which parts of the validation strings have been trained on; None before the first epoch.
        measurement: the last one yielded, None before the first epoch.
    """

    def __init__(self, model: SequenceModel, *, task: Task, recipe: TrainConfig) -> None:
        self.model = model
        self.network: Callable[[Tensor], Tensor] = (
            torch.compile(model) if recipe.training.compile else model
        )
        self.task = task
        self.recipe = recipe
        self.optimizer = recipe.optimizer.build(model)
        self.scaler = torch.amp.GradScaler(
            model.device.type, enabled=recipe.training.precision == "fp16"
        )
        self.epoch = 0
        self.step = 0
        self.tokens = 0
        self.seconds = 0.0
        fixed = recipe.training.micro_batch
        self.micro_batch: int | None = None if fixed == "auto" else fixed
        self.seen: Mask | None = None
        self.measurement: Measurement | None = None

    def state(self) -> dict[str, Any]:
        """All that a checkpoint has to hold: tensors and plain values."""
        measured = self.measurement
        return {
            "epoch": self.epoch,
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "micro_batch": self.micro_batch,
            "seen": None if self.seen is None else torch.from_numpy(self.seen),
            "metrics": None if measured is None else dict(measured.metrics),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes back to where `state` was taken."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.tokens, self.seconds = state["tokens"], state["seconds"]
        self.micro_batch = state["micro_batch"]
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
    learner: TrainState,
    *,
    evaluator: Evaluator,
    heartbeat: Callable[[Progress], None] | None = None,
) -> Iterator[Measurement]:
    """Trains from where the learner stands to the last epoch.

    Args:
        learner: what learns; it is at the state of the measurement whenever one is yielded.
        evaluator: what measures it.
        heartbeat: called about twice a second inside an epoch.

    Raises:
        DivergedError: as soon as a loss is seen not to be finite.
    """
    batches = _batches(learner, evaluator=evaluator)
    learner.model.train()
    if learner.micro_batch is None:
        learner.micro_batch = _micro_batch(learner)
    while learner.epoch < learner.recipe.training.epochs:
        started = time.perf_counter()
        memory.start_measuring(learner.model.device)
        metrics = _epoch(learner, batches=batches, heartbeat=heartbeat)
        metrics["peak_memory_bytes"] = memory.peak_bytes(learner.model.device)
        learner.epoch += 1
        learner.seen = batches.seen.copy()
        evaluation = evaluator.evaluate(learner.model, epoch=learner.epoch)
        metrics |= evaluation.metrics
        if len(learner.seen):
            metrics["valid/seen"] = float(learner.seen.mean())
        learner.seconds += time.perf_counter() - started
        learner.measurement = Measurement(
            epoch=learner.epoch,
            step=learner.step,
            tokens=learner.tokens,
            seconds=learner.seconds,
            metrics=metrics,
            examination=evaluation.examination,
        )
        yield learner.measurement


def _batches(learner: TrainState, *, evaluator: Evaluator) -> Batches:
    recipe = learner.recipe
    return Batches(
        learner.task,
        data=recipe.data,
        training=recipe.training,
        seed=recipe.seed,
        watched=evaluator.strings,
        seen=learner.seen,
        language=recipe.language,
    )


def _micro_batch(learner: TrainState) -> int:
    """How many strings are worked on at once: all, or with `auto` as many as fit if all are longest."""
    settings, device = learner.recipe.training, learner.model.device
    if settings.micro_batch != "auto":
        return settings.batch_size
    # An optimizer of two running means takes their memory with its first step.
    running = [torch.empty_like(weight) for weight in learner.model.parameters() for _ in range(2)]

    def work(strings: int) -> None:
        shape = (strings, learner.task.max_length)
        tokens = torch.zeros(shape, dtype=torch.int64, device=device)
        scored = torch.ones(shape, dtype=torch.bool, device=device)
        _backward(learner, tokens, targets=tokens, scored=scored, count=scored.numel())
        learner.optimizer.zero_grad(set_to_none=True)

    with torch.random.fork_rng(devices=_cuda_devices(device)):
        found = largest_that_fits(settings.batch_size, work=work)
    del running
    return found


def _epoch(
    learner: TrainState, *, batches: Batches, heartbeat: Callable[[Progress], None] | None
) -> dict[str, float]:
    """One epoch of steps, without waiting for the device before its end."""
    recipe = learner.recipe
    epochs, steps = recipe.training.epochs, recipe.training.batches_per_epoch
    truths = recipe.forcing.truths(learner.epoch, epochs=epochs, steps=steps)
    coins = seeding.generator(recipe.seed, "forcing", learner.epoch)
    tally = EpochMetrics(learner.model.device)
    rate = math.nan
    transfer = Transfer(learner.model.device)

    def send(batch: Batch) -> tuple[Batch, Sent]:
        return batch, transfer.send(batch.tokens, batch.targets, batch.scored)

    with (
        torch.random.fork_rng(devices=_cuda_devices(learner.model.device)),
        closing(batches.of_epoch(learner.epoch, prepare=send)) as ahead,
    ):
        # Dropout draws from torch's global generator: seeded for this epoch, and put back after it.
        torch.manual_seed(seeding.integer_seed(recipe.seed, "dropout", learner.epoch))
        for (batch, sent), truth in zip(ahead, truths, strict=True):
            tokens, targets, scored = sent.received()
            tokens = _read(learner, tokens, truth=truth, scored=batch.scored, generator=coins)
            count = int(batch.scored.sum())
            rate = _step(learner, tokens, targets=targets, scored=scored, count=count, tally=tally)
            learner.tokens += count
            if heartbeat is not None and tally.due():
                heartbeat(tally.progress(step=learner.step, steps=recipe.training.steps, lr=rate))
    # Exact, so that the mean of equal values is that value.
    metrics = tally.metrics() | {"forcing": statistics.mean(truths), "lr": rate}
    return metrics | {"data_wait": batches.waited_seconds / tally.seconds}


def _read(
    learner: TrainState,
    tokens: Tensor,
    *,
    truth: float,
    scored: Mask,
    generator: np.random.Generator,
) -> Tensor:
    """The tokens that the model reads; parallel passes are made in the precision of the training."""
    dtype = PRECISIONS.get(learner.recipe.training.precision)
    with torch.autocast(learner.model.device.type, dtype=dtype, enabled=dtype is not None):
        return forced_inputs(
            learner.model,
            tokens,
            forcing=learner.recipe.forcing,
            truth=truth,
            scored=scored,
            generator=generator,
            at_once=learner.micro_batch,
        )


def _step(
    learner: TrainState,
    tokens: Tensor,
    *,
    targets: Tensor,
    scored: Tensor,
    count: int,
    tally: EpochMetrics,
) -> float:
    """One optimizer step; returns its learning rate."""
    settings = learner.recipe.training
    spec = learner.recipe.optimizer
    rate = spec.schedule.rate(
        peak=spec.lr,
        step=learner.step,
        steps=settings.steps,
        steps_per_epoch=settings.batches_per_epoch,
    )
    for group in learner.optimizer.param_groups:
        group["lr"] = rate
    learner.optimizer.zero_grad(set_to_none=True)
    size = learner.micro_batch or len(tokens)
    for part in (slice(first, first + size) for first in range(0, len(tokens), size)):
        loss, correct = _backward(
            learner, tokens[part], targets=targets[part], scored=scored[part], count=count
        )
        tally.add(loss=loss, correct=correct)
    learner.scaler.unscale_(learner.optimizer)
    norm = torch.nn.utils.clip_grad_norm_(
        learner.model.parameters(), settings.clip_norm or math.inf
    )
    learner.scaler.step(learner.optimizer)
    learner.scaler.update()
    learner.step += 1
    tally.step(norm=norm.detach(), count=count)
    return rate


def _backward(
    learner: TrainState, tokens: Tensor, *, targets: Tensor, scored: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Adds the gradient of the nats of these strings over `count`; the nats, and how many tokens are right."""
    dtype = PRECISIONS.get(learner.recipe.training.precision)
    with torch.autocast(learner.model.device.type, dtype=dtype, enabled=dtype is not None):
        logits = learner.network(tokens)
    losses, hits = token_scores(logits, targets=targets, scored=scored)
    loss = losses.sum()
    learner.scaler.scale(loss / count).backward()
    return loss.detach(), hits.sum()


def _cuda_devices(device: torch.device) -> list[int]:
    return [torch.cuda.current_device()] if device.type == "cuda" else []
