"""Floating-point operations of a training step."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from seqtune.models import ModelSpec
from seqtune.tasks.task import Task

_STEPS = 8


def training_flops_per_token(model: ModelSpec, *, task: Task) -> float:
    """Forward and backward of one token, matrix products only.

    Counted on the meta device, where nothing is computed: on the CPU torch counts no operation of
    `nn.LSTM`. What scheduled sampling adds to choose its inputs is not included.
    """
    with torch.device("meta"):
        network = model.build(
            vocab_size=task.vocab_size,
            outputs=task.outputs,
            max_length=task.max_length,
            prompt_length=task.prompt_length,
        )
        tokens = torch.zeros(1, min(_STEPS, task.max_length), dtype=torch.int64)
    with FlopCounterMode(display=False) as counter:
        network(tokens).sum().backward()
    return counter.get_total_flops() / tokens.shape[1]
