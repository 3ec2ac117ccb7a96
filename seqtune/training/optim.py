"""Optimizers and learning-rate schedules.

A schedule is a function of the progress, so that a resumed run needs no scheduler state. Every
optimizer is
fused: one kernel updates a weight and its running means together, on the CPU as on CUDA.
"""

import abc
import functools
import inspect
import math
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, assert_never

from pydantic import Field

from seqtune.config.spec import Spec
from seqtune.config.unions import ByKind

if TYPE_CHECKING:
    from torch import nn, optim


class _Schedule(Spec):
    """A linear warm-up, and when the learning rate changes."""

    warmup_epochs: float = Field(default=0.0, ge=0)
    """Epochs over which the rate increases linearly to its first value."""
    update: Literal["step", "epoch"] = "step"
    """Whether the rate changes with every step or is constant within an epoch."""

    def rate(self, *, peak: float, step: int, steps: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step.

        Args:
            peak: the optimizer's learning rate.
            step: index of the step, in [0, steps).
            steps: length of the training.
            steps_per_epoch: for the warm-up and `update: epoch`.
        """
        warmup = self.warmup_epochs * steps_per_epoch
        if step < warmup:
            return self._after_warmup(peak, 0.0) * (step + 1) / (warmup + 1)
        if self.update == "epoch":
            step = step // steps_per_epoch * steps_per_epoch
        return self._after_warmup(peak, max(step - warmup, 0) / max(steps - warmup, 1))

    @abc.abstractmethod
    def _after_warmup(self, peak: float, progress: float) -> float:
        """Return the learning rate at a progress in [0, 1)."""


class ConstantRate(_Schedule):
    """The optimizer's learning rate throughout."""

    kind: Literal["constant"] = "constant"

    def _after_warmup(self, peak: float, progress: float) -> float:
        return peak


class CosineRate(_Schedule):
    """Half a cosine wave from the learning rate to `minimum`.

    Source: Loshchilov & Hutter 2017, equation 5.
    """

    kind: Literal["cosine"] = "cosine"
    minimum: float = Field(default=0.0, ge=0)

    def _after_warmup(self, peak: float, progress: float) -> float:
        return self.minimum + (peak - self.minimum) * (1 + math.cos(math.pi * progress)) / 2


class LinearRate(_Schedule):
    """A line from the learning rate to `minimum`."""

    kind: Literal["linear"] = "linear"
    minimum: float = Field(default=0.0, ge=0)

    def _after_warmup(self, peak: float, progress: float) -> float:
        return peak + (self.minimum - peak) * progress


class OneCycleRate(_Schedule):
    """Half a cosine wave up to the learning rate and one down. Source: Smith & Topin 2018."""

    kind: Literal["one_cycle"] = "one_cycle"
    rise: float = Field(default=0.3, gt=0, lt=1)
    """Share of the training before the peak."""
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
    lr: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    schedule: ScheduleSpec = CosineRate()


class _Adaptive(_Optimizer):
    """Adam and its variants, with the decay rates of the two running means."""

    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)


class Adam(_Adaptive):
    """Adam; weight decay is added to the gradient. Source: Kingma & Ba 2015."""

    kind: Literal["adam"] = "adam"


class AdamW(_Adaptive):
    """Adam with decoupled weight decay. Source: Loshchilov & Hutter 2019."""

    kind: Literal["adamw"] = "adamw"


class SGD(_Optimizer):
    """Stochastic gradient descent with momentum."""

    kind: Literal["sgd"] = "sgd"
    momentum: float = Field(default=0.9, ge=0, lt=1)


OptimizerSpec: TypeAlias = Annotated[Adam | AdamW | SGD, ByKind(default="adamw")]


def build_optimizer(spec: OptimizerSpec, *, model: "nn.Module") -> "optim.Optimizer":
    """Return torch's optimizer for the weights of a model, without torch's compiler."""
    options: dict[str, Any] = {"fused": True, "lr": spec.lr, "weight_decay": spec.weight_decay}
    match spec:
        case Adam() | AdamW():
            options["betas"] = (spec.beta1, spec.beta2)
        case SGD():
            options["momentum"] = spec.momentum
        case _:
            assert_never(spec)
    return uncompiled(type(spec).__name__)(model.parameters(), **options)


@functools.cache
def uncompiled(name: str) -> "type[optim.Optimizer]":
    """Return an optimizer class of `torch.optim` with the hooks for torch's compiler removed.

    torch wraps methods of optimizers for loops that are compiled as a whole. The first call of any
    such method imports `torch._dynamo`, which takes about a second of every process that trains.
    Only the model is ever compiled (`training.compile`), never a step of the optimizer.
    """
    import torch

    kind = getattr(torch.optim, name)
    wrapped = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    methods = {method: inspect.unwrap(getattr(kind, method)) for method in wrapped}
    # Unwrapping also removes what disables gradients in a step (unless `differentiable=True`).
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return type(name, (kind,), {**methods, "step": step})
