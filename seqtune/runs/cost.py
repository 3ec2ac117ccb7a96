"""What a run costs, known before it is trained: parameters, FLOPs, tokens, memory, disk.

FLOPs a token are those that run.json says: of a scored token, forward and backward, with its share of the
prompts and the padding that are read beside it. Nothing is trained, and no weights are drawn.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, assert_never

from seqtune import seeding
from seqtune.config.nested import assigned
from seqtune.runs.spec import RunSpec
from seqtune.tasks.base import Batch, Task
from seqtune.tasks.build import build_task
from seqtune.training.evaluation import laid_out
from seqtune.training.flops import training_flops_per_token
from seqtune.training.network_cost import Reading, count_parameters, step_bytes
from seqtune.training.optim import SGD, Adam, AdamW, OptimizerSpec
from seqtune.training.spec import FixedData

T = TypeVar("T")

NUMBER_BYTES = 4
"""Of a weight, of its gradient and of each of its running means: they are in single precision."""

DRAWN = 8
"""Batches that are drawn to find how long strings are."""

RUN_BYTES = 9_000
"""What a run directory holds beside weights and epochs: card, specs, samples.

Measured, with `EPOCH_BYTES`, on runs of sweeps/train.yaml of 2 and of 12 epochs (12.8 and 32.2 kB)."""

EPOCH_BYTES = 2_000
"""What a run directory gains with an epoch: its row, and TensorBoard's events; pictures of boards take more."""


@dataclass(frozen=True)
class Memory:
    """Bytes of tensors at the peak of a training step.

    What the process holds besides (Python, torch, kernels' own buffers) is not in it, nor what an
    allocator rounds up: on a CPU a step took 1.2 to 1.9 times its gradients and activations (LSTM, GRU and
    transformer, 90 to 330 MB).

    Attributes:
        weights: of the network; `gradients` likewise.
        optimizer: of its running means.
        activations: of all else that lives when most of it does, by the order of the operations.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.activations


@dataclass(frozen=True)
class Size:
    """A run's costs.

    Attributes:
        parameters: weights that training changes.
        flops_per_token: of a scored token, as in run.json.
        tokens_per_step: scored tokens of a step, by the mean length of strings that were drawn.
        steps: of the whole training.
        memory: of a step.
        disk_bytes: of its directory once it has ended, with its weights.
        checkpoint_bytes: of what lies there as well until then.
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
        """Scored tokens of the whole training."""
        return self.tokens_per_step * self.steps

    @property
    def flops_per_step(self) -> float:
        """Of an optimizer step."""
        return self.flops_per_token * self.tokens_per_step

    @property
    def flops(self) -> float:
        """Of the whole training."""
        return self.flops_per_token * self.tokens

    def to_data(self) -> dict[str, Any]:
        """Plain data."""
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
    """Measures runs; what several of them have in common is made and counted once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Any] = {}

    def parameters(self, spec: RunSpec) -> int:
        """Weights that training changes."""
        return self._once(
            ("parameters", *_network_key(spec)),
            lambda: count_parameters(spec.model, task=self.task(spec)),
        )

    def flops_per_token(self, spec: RunSpec) -> float:
        """Of a scored token, forward and backward, as run.json has it."""
        read = self._validation(spec)
        tokens = read.tokens / read.strings
        return self._once(
            ("flops", *_network_key(spec), str(round(tokens))),
            lambda: training_flops_per_token(
                _without_dropout(spec).model, task=self.task(spec), tokens=tokens
            ),
        ) * (read.tokens / read.scored)

    def size(self, spec: RunSpec, *, weights: bool = True) -> Size:
        """All of its costs.

        Args:
            spec: the run.
            weights: whether its weights are kept when it has ended.
        """
        training, parameters = spec.training, self.parameters(spec)
        strings = strings_per_step(spec)
        read = self._drawn(spec)
        held = NUMBER_BYTES * parameters
        running = held * running_means(spec.optimizer)
        return Size(
            parameters=parameters,
            flops_per_token=self.flops_per_token(spec),
            tokens_per_step=strings * read.scored / read.strings,
            steps=training.steps,
            memory=self._memory(spec, held=held, running=running, length=read.longest),
            disk_bytes=RUN_BYTES + EPOCH_BYTES * training.epochs + (held if weights else 0),
            checkpoint_bytes=held + running,
        )

    def task(self, spec: RunSpec) -> Task:
        """The run's task."""
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

    def _validation(self, spec: RunSpec) -> Reading:
        """What is read of the strings that the run is measured on."""
        settings = spec.evaluation

        def read() -> Reading:
            task = self.task(spec)
            generator = seeding.generator(settings.seed, "valid")
            strings = task.draw(settings.strings, generator=generator, split="valid")
            return Reading.of(laid_out(strings, task=task))

        return self._once(("valid", spec.task.hash(), str((settings.strings, settings.seed))), read)

    def _drawn(self, spec: RunSpec) -> Reading:
        """What is read of a few batches that the run might train on."""

        def draw() -> Iterator[Batch]:
            generator = seeding.generator(0, "data")
            for _ in range(DRAWN):
                yield self.task(spec).sample(spec.training.batch_size, generator=generator)

        key = ("drawn", spec.task.hash(), str(spec.training.batch_size))
        return self._once(key, lambda: Reading.of(draw()))

    def _once(self, key: tuple[str, ...], find: Callable[[], T]) -> T:
        if key not in self._known:
            self._known[key] = find()
        return self._known[key]


def strings_per_step(spec: RunSpec) -> float:
    """Mean strings of a step: the last batch of a fixed set is smaller."""
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
    """Numbers that an optimizer keeps for every weight."""
    match optimizer:
        case Adam() | AdamW():
            return 2
        case SGD(momentum=momentum):
            return 1 if momentum > 0 else 0
        case _:
            assert_never(optimizer)


def _network_key(spec: RunSpec) -> tuple[str, str]:
    """What a network's weights and products depend on."""
    return spec.task.hash(), _without_dropout(spec).model.hash()


def _without_dropout(spec: RunSpec) -> RunSpec:
    """Dropout has no weights and no matrix products, and it is what most sweeps tune."""
    return RunSpec.parse(assigned(spec.to_data(), {"model.dropout": 0.0}))
