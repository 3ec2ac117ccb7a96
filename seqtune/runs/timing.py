"""How long a run takes on this machine, by a short probe: a few steps, and one evaluation.

What a probe found is kept in the cache folder, by machine and run, so that it is made once. Steps that read
the model's own tokens are timed apart from those that read the truth alone, and counted by the schedule.
Both are a share of the work where all of it would take long: of a step's strings, of an evaluation's.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from seqtune import provenance
from seqtune.config.nested import assigned
from seqtune.models.base import SequenceModel
from seqtune.runs.build import DeviceError, build_model, choose_device
from seqtune.runs.cost import Size
from seqtune.runs.spec import RunSpec
from seqtune.storage import cache
from seqtune.tasks.base import Task
from seqtune.tasks.build import build_task
from seqtune.training.evaluation import Evaluator
from seqtune.training.loop import TrainConfig, TrainState, train
from seqtune.training.spec import EvaluationSpec, FreshData

SECONDS = 0.5
"""About how long steps of one kind are timed for."""

MOST_STEPS = 20

MOST_FLOPS = {"cpu": 1e11, "cuda": 1e14}
"""FLOPs that a timed step, and a timed evaluation, may take; of larger ones a share of the strings is timed."""

LARGEST = 10.0
"""A run one of whose strings takes so many times `MOST_FLOPS` is not timed: no probe of it would be short."""


@dataclass(frozen=True)
class Speed:
    """What a probe found.

    Attributes:
        step_seconds: of a step that reads the truth; `mixed_step_seconds` of one that does not, None where
            the schedule has none.
        evaluation_seconds: of the measurement after an epoch.
    """

    step_seconds: float
    mixed_step_seconds: float | None
    evaluation_seconds: float

    def run_seconds(self, spec: RunSpec) -> float:
        """Of the whole run, to its last epoch."""
        truths = _truths(spec)
        mixed = sum(truth < 1 for truth in truths)
        return (
            (len(truths) - mixed) * self.step_seconds
            + mixed * (self.mixed_step_seconds or 0.0)
            + spec.training.epochs * self.evaluation_seconds
        )


@dataclass(frozen=True)
class Untimed:
    """Why there was no probe."""

    reason: str


def measure_speed(spec: RunSpec, *, size: Size, threads: int | None) -> Speed | Untimed:
    """How fast a run is here: as found before, or by a probe of some seconds.

    Args:
        spec: the run.
        size: its costs.
        threads: that torch may use on a CPU; None for as many as it takes by itself.
    """
    threads = torch.get_num_threads() if threads is None else threads
    try:
        device = choose_device(spec)
    except DeviceError as error:
        return Untimed(str(error))
    per_string = size.flops_per_step / spec.training.batch_size
    if per_string > LARGEST * MOST_FLOPS[device.type]:
        return Untimed(f"a string takes {per_string:.2g} FLOPs, too many for a short probe here")
    parts = _parts_of(size.flops_per_step, device=device)
    needed = size.memory.total - size.memory.activations * (1 - 1 / parts)
    if needed > (free := _free_bytes(device)):
        return Untimed(f"needs {needed:.2g} bytes of memory, and {free:.2g} are free")
    kept = cache.folder() / "probes" / f"{_name(spec, device=device, threads=threads)}.json"
    if kept.exists():
        return Speed(**json.loads(kept.read_text()))
    with _threads(threads):
        found = _probe(spec, size=size, device=device)
    with cache.replacing(kept) as file:
        file.write(json.dumps(asdict(found)).encode())
    return found


def machine(device: torch.device) -> str:
    """What of the machine decides how fast it is."""
    cpu = f"{provenance.cpu_name()} with {os.cpu_count()} cores"
    return f"{torch.cuda.get_device_name(device)}, {cpu}" if device.type == "cuda" else cpu


def _name(spec: RunSpec, *, device: torch.device, threads: int) -> str:
    """Of all that a probe's result depends on: the code too."""
    run = {name: value for name, value in spec.to_data().items() if name != "seed"}
    known = [run, machine(device), threads, provenance.versions()]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def _probe(spec: RunSpec, *, size: Size, device: torch.device) -> Speed:
    task = build_task(spec.task)
    model = build_model(spec, task=task, device=device)
    parts = _parts_of(size.flops_per_step, device=device)
    strings = max(1, spec.training.batch_size // parts)
    one = Evaluator(EvaluationSpec(strings=1, free=0, generate=0), task=task)
    steps = _Steps(spec, task=task, model=model, evaluator=one, strings=strings)
    mixed = [truth for truth in _truths(spec) if truth < 1]
    return Speed(
        step_seconds=steps.seconds(truth=1.0),
        mixed_step_seconds=steps.seconds(truth=median(mixed)) if mixed else None,
        evaluation_seconds=_evaluation_seconds(spec, task=task, model=model, size=size),
    )


@dataclass(frozen=True)
class _Steps:
    """Times training steps of `strings` strings; the evaluator is what training needs one for."""

    spec: RunSpec
    task: Task
    model: SequenceModel
    evaluator: Evaluator
    strings: int

    def seconds(self, *, truth: float) -> float:
        """Of a whole step, after one that warms up."""
        first = self._timed(1, truth=truth)
        steps = max(1, min(MOST_STEPS, int(SECONDS / first)))
        # What the first step took may be nearly all warming up, or nearly all work: the second one says.
        second = self._timed(steps, truth=truth)
        return second * self.spec.training.batch_size / self.strings

    def _timed(self, steps: int, *, truth: float) -> float:
        mixing = self.spec.forcing.model_dump(include={"coin", "feedback", "stage"})
        training = {"epochs": 1, "batches_per_epoch": steps, "batch_size": self.strings}
        part = self.spec.training.micro_batch
        changes: dict[str, Any] = {f"training.{name}": value for name, value in training.items()}
        changes |= {"forcing": {"kind": "constant", "truth": truth, **mixing}, "data": "fresh"}
        # So slow that the weights stay as they are drawn, whatever rate is tuned.
        changes |= {"optimizer.lr": 1e-9, "optimizer.schedule": "constant"}
        changes |= {"training.compile": False}
        if isinstance(part, int):
            changes["training.micro_batch"] = min(part, self.strings)
        short = RunSpec.parse(assigned(self.spec.to_data(), changes))
        recipe = TrainConfig(
            training=short.training,
            optimizer=short.optimizer,
            forcing=short.forcing,
            data=FreshData(),
            seed=0,
        )
        learner = TrainState(self.model, task=self.task, recipe=recipe)
        [measurement] = train(learner, evaluator=self.evaluator)
        return measurement.tokens / measurement.metrics["tokens_per_second"] / steps


def _evaluation_seconds(spec: RunSpec, *, task: Task, model: SequenceModel, size: Size) -> float:
    settings = spec.evaluation
    # A forward pass is a third of a step; strings are read, some of them once more token by token, and others
    # are generated.
    readings = settings.strings + settings.free + settings.generate
    flops = size.flops_per_step / spec.training.batch_size / 3 * readings
    parts = _parts_of(flops, device=model.device)
    share = EvaluationSpec(
        strings=max(1, settings.strings // parts),
        free=settings.free // parts,
        generate=settings.generate // parts,
        seed=settings.seed,
    )
    evaluator = Evaluator(share, task=task)
    started = time.perf_counter()
    evaluator.evaluate(model, epoch=1)
    return (time.perf_counter() - started) * parts


def _free_bytes(device: torch.device) -> float:
    """Memory that nobody holds, or that the system can take back."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    available = Path("/proc/meminfo")
    if available.exists():
        lines = available.read_text().splitlines()
        found = dict(line.split(":", 1) for line in lines)
        return float(found["MemAvailable"].split()[0]) * 1024
    return math.inf


def _parts_of(flops: float, *, device: torch.device) -> int:
    """Into how many parts work is cut, one of which is timed."""
    return max(1, round(flops / MOST_FLOPS[device.type]))


def _truths(spec: RunSpec) -> list[float]:
    """The probability of reading the truth, at every step of the training."""
    epochs, steps = spec.training.epochs, spec.training.batches_per_epoch
    return [
        truth
        for epoch in range(epochs)
        for truth in spec.forcing.truths(epoch, epochs=epochs, steps=steps)
    ]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many threads of torch's, and then again as many as there were."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
