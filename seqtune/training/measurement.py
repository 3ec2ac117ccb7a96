"""Measurements: what a run yields after every epoch, and the names of all that can be measured."""

from collections.abc import Mapping
from dataclasses import dataclass

from seqtune.tasks.generative_evaluation import GenerationResult

METRICS: dict[str, str] = {
    "train/loss": "nats per scored token of the epoch's batches, as the model read them",
    "train/accuracy": "share of the epoch's scored tokens predicted right",
    "valid/loss": "nats per scored token, teacher forced",
    "valid/accuracy": "share of scored tokens predicted right, teacher forced",
    "valid/excess": "valid/loss minus the floor of the same strings",
    "valid/excess_string": "what the model loses to the floor of the same strings, in nats a string",
    "valid/kl": "KL(true next-token distribution || model) in nats, mean over positions: what valid/excess estimates "
    "from the tokens that were drawn; left out where these are certain, since there the two are the same",
    "valid/exact": "share of strings with every scored token right",
    "valid/seen": "share of validation strings that were also trained on so far",
    "free/loss": "nats per scored token, the model reading its own most probable tokens; against the truth, so "
    "that no floor is known",
    "free/accuracy": "share of scored tokens predicted right, the model reading its own most probable tokens",
    "free/gap": "free/loss minus the teacher-forced loss on the very same strings",
    "generate/valid": "share of generated strings that the task accepts as well-formed",
    "generate/valid_cut": "share of true strings that the task accepts after the model has completed them from "
    "the cut on",
    "generate/cells": "share of cells right in the boards that were generated",
    "generate/exact": "share of completions that are right in every token",
    "rollout/cells": "share of cells right over all steps of roll-outs",
    "rollout/exact": "share of boards right over all steps of roll-outs",
    "rollout/first_wrong": "mean step of a roll-out's first wrong board; one past the last if none",
    "forcing": "probability of reading the true token",
    "lr": "learning rate of the epoch's last step",
    "grad_norm": "mean norm of the gradient before clipping",
    "data_wait": "share of the training time in which a step waited for its batch",
    "tokens_per_second": "scored tokens trained on a second, evaluation not counted",
    "peak_memory_bytes": "most memory held in the epoch's steps: on the GPU, or by the process",
}
"""Every metric and its meaning, in the order of the columns."""

GENERATED = frozenset(name for name in METRICS if name.startswith(("generate/", "rollout/")))
"""The scores of what a model generates."""

FREE = frozenset(name for name in METRICS if name.startswith("free/"))
"""The scores of a model that reads its own predictions."""

HIGHER_IS_BETTER = GENERATED | {
    "train/accuracy",
    "free/accuracy",
    "valid/accuracy",
    "valid/exact",
    "tokens_per_second",
}

COMMON_OBJECTIVES = ("valid/loss", "valid/accuracy", "valid/exact", "free/loss", "free/accuracy")
"""The metrics of every task that a sweep may be judged by; others are the task's own `scores`.

Not free/gap: a model that has learned nothing has none.
"""

COMPARED = ("valid/excess", "valid/excess_string", "valid/kl")
"""The scores against the truth, over the tokens whose floor is known: 0 at best."""

OBJECTIVES = tuple(
    name for name in METRICS if name in (*COMMON_OBJECTIVES, *COMPARED) or name in GENERATED
)
"""All metrics that a sweep may be judged by."""


@dataclass(frozen=True)
class Measurement:
    """The state of a run after an epoch.

    Attributes:
        epoch: epochs done, from 1.
        step: optimizer steps done.
        tokens: scored tokens trained on.
        seconds: wall time spent on the run, over all its sittings.
        metrics: by the names of `METRICS`; what cannot be measured is left out.
        examination: what the model generated after the epoch; None where that was nothing.
    """

    epoch: int
    step: int
    tokens: int
    seconds: float
    metrics: Mapping[str, float]
    examination: GenerationResult | None = None


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
