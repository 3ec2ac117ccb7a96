"""Measurements, which a run yields after every epoch, and the table of all metrics.

A new metric is an entry in `METRICS` and the code that computes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from seqtune.tasks.generative_evaluation import GenerationResult


@dataclass(frozen=True)
class Metric:
    """What is known of a metric.

    Attributes:
        description: the rest of a sentence that begins with the metric's name.
        unit: of its values; empty for a bare number.
        higher_is_better: direction.
        objective: whether a sweep may optimise it: for `every` task, for a task that lists it in
            its `scores` (`some`), or `never`.
        floor: its best achievable value: 0, or that field of a task's floor; None if it has none.
        needs: the setting of `evaluation` without which it is not measured; None if it always is.
    """

    description: str
    unit: str = ""
    higher_is_better: bool = False
    objective: Literal["every", "some", "never"] = "never"
    floor: Literal["zero", "loss", "accuracy"] | None = None
    needs: Literal["free", "generate"] | None = None


def _generated(description: str, *, unit: str, higher_is_better: bool = True) -> Metric:
    return Metric(
        description,
        unit=unit,
        higher_is_better=higher_is_better,
        objective="some",
        needs="generate",
    )


METRICS: Mapping[str, Metric] = {
    "train/loss": Metric(
        "nats per scored token of the epoch's batches, as the model read them",
        unit="nats per token",
    ),
    "train/accuracy": Metric(
        "share of the epoch's scored tokens predicted right",
        unit="share of tokens",
        higher_is_better=True,
    ),
    "valid/loss": Metric(
        "nats per scored token, teacher forced",
        unit="nats per token",
        objective="every",
        floor="loss",
    ),
    "valid/accuracy": Metric(
        "share of scored tokens predicted right, teacher forced",
        unit="share of tokens",
        higher_is_better=True,
        objective="every",
        floor="accuracy",
    ),
    "valid/excess": Metric(
        "valid/loss minus the floor of the same strings",
        unit="nats per token",
        objective="some",
        floor="zero",
    ),
    "valid/excess_string": Metric(
        "loss minus floor of the same strings, in nats per string",
        unit="nats per string",
        objective="some",
        floor="zero",
    ),
    "valid/kl": Metric(
        "KL(true next-token distribution || model) in nats, mean over positions: what valid/excess "
        "estimates from sampled tokens; omitted if all tokens are certain, where both are equal",
        unit="nats per token",
        objective="some",
        floor="zero",
    ),
    "valid/exact": Metric(
        "share of strings with every scored token right",
        unit="share of strings",
        higher_is_better=True,
        objective="every",
    ),
    "valid/seen": Metric(
        "share of validation strings that were also trained on so far", unit="share of strings"
    ),
    "free/loss": Metric(
        "nats per scored token, the model reading its own most probable tokens; it is compared "
        "with the ground truth, so that no floor is known",
        unit="nats per token",
        objective="every",
        needs="free",
    ),
    "free/accuracy": Metric(
        "share of scored tokens predicted right, the model reading its own most probable tokens",
        unit="share of tokens",
        higher_is_better=True,
        objective="every",
        needs="free",
    ),
    # No objective: a model that has learned nothing has no gap.
    "free/gap": Metric(
        "free/loss minus the teacher-forced loss on the very same strings",
        unit="nats per token",
        needs="free",
    ),
    "generate/valid": _generated(
        "share of generated strings that the task accepts as well-formed", unit="share of samples"
    ),
    "generate/valid_cut": _generated(
        "share of true strings that the task accepts after the model has completed them from the "
        "cut on",
        unit="share of samples",
    ),
    "generate/cells": _generated(
        "share of cells right in the generated boards", unit="share of cells"
    ),
    "generate/exact": _generated(
        "share of completions that are right in every token", unit="share of completions"
    ),
    "rollout/cells": _generated(
        "share of cells right over all steps of roll-outs", unit="share of cells"
    ),
    "rollout/exact": _generated(
        "share of boards right over all steps of roll-outs", unit="share of boards"
    ),
    "rollout/first_wrong": _generated(
        "mean step of a roll-out's first wrong board; one past the last if none", unit="steps"
    ),
    "forcing": Metric("probability of reading a ground-truth token", unit="probability"),
    "lr": Metric("learning rate of the epoch's last step"),
    "grad_norm": Metric("mean norm of the gradient before clipping"),
    "data_wait": Metric(
        "share of the training time in which a step waited for its batch",
        unit="share of training time",
    ),
    "tokens_per_second": Metric(
        "scored tokens trained on per second, evaluation not counted",
        unit="tokens per second",
        higher_is_better=True,
    ),
    "peak_memory_bytes": Metric(
        "peak memory of the epoch's steps: on the GPU, or of the process", unit="bytes"
    ),
}
"""Every metric by name, in the order of the columns. All that follows is derived from it."""

HIGHER_IS_BETTER = frozenset(name for name, each in METRICS.items() if each.higher_is_better)

OBJECTIVES = tuple(name for name, each in METRICS.items() if each.objective != "never")
"""The metrics that a sweep may optimise."""

COMMON_OBJECTIVES = tuple(name for name, each in METRICS.items() if each.objective == "every")
"""Those that every task has; others only if a task lists them in its `scores`."""

ZERO_FLOOR = frozenset(name for name, each in METRICS.items() if each.floor == "zero")
"""Differences from the floor, over the tokens whose floor is known: 0 at best."""

FLOOR_FIELDS = {
    name: each.floor for name, each in METRICS.items() if each.floor not in (None, "zero")
}
"""Metrics whose best value is a field of the floor, `loss` or `accuracy`, and that field."""

FREE = frozenset(name for name, each in METRICS.items() if each.needs == "free")
"""Scores of a model that reads its own predictions."""

GENERATED = frozenset(name for name, each in METRICS.items() if each.needs == "generate")
"""Scores of what a model generates."""


@dataclass(frozen=True)
class Measurement:
    """The state of a run after an epoch.

    Attributes:
        epoch: epochs done, from 1.
        step: optimizer steps done.
        tokens: scored tokens trained on.
        seconds: wall time spent on the run, including before it was resumed.
        metrics: by the names of `METRICS`; what cannot be measured is left out.
        generated: what the model generated after the epoch; None if nothing was generated.
    """

    epoch: int
    step: int
    tokens: int
    seconds: float
    metrics: Mapping[str, float]
    generated: GenerationResult | None = None


@dataclass(frozen=True)
class Progress:
    """Progress within an epoch, for a progress bar.

    Attributes:
        step: optimizer steps done, of `steps`.
        loss: nats per scored token since the epoch began; `accuracy` likewise.
    """

    step: int
    steps: int
    loss: float
    accuracy: float
    lr: float
    tokens_per_second: float


class DivergedError(Exception):
    """A loss is not finite."""
