"""Speed of a run on this machine, from a short measurement: a few steps and one evaluation.

Results are stored in the cache folder by machine and run, so each is measured once. Steps that
read model predictions are timed apart from teacher-forced ones and weighted by the schedule. Where
a whole step or evaluation would take long, a fraction of its strings is timed and scaled up.
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
from seqtune.config.nested import assign
from seqtune.models.base import SequenceModel
from seqtune.runs.build import DeviceError, build_model, choose_device
from seqtune.runs.cost import RunCost
from seqtune.runs.spec import RunSpec
from seqtune.storage.files import cache_folder, write_atomically
from seqtune.tasks.base import Task
from seqtune.tasks.build import build_task
from seqtune.training.evaluation import Evaluator
from seqtune.training.loop import TrainConfig, TrainState, train
from seqtune.training.spec import EvaluationSpec, FreshData

SECONDS = 0.5
"""Approximate time spent on timing steps of one kind, in seconds."""

MAX_STEPS = 20

MAX_FLOPS = {"cpu": 1e11, "cuda": 1e14}
"""FLOPs of a timed step or evaluation at most; larger ones are timed on fewer strings."""

MAX_STRING_FACTOR = 10.0
"""A run is not timed if one of its strings takes more than this multiple of `MAX_FLOPS`."""


@dataclass(frozen=True)
class Speed:
    """Measured speed of a run.

    Attributes:
        step_seconds: seconds of a teacher-forced step.
        mixed_step_seconds: seconds of a step that reads model predictions; None if the schedule
            has none.
        evaluation_seconds: seconds of the evaluation after an epoch.
    """

    step_seconds: float
    mixed_step_seconds: float | None
    evaluation_seconds: float

    def run_seconds(self, spec: RunSpec) -> float:
        """Return the seconds of a run to its last epoch."""
        rates = _rates(spec)
        mixed = sum(rate < 1 for rate in rates)
        return (
            (len(rates) - mixed) * self.step_seconds
            + mixed * (self.mixed_step_seconds or 0.0)
            + spec.training.epochs * self.evaluation_seconds
        )


@dataclass(frozen=True)
class NotMeasured:
    """Why the speed of a run was not measured."""

    reason: str


def measure_speed(spec: RunSpec, *, size: RunCost, threads: int | None) -> Speed | NotMeasured:
    """Return the speed of a run on this machine: from the cache, or measured in some seconds.

    Args:
        spec: the run.
        size: its cost.
        threads: threads that torch may use on a CPU; None for its default.
    """
    threads = torch.get_num_threads() if threads is None else threads
    try:
        device = choose_device(spec)
    except DeviceError as error:
        return NotMeasured(str(error))
    per_string = size.flops_per_step / spec.training.batch_size
    if per_string > MAX_STRING_FACTOR * MAX_FLOPS[device.type]:
        return NotMeasured(f"a string takes {per_string:.2g} FLOPs, too many to time here")
    parts = _parts_of(size.flops_per_step, device=device)
    needed = size.memory.total - size.memory.activations * (1 - 1 / parts)
    if needed > (free := _free_bytes(device)):
        return NotMeasured(f"needs {needed:.2g} bytes of memory, and {free:.2g} are free")
    path = cache_folder() / "speeds" / f"{_cache_key(spec, device=device, threads=threads)}.json"
    if path.exists():
        return Speed(**json.loads(path.read_text()))
    with _set_threads(threads):
        speed = _measure(spec, size=size, device=device)
    with write_atomically(path) as file:
        file.write(json.dumps(asdict(speed)).encode())
    return speed


def machine(device: torch.device) -> str:
    """Return the parts of this machine that determine its speed."""
    cpu = f"{provenance.cpu_name()} with {os.cpu_count()} cores"
    return f"{torch.cuda.get_device_name(device)}, {cpu}" if device.type == "cuda" else cpu


def _cache_key(spec: RunSpec, *, device: torch.device, threads: int) -> str:
    """Return a hash of everything that the speed depends on, including the versions of the code."""
    run = {name: value for name, value in spec.to_data().items() if name != "seed"}
    known = [run, machine(device), threads, provenance.versions()]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def _measure(spec: RunSpec, *, size: RunCost, device: torch.device) -> Speed:
    task = build_task(spec.task)
    model = build_model(spec, task=task, device=device)
    parts = _parts_of(size.flops_per_step, device=device)
    strings = max(1, spec.training.batch_size // parts)
    # Training needs an evaluator, but its time must not count.
    one = Evaluator(EvaluationSpec(strings=1, free=0, generate=0), task=task)
    steps = _StepTimer(spec, task=task, model=model, evaluator=one, strings=strings)
    mixed = [rate for rate in _rates(spec) if rate < 1]
    return Speed(
        step_seconds=steps.seconds(rate=1.0),
        mixed_step_seconds=steps.seconds(rate=median(mixed)) if mixed else None,
        evaluation_seconds=_evaluation_seconds(spec, task=task, model=model, size=size),
    )


@dataclass(frozen=True)
class _StepTimer:
    """Times training steps on `strings` strings each."""

    spec: RunSpec
    task: Task
    model: SequenceModel
    evaluator: Evaluator
    strings: int

    def seconds(self, *, rate: float) -> float:
        """Return the seconds of a whole step, after a warm-up step."""
        first = self._timed(1, rate=rate)
        steps = max(1, min(MAX_STEPS, int(SECONDS / first)))
        # The first step may be mostly warm-up, so only later ones count.
        second = self._timed(steps, rate=rate)
        return second * self.spec.training.batch_size / self.strings

    def _timed(self, steps: int, *, rate: float) -> float:
        mixing = self.spec.forcing.model_dump(include={"granularity", "feedback", "stage"})
        training = {"epochs": 1, "batches_per_epoch": steps, "batch_size": self.strings}
        part = self.spec.training.micro_batch
        changes: dict[str, Any] = {f"training.{name}": value for name, value in training.items()}
        changes |= {"forcing": {"kind": "constant", "rate": rate, **mixing}, "data": "fresh"}
        # The weights must stay as drawn, or a large tuned rate could make them diverge.
        changes |= {"optimizer.lr": 1e-9, "optimizer.schedule": "constant"}
        changes |= {"training.compile": False}
        if isinstance(part, int):
            changes["training.micro_batch"] = min(part, self.strings)
        short = RunSpec.parse(assign(self.spec.to_data(), changes))
        config = TrainConfig(
            training=short.training,
            optimizer=short.optimizer,
            forcing=short.forcing,
            data=FreshData(),
            seed=0,
        )
        learner = TrainState(self.model, task=self.task, config=config)
        [measurement] = train(learner, evaluator=self.evaluator)
        return measurement.tokens / measurement.metrics["tokens_per_second"] / steps


def _evaluation_seconds(spec: RunSpec, *, task: Task, model: SequenceModel, size: RunCost) -> float:
    settings = spec.evaluation
    # A forward pass takes a third of a step's FLOPs. Evaluation reads all strings, some of them a
    # second time token by token, and generates others.
    passes = settings.strings + settings.free + settings.generate
    flops = size.flops_per_step / spec.training.batch_size / 3 * passes
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
    """Return the bytes of memory that are free or that the system can reclaim."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    available = Path("/proc/meminfo")
    if available.exists():
        lines = available.read_text().splitlines()
        found = dict(line.split(":", 1) for line in lines)
        return float(found["MemAvailable"].split()[0]) * 1024
    return math.inf


def _parts_of(flops: float, *, device: torch.device) -> int:
    """Return into how many parts the work is split, one of which is timed."""
    return max(1, round(flops / MAX_FLOPS[device.type]))


def _rates(spec: RunSpec) -> list[float]:
    """The teacher-forcing rate at every step of the training."""
    epochs, steps = spec.training.epochs, spec.training.batches_per_epoch
    return [
        rate
        for epoch in range(epochs)
        for rate in spec.forcing.rates(epoch, epochs=epochs, steps=steps)
    ]


@contextmanager
def _set_threads(count: int) -> Iterator[None]:
    """Set torch's number of threads, and restore it afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
