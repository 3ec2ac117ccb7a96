"""Measurements: what a run yields after every epoch, and the names of all that can be measured."""

from collections.abc import Mapping
from dataclasses import dataclass

METRICS: dict[str, str] = {
    "train/loss": "nats per scored token of the epoch's batches, as the model read them",
    "train/accuracy": "share of the epoch's scored tokens predicted right",
    "valid/loss": "nats per scored token, teacher forced",
    "valid/accuracy": "share of scored tokens predicted right, teacher forced",
    "valid/excess": "valid/loss minus the floor of the same strings",
    "valid/excess_string": "the same, in nats a string",
    "valid/exact": "share of strings with every scored token right",
    "generate/valid": "share of strings sampled at temperature 1 that the task accepts",
    "forcing": "probability of reading the true token",
    "lr": "learning rate of the epoch's last step",
    "grad_norm": "mean norm of the gradient before clipping",
    "tokens_per_second": "scored tokens trained on a second, evaluation not counted",
    "peak_memory_bytes": "most memory held: on the GPU, or by the process",
}
"""Every metric and its meaning, in the order of the columns."""

HIGHER_IS_BETTER = frozenset(
    {"train/accuracy", "valid/accuracy", "valid/exact", "generate/valid", "tokens_per_second"}
)

OBJECTIVES = tuple(name for name in METRICS if name.startswith(("valid/", "generate/")))
"""The metrics that a sweep may be judged by."""


@dataclass(frozen=True)
class Measurement:
    """The state of a run after an epoch.

    Attributes:
        epoch: epochs done, from 1.
        step: optimizer steps done.
        tokens: scored tokens trained on.
        seconds: wall time spent on the run, over all its sittings.
        metrics: by the names of `METRICS`; what cannot be measured is left out.
    """

    epoch: int
    step: int
    tokens: int
    seconds: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Progress:
    """Where a run is inside an epoch, for a progress bar.

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
    """A loss is no finite number any more."""
