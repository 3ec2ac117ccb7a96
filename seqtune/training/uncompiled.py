"""torch's optimizers without torch's compiler.

What an optimizer does is wrapped, in torch, for loops that are compiled as a whole: the first call of any such
method imports `torch._dynamo`, about a second of every process that trains. Here at most the model is compiled
(`training.compile`), never a step of the optimizer.
"""

import inspect
from typing import Any

import torch
from torch import optim

_WRAPPED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


def _unwrapped(kind: type[optim.Optimizer]) -> Any:
    """The same class, with the methods that its wrappers wrap.

    Steps are taken without gradients of their own, as they are unless `differentiable=True`.
    """
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in _WRAPPED}
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), {**methods, "step": step})


Adam = _unwrapped(optim.Adam)
AdamW = _unwrapped(optim.AdamW)
SGD = _unwrapped(optim.SGD)
