"""Cost of a run, estimated without training: parameters, FLOPs, tokens, memory, disk.

FLOPs per token are those of run.json: forward and backward per scored token, including its share
of the prompt and padding tokens that are read. No weights are drawn.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, assert_never

from seqtune import seeding
from seqtune.config.nested import assign
from seqtune.runs.spec import RunSpec
from seqtune.tasks.base import Batch, Task
from seqtune.tasks.build import build_task
from seqtune.training.evaluation import make_batches
from seqtune.training.network_cost import (
    TokenCounts,
    count_parameters,
    step_bytes,
    training_flops_per_token,
)
from seqtune.training.optim import SGD, Adam, AdamW, OptimizerSpec
from seqtune.training.spec import FixedData

T = TypeVar("T")

NUMBER_BYTES = 4
"""Bytes of a weight, a gradient or an optimizer state: all are in single precision."""

LENGTH_BATCHES = 8
"""Batches drawn to estimate how long strings are."""

RUN_BYTES = 9_000
"""Bytes of a run directory besides weights and epochs: model card, specs, samples.

Measured, with `EPOCH_BYTES`, on runs of sweeps/train.yaml of 2 and 12 epochs (12.8 and 32.2 kB).
"""

EPOCH_BYTES = 2_000
"""Bytes that an epoch adds to a run directory: a row and TensorBoard events; boards take more."""


@dataclass(frozen=True)
class Memory:
    """Bytes of tensors at the peak of a training step.

    Excludes the rest of the process (Python, torch, buffers of kernels) and the allocator's
    rounding: measured on a CPU, a step took 1.2 to 1.9 times its gradients and activations (LSTM,
    GRU and transformer, 90 to 330 MB).

    Attributes:
        weights: bytes of the network's weights.
        gradients: bytes of their gradients.
        optimizer: bytes of the optimizer's running means.
        activations: bytes of all other tensors that are alive at the peak.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """Sum of all parts."""
        return self.weights + self.gradients + self.optimizer + self.activations


@dataclass(frozen=True)
class RunCost:
    """Cost of a run.

    Attributes:
        parameters: number of trainable parameters.
        flops_per_token: training FLOPs per scored token, as in run.json.
        tokens_per_step: scored tokens per step, from the mean length of drawn strings.
        steps: optimizer steps of the run.
        memory: peak memory of a step.
        disk_bytes: size of the run directory once the run has ended.
        checkpoint_bytes: size of the checkpoint, which exists until then.
    """

    parameters: int
    flops_per_token: float
    tokens_per_step: float
    steps: int
    memory: Memory
    disk_bytes: int
    checkpoint_bytes: int

    @property
    def tokens(self) -> float:
        """Scored tokens of the run."""
        return self.tokens_per_step * self.steps

    @property
    def flops_per_step(self) -> float:
        """FLOPs of an optimizer step."""
        return self.flops_per_token * self.tokens_per_step

    @property
    def flops(self) -> float:
        """FLOPs of the run."""
        return self.flops_per_token * self.tokens

    def to_data(self) -> dict[str, Any]:
        """Return plain JSON data."""
        memory = {**asdict(self.memory), "total": self.memory.total}
        return {
            "parameters": self.parameters,
            "flops_per_token": self.flops_per_token,
            "flops_per_step": self.flops_per_step,
            "flops": self.flops,
            "tokens_per_step": self.tokens_per_step,
            "tokens": self.tokens,
            "steps": self.steps,
            "memory_bytes": memory,
            "disk_bytes": self.disk_bytes,
            "checkpoint_bytes": self.checkpoint_bytes,
        }


class CostEstimator:
    """Estimates costs of runs; what several runs share is built and counted once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Any] = {}

    def parameters(self, spec: RunSpec) -> int:
        """Return the number of trainable parameters."""
        return self._once(
            ("parameters", *_network_key(spec)),
            lambda: count_parameters(spec.model, task=self.task(spec)),
        )

    def flops_per_token(self, spec: RunSpec) -> float:
        """Return the training FLOPs per scored token, as in run.json."""
        read = self._validation(spec)
        tokens = read.tokens / read.strings
        return self._once(
            ("flops", *_network_key(spec), str(round(tokens))),
            lambda: training_flops_per_token(
                _without_dropout(spec).model, task=self.task(spec), tokens=tokens
            ),
        ) * (read.tokens / read.scored)

    def estimate(self, spec: RunSpec, *, weights: bool = True) -> RunCost:
        """Return the cost of a run.

        Args:
            spec: the run.
            weights: whether its weights stay on disk once it has ended.
        """
        training, parameters = spec.training, self.parameters(spec)
        strings = strings_per_step(spec)
        read = self._sampled(spec)
        held = NUMBER_BYTES * parameters
        running = held * running_means(spec.optimizer)
        return RunCost(
            parameters=parameters,
            flops_per_token=self.flops_per_token(spec),
            tokens_per_step=strings * read.scored / read.strings,
            steps=training.steps,
            memory=self._memory(spec, held=held, running=running, length=read.longest),
            disk_bytes=RUN_BYTES + EPOCH_BYTES * training.epochs + (held if weights else 0),
            checkpoint_bytes=held + running,
        )

    def task(self, spec: RunSpec) -> Task:
        """Return the run's task, built once."""
        return self._once(("task", spec.task.hash()), lambda: build_task(spec.task))

    def _memory(self, spec: RunSpec, *, held: int, running: int, length: int) -> Memory:
        training = spec.training
        part = training.micro_batch
        rows = min(part, training.batch_size) if isinstance(part, int) else training.batch_size
        if isinstance(spec.data, FixedData):
            rows = min(rows, spec.data.strings)
        half = training.precision != "fp32"
        peak = self._once(
            ("bytes", spec.task.hash(), spec.model.hash(), str((rows, length, half))),
            lambda: step_bytes(
                spec.model, task=self.task(spec), rows=rows, length=length, half=half
            ),
        )
        return Memory(
            weights=held, gradients=held, optimizer=running, activations=max(0, peak - 2 * held)
        )

    def _validation(self, spec: RunSpec) -> TokenCounts:
        """Return the token counts of the run's validation strings."""
        settings = spec.evaluation

        def read() -> TokenCounts:
            task = self.task(spec)
            generator = seeding.generator(settings.seed, "valid")
            strings = task.draw(settings.strings, generator=generator, split="valid")
            return TokenCounts.of(make_batches(strings, task=task))

        return self._once(("valid", spec.task.hash(), str((settings.strings, settings.seed))), read)

    def _sampled(self, spec: RunSpec) -> TokenCounts:
        """Return the token counts of `LENGTH_BATCHES` training batches."""

        def draw() -> Iterator[Batch]:
            generator = seeding.generator(0, "data")
            for _ in range(LENGTH_BATCHES):
                yield self.task(spec).sample(spec.training.batch_size, generator=generator)

        key = ("drawn", spec.task.hash(), str(spec.training.batch_size))
        return self._once(key, lambda: TokenCounts.of(draw()))

    def _once(self, key: tuple[str, ...], find: Callable[[], T]) -> T:
        if key not in self._known:
            self._known[key] = find()
        return self._known[key]


def strings_per_step(spec: RunSpec) -> float:
    """Return the mean number of strings per step; the last batch of a fixed set is smaller."""
    size, batches = spec.training.batch_size, spec.training.batches_per_epoch
    if not isinstance(spec.data, FixedData):
        return float(size)
    taken, left = 0, 0
    for _ in range(batches):
        left = left or spec.data.strings
        taken += min(size, left)
        left -= min(size, left)
    return taken / batches


def running_means(optimizer: OptimizerSpec) -> int:
    """Return how many numbers an optimizer stores per weight."""
    match optimizer:
        case Adam() | AdamW():
            return 2
        case SGD(momentum=momentum):
            return 1 if momentum > 0 else 0
        case _:
            assert_never(optimizer)


def _network_key(spec: RunSpec) -> tuple[str, str]:
    """Return what the parameters and FLOPs of a network depend on."""
    return spec.task.hash(), _without_dropout(spec).model.hash()


def _without_dropout(spec: RunSpec) -> RunSpec:
    """Return the run without dropout, which most sweeps tune and which changes no cost."""
    return RunSpec.parse(assign(spec.to_data(), {"model.dropout": 0.0}))
