"""Optuna's samplers and pruners for the specs of a sweep file."""

import warnings
from typing import assert_never

import optuna
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import BaseSampler, GPSampler, QMCSampler, RandomSampler, TPESampler

from seqtune.sweep.planning.spec import (
    AshaSpec,
    GpSpec,
    GridSpec,
    HyperbandSpec,
    MedianSpec,
    NoPruner,
    PrunerSpec,
    QmcSpec,
    RandomSpec,
    SamplerSpec,
    TpeSpec,
)

MOST_STARTUP_TRIALS = 10


def build_sampler(spec: SamplerSpec, *, trials: int, seed: int, fresh: int) -> BaseSampler:
    """The sampler of one trial of a cell's study.

    Args:
        spec: which.
        trials: trials of the cell, which the model-based samplers divide into random and guided ones.
        seed: of the cell.
        fresh: of the trial: what is drawn for it depends on nothing but this and what the study knows by
            then, so that a driver that was killed in between changes nothing.
    """
    fresh %= 2**32
    match spec:
        case TpeSpec():
            startup = spec.startup_trials or _startup(trials)
            return TPESampler(n_startup_trials=startup, seed=fresh)
        case GpSpec():
            startup = spec.startup_trials or _startup(trials)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return GPSampler(n_startup_trials=startup, seed=fresh)
        case QmcSpec():
            # Its place in the sequence is kept in the study, so here the seed must stay the same.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return QMCSampler(scramble=True, seed=seed % 2**32)
        case RandomSpec() | GridSpec():  # the grid's points are queued; nothing is left to sample
            return RandomSampler(seed=fresh)
        case _:
            assert_never(spec)


def build_pruner(spec: PrunerSpec, *, epochs: int) -> BasePruner:
    """The pruner of one cell's study; its steps are epochs."""
    match spec:
        case AshaSpec(type="promotion"):
            return NopPruner()
        case AshaSpec():
            return SuccessiveHalvingPruner(
                min_resource=spec.grace, reduction_factor=spec.reduction_factor
            )
        case HyperbandSpec():
            return HyperbandPruner(
                min_resource=spec.grace,
                max_resource=epochs,
                reduction_factor=spec.reduction_factor,
            )
        case MedianSpec():
            return MedianPruner(n_startup_trials=spec.startup_trials, n_warmup_steps=spec.grace)
        case NoPruner():
            return NopPruner()
        case _:
            assert_never(spec)


def _startup(trials: int) -> int:
    return max(1, min(MOST_STARTUP_TRIALS, -(-trials // 3)))
