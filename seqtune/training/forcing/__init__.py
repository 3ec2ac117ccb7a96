"""Scheduled sampling: the teacher-forcing rate over time, and the inputs at that rate.

Scheduled sampling chooses inputs; it is not another training loop. First the tokens that the model
reads are decided without gradients (ground truth, or the model's predictions); then one ordinary
parallel pass over them gives loss and gradient. No gradient flows through a token that was fed
back, so with dropout off this is the gradient of the step-by-step loop, at the speed of fused
kernels. With dropout on, the predictions are made without it, as they are when the model is used.

`base.py` has the common fields, `schedules.py` the schedules; neither needs torch. `inputs.py`,
which does, turns a rate into inputs and is imported by itself.

Source: Bengio et al. 2015 (scheduled sampling); Goodfellow et al. 2016, section 10.2.1 (teacher
forcing).
"""

from seqtune.training.forcing.base import (
    ArgmaxFeedback,
    Exact,
    Forcing,
    Granularity,
    Horizon,
    Parallel,
    SampledFeedback,
    StageSpec,
)
from seqtune.training.forcing.schedules import (
    Constant,
    Cosine,
    Exponential,
    ForcingSpec,
    InverseSigmoid,
    Linear,
    Phase,
    Phased,
    Reversed,
)

__all__ = [
    "ArgmaxFeedback",
    "Constant",
    "Cosine",
    "Exact",
    "Exponential",
    "Forcing",
    "ForcingSpec",
    "Granularity",
    "Horizon",
    "InverseSigmoid",
    "Linear",
    "Parallel",
    "Phase",
    "Phased",
    "Reversed",
    "SampledFeedback",
    "StageSpec",
]
