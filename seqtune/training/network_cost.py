"""Parameters, memory and FLOPs of a network, computed without training it.

Networks are built on the meta device or with fake tensors, so that nothing is computed or
allocated.
"""

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from seqtune.models import LSTMSpec, ModelSpec
from seqtune.models.base import SequenceModel, trainable_parameters
from seqtune.models.build import build_network
from seqtune.tasks.base import Batch, Task
from seqtune.training.scoring import token_scores

MEASURED_LENGTHS = (8, 16)
"""A recurrent network's memory is linear in the length of its strings: it is measured at two
lengths."""


@dataclass(frozen=True)
class TokenCounts:
    """Token counts of a set of strings as a model reads them.

    Attributes:
        strings: number of strings.
        tokens: tokens read, padding included.
        scored: scored tokens.
        longest: tokens of the longest row.
    """

    strings: int
    tokens: int
    scored: int
    longest: int

    @classmethod
    def of(cls, batches: Iterable[Batch]) -> "TokenCounts":
        """Return the sums over one or more batches."""
        batches = list(batches)
        return cls(
            strings=sum(len(batch) for batch in batches),
            tokens=sum(batch.tokens.size for batch in batches),
            scored=sum(int(batch.scored.sum()) for batch in batches),
            longest=max(batch.tokens.shape[1] for batch in batches),
        )


def build_for_task(model: ModelSpec, *, task: Task) -> SequenceModel:
    """Return a network for the task, with fresh weights drawn from torch's global generator."""
    return build_network(
        model,
        vocab_size=task.vocab_size,
        outputs=task.outputs,
        max_length=task.max_length,
        prompt_length=task.prompt_length,
    )


def count_parameters(model: ModelSpec, *, task: Task) -> int:
    """Return the number of trainable parameters, counted on the meta device."""
    with torch.device("meta"):
        return trainable_parameters(build_for_task(model, task=task))


def training_flops_per_token(model: ModelSpec, *, task: Task, tokens: float) -> float:
    """Return the FLOPs of one token's forward and backward pass, counting matrix products only.

    Attention counts every token against every other, visible or not, as it is computed. Backward
    counts twice forward; the recomputation inside fused kernels is not counted. Neither is what
    scheduled sampling adds to choose its inputs.

    Args:
        model: the network.
        task: what it reads and predicts.
        tokens: mean number of tokens read per string.
    """
    if isinstance(model, LSTMSpec):
        return 3 * 2.0 * model.multiplications(outputs=task.outputs)
    # Fake tensors, not the meta device, which has no autocast: x-transformers disables autocast for
    # its rotary encoding.
    with FakeTensorMode():
        return _count_flops(build_for_task(model, task=task), length=max(1, round(tokens)))


def step_bytes(model: ModelSpec, *, task: Task, rows: int, length: int, half: bool) -> int:
    """Return the peak bytes of all live tensors in a forward and backward pass, weights included.

    Every operation is executed in the order of training, on tensors that have a size but no
    content. Not
    counted: rounding by the allocator, workspaces of kernels, the optimizer's state. Recurrent
    networks are counted step by step and in single precision, together with what torch's own
    kernels keep.

    Args:
        model: the network.
        task: what it reads and predicts.
        rows: strings processed at once.
        length: tokens of each.
        half: whether the pass is in half precision, by autocast.
    """
    with torch.device("meta"):
        network = build_for_task(model, task=task)
        if network.recurrent:
            short, long = MEASURED_LENGTHS
            if length <= long:
                return _peak_bytes(network, rows=rows, length=length)
            low, high = (_peak_bytes(network, rows=rows, length=each) for each in MEASURED_LENGTHS)
            return round(high + (high - low) / (long - short) * (length - long))
    with FakeTensorMode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        return _peak_bytes(build_for_task(model, task=task), rows=rows, length=length)


def _count_flops(network: SequenceModel, *, length: int) -> float:
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
"""FLOPs of the CPU's fused attention kernel, which torch does not count. Called with shapes, not
tensors."""


def _peak_bytes(network: SequenceModel, *, rows: int, length: int) -> int:
    tokens = torch.zeros(rows, length, dtype=torch.int64)
    scored = torch.ones(rows, length, dtype=torch.bool)
    with _LiveBytes(network) as live:
        losses, _ = token_scores(network(tokens), targets=tokens, scored=scored)
        losses.sum().backward()
    return live.peak


class _LiveBytes(TorchDispatchMode):
    """Sums the bytes of live tensors, from the operation that makes one until nothing refers to it.

    Attributes:
        peak: most bytes that were live at once.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._known: set[int] = set()
        self._now = 0
        self.peak = 0
        for tensor in (*network.parameters(), *network.buffers()):
            self._add(tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in tree_iter(made):
            if isinstance(each, torch.Tensor):
                self._add(each)
        return made

    def _add(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        size = storage.nbytes()
        self._known.add(key)
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._known.remove(key)
        self._now -= size
