"""Teacher forcing: with which probability the model reads the truth, and the inputs that follow.

Scheduled sampling is a choice of inputs, not another training loop. First the tokens that the model
reads are decided without gradients (true ones, or its own predictions); then one ordinary parallel pass
over them gives loss and gradient. No gradient flows through a token that was fed back, so with dropout
off this is the gradient of the step-by-step loop, at the speed of the fused kernels. With dropout on,
the predictions are made without it, as they are when the model is used.

`schedule.py` says what a schedule is, `decays.py` and `schedules.py` hold them, `choices.py` what stands
beside them, `mixing.py` coins and inputs; only `inputs.py`, which finds a model's own tokens, needs torch.

Source: Bengio et al. 2015 (scheduled sampling); Goodfellow et al. 2016, section 10.2.1 (teacher forcing).
"""

from seqtune.training.forcing.decays import Cosine, Exponential, InverseSigmoid, Linear
from seqtune.training.forcing.mixing import ARGMAX, Feedback, draw_prediction_mask, mixed_inputs
from seqtune.training.forcing.options import (
    ArgmaxFeedback,
    Exact,
    Parallel,
    SampledFeedback,
    StageSpec,
)
from seqtune.training.forcing.schedule import Horizon
from seqtune.training.forcing.schedules import Constant, ForcingSpec, Phase, Phased, Reversed

__all__ = [
    "ARGMAX",
    "ArgmaxFeedback",
    "Constant",
    "Cosine",
    "Exact",
    "Exponential",
    "Feedback",
    "ForcingSpec",
    "Horizon",
    "InverseSigmoid",
    "Linear",
    "Parallel",
    "Phase",
    "Phased",
    "Reversed",
    "SampledFeedback",
    "StageSpec",
    "draw_prediction_mask",
    "mixed_inputs",
]
