"""Floating-point operations of a training step."""

from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from seqtune.models import ModelSpec
from seqtune.models.base import SequenceModel
from seqtune.tasks.base import Task


def training_flops_per_token(model: ModelSpec, *, task: Task, tokens: float) -> float:
    """Forward and backward of one token in a string of so many, matrix products only.

    Attention counts every token against every other, seen or not, as it is computed. Backward is twice
    forward for every product: that a fused kernel makes some of them again is a matter of its memory.
    What scheduled sampling adds to choose its inputs is not included.

    Args:
        model: the network.
        task: what it reads and predicts.
        tokens: mean number of tokens that it reads of a string.
    """
    products = model.products(outputs=task.outputs)
    if products is not None:
        return 3 * 2.0 * products
    # Nothing is computed. (On the meta device there is no autocast, which x-transformers switches off for its
    # rotations.)
    with FakeTensorMode():
        network = model.build(
            vocab_size=task.vocab_size,
            outputs=task.outputs,
            max_length=task.max_length,
            prompt_length=task.prompt_length,
        )
        return _flops(network, length=max(1, round(tokens)))


def _flops(network: SequenceModel, *, length: int) -> float:
    tokens = torch.zeros(1, length, dtype=torch.int64)
    with FlopCounterMode(display=False, custom_mapping=_FUSED) as counter:
        network(tokens).sum().backward()
    return counter.get_total_flops() / length


def _attention(queries: Any, keys: Any, values: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(queries, keys, values)


def _attention_backward(_: Any, queries: Any, keys: Any, values: Any, *__: Any, **___: Any) -> int:
    return 2 * sdpa_flop_count(queries, keys, values)


_FUSED = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}
"""The fused kernel of the CPU, which torch does not count by itself. Shapes, not tensors, are given."""
