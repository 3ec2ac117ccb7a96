"""What a network costs, found without training it: its weights, its strings, the memory of a step.

Networks are made where nothing is computed and no memory is taken: on the meta device, or of fake tensors.
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

from seqtune.models import ModelSpec
from seqtune.models.base import SequenceModel, trainable_parameters
from seqtune.tasks.base import Batch, Task
from seqtune.training.scoring import token_scores

LENGTHS = (8, 16)
"""A recurrent network's memory is a line in the length of its strings, so it is taken at two of them."""


@dataclass(frozen=True)
class Reading:
    """What a model reads of some strings, and what of it counts: sums.

    Attributes:
        strings: how many there are.
        tokens: tokens that are read, padding included.
        scored: tokens that are scored.
        longest: tokens of the longest row.
    """

    strings: int
    tokens: int
    scored: int
    longest: int

    @classmethod
    def of(cls, batches: Iterable[Batch]) -> "Reading":
        """The sums over batches, of which there is at least one."""
        batches = list(batches)
        return cls(
            strings=sum(len(batch) for batch in batches),
            tokens=sum(batch.tokens.size for batch in batches),
            scored=sum(int(batch.scored.sum()) for batch in batches),
            longest=max(batch.tokens.shape[1] for batch in batches),
        )


def count_parameters(model: ModelSpec, *, task: Task) -> int:
    """Number of weights that training changes, counted on the meta device."""
    with torch.device("meta"):
        return trainable_parameters(_network(model, task=task))


def step_bytes(model: ModelSpec, *, task: Task, rows: int, length: int, half: bool) -> int:
    """Most bytes of tensors that live at once in a forward and backward pass, the weights among them.

    Every operation is made in the order in which it is made in training, on tensors that have a size but no
    content. What an allocator rounds up, what kernels take for themselves and the optimizer's state are not
    counted. Of a recurrent network it is counted step by step and in single precision, and to torch's own
    kernels is what they have to keep as well.

    Args:
        model: the network.
        task: what it reads and predicts.
        rows: strings that are worked on at once.
        length: tokens of each.
        half: whether the pass is made in half precision, by autocast.
    """
    with torch.device("meta"):
        network = _network(model, task=task)
        if network.recurrent:
            if length <= LENGTHS[1]:
                return _peak(network, rows=rows, length=length)
            short, long = (_peak(network, rows=rows, length=each) for each in LENGTHS)
            slope = (long - short) / (LENGTHS[1] - LENGTHS[0])
            return round(long + slope * (length - LENGTHS[1]))
    with FakeTensorMode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        return _peak(_network(model, task=task), rows=rows, length=length)


def _network(model: ModelSpec, *, task: Task) -> SequenceModel:
    return model.build(
        vocab_size=task.vocab_size,
        outputs=task.outputs,
        max_length=task.max_length,
        prompt_length=task.prompt_length,
    )


def _peak(network: SequenceModel, *, rows: int, length: int) -> int:
    tokens = torch.zeros(rows, length, dtype=torch.int64)
    scored = torch.ones(rows, length, dtype=torch.bool)
    with _Held(network) as held:
        losses, _ = token_scores(network(tokens), targets=tokens, scored=scored)
        losses.sum().backward()
    return held.peak


class _Held(TorchDispatchMode):
    """Adds up what tensors hold, from the operation that makes one until nothing refers to it.

    Attributes:
        peak: most bytes that were held at once.
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
