"""Optimizers and learning-rate schedules.

A schedule is a function of the progress, so that a resumed run needs no scheduler state. Every optimizer is
fused: one kernel changes a weight and its running means in one go, on the CPU as on CUDA.
"""

import abc
import math
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field

from seqtune.config.spec import Spec
from seqtune.config.unions import ByKind

if TYPE_CHECKING:
    from torch import nn, optim


class _Schedule(Spec):
    """What every schedule has: a linear warm-up, and the grain of its steps."""

    warmup_epochs: float = Field(default=0.0, ge=0)
    """Epochs over which the rate rises linearly to its start."""
    by: Literal["step", "epoch"] = "step"
    """Whether the rate changes with every step or stays through an epoch."""

    def rate(self, *, peak: float, step: int, steps: int, steps_per_epoch: int) -> float:
        """Learning rate of a step; steps count from 0.

        Args:
            peak: the optimizer's learning rate.
            step: which step, in [0, steps).
            steps: length of the training.
            steps_per_epoch: for `by: epoch` and the warm-up.
        """
        warmup = self.warmup_epochs * steps_per_epoch
        if step < warmup:
            return self._after_warmup(peak, 0.0) * (step + 1) / (warmup + 1)
        if self.by == "epoch":
            step = step // steps_per_epoch * steps_per_epoch
        return self._after_warmup(peak, max(step - warmup, 0) / max(steps - warmup, 1))

    @abc.abstractmethod
    def _after_warmup(self, peak: float, progress: float) -> float:
        """Learning rate at a progress in [0, 1)."""


class ConstantRate(_Schedule):
    """The optimizer's learning rate throughout."""

    kind: Literal["constant"] = "constant"

    def _after_warmup(self, peak: float, progress: float) -> float:
        return peak


class CosineRate(_Schedule):
    """Half a cosine from the learning rate down to `floor`. Source: Loshchilov & Hutter 2017, equation 5."""

    kind: Literal["cosine"] = "cosine"
    floor: float = Field(default=0.0, ge=0)

    def _after_warmup(self, peak: float, progress: float) -> float:
        return self.floor + (peak - self.floor) * (1 + math.cos(math.pi * progress)) / 2


class LinearRate(_Schedule):
    """A line from the learning rate down to `floor`."""

    kind: Literal["linear"] = "linear"
    floor: float = Field(default=0.0, ge=0)

    def _after_warmup(self, peak: float, progress: float) -> float:
        return peak + (self.floor - peak) * progress


class OneCycleRate(_Schedule):
    """Half a cosine up to the learning rate, and one down. Source: Smith & Topin 2018."""

    kind: Literal["one_cycle"] = "one_cycle"
    rise: float = Field(default=0.3, gt=0, lt=1)
    """Share of the training until the peak."""
    start_divisor: float = Field(default=25.0, ge=1)
    """The first rate is the peak divided by this."""
    end_divisor: float = Field(default=1e4, ge=1)
    """The last rate is the first divided by this."""

    def _after_warmup(self, peak: float, progress: float) -> float:
        first = peak / self.start_divisor
        if progress < self.rise:
            return _cosine(first, peak, progress / self.rise)
        return _cosine(peak, first / self.end_divisor, (progress - self.rise) / (1 - self.rise))


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


ScheduleSpec: TypeAlias = Annotated[
    ConstantRate | CosineRate | LinearRate | OneCycleRate, ByKind(default="constant")
]


class _Optimizer(Spec):
    """What every optimizer has."""

    lr: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    schedule: ScheduleSpec = CosineRate()


class _Adaptive(_Optimizer):
    """What Adam and its kin have: decay rates of the two running means."""

    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)

    def _settings(self) -> dict[str, Any]:
        return {
            "lr": self.lr,
            "betas": (self.beta1, self.beta2),
            "weight_decay": self.weight_decay,
        }


class Adam(_Adaptive):
    """Adam; weight decay is added to the gradient. Source: Kingma & Ba 2015."""

    kind: Literal["adam"] = "adam"

    def build(self, model: "nn.Module") -> "optim.Optimizer":
        from seqtune.training import uncompiled as optim

        return optim.Adam(model.parameters(), fused=True, **self._settings())


class AdamW(_Adaptive):
    """Adam with decoupled weight decay. Source: Loshchilov & Hutter 2019."""

    kind: Literal["adamw"] = "adamw"

    def build(self, model: "nn.Module") -> "optim.Optimizer":
        from seqtune.training import uncompiled as optim

        return optim.AdamW(model.parameters(), fused=True, **self._settings())


class SGD(_Optimizer):
    """Stochastic gradient descent with momentum."""

    kind: Literal["sgd"] = "sgd"
    momentum: float = Field(default=0.9, ge=0, lt=1)

    def build(self, model: "nn.Module") -> "optim.Optimizer":
        from seqtune.training import uncompiled as optim

        return optim.SGD(
            model.parameters(),
            fused=True,
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )


OptimizerSpec: TypeAlias = Annotated[Adam | AdamW | SGD, ByKind(default="adamw")]
