"""Recurrent cells a token at a time: what scheduled sampling and generation spend their time in.

torch's kernels read whole sequences; called for one token at a time they lay their weights out in every
call. Here a layer's weights are laid out once, and a step is one matrix product, over the layer's input and
its hidden state side by side, and a few operations in place. The equations are those of torch's LSTM, GRU
and RNN.

Every tanh(x) is written 2 sigmoid(2x) - 1, since torch's sigmoid is several times as fast as its tanh on the
CPU; where x is a sum of products, the weights are doubled instead of x.
"""

import abc
from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

Weights: TypeAlias = Sequence[Tensor]
"""Of a layer, in torch's order: input and recurrent matrix, input and recurrent bias."""


class RecurrentCell(abc.ABC):
    """One layer: its weights laid out for the step, and what it remembers of every string.

    Attributes:
        memories: how many tensors it remembers.
        memory: these, [B, D] each; the first is the hidden state.
    """

    memories: ClassVar[int] = 1

    def __init__(
        self, weights: Weights, *, batch: int, embedding: Float[Tensor, "V E"] | None
    ) -> None:
        """Lays the weights out; nothing has been read yet.

        Args:
            weights: of the layer.
            batch: number of strings.
            embedding: in the lowest layer, which reads tokens: its share of the product becomes a table.
        """
        of_input, of_hidden = self._of_input(weights[0]), self._of_hidden(weights[1])
        bias = self._of_input(weights[2]) + self._of_hidden(weights[3])
        self._table: Tensor | None = None
        inputs, width = weights[0].shape[1], weights[1].shape[1]
        if embedding is None:
            of_both = torch.cat([of_input, of_hidden], dim=1)
        else:
            self._table = torch.addmm(bias, embedding, of_input.T)
            inputs, of_both = 0, of_hidden
        self._product = Product(of_both, bias=bias, rows=batch)
        self._joined = bias.new_zeros(batch, inputs + width)
        self._sums = bias.new_zeros(batch, len(bias))
        self._input, hidden = self._joined.split([inputs, width], dim=1)
        self.memory = (hidden, *(bias.new_zeros(batch, width) for _ in range(1, self.memories)))

    def read(self, below: Int[Tensor, " B"] | Float[Tensor, "B E"]) -> Float[Tensor, "B D"]:
        """Reads a token, or what the layer below hands on; the hidden state, which the next call overwrites."""
        if self._table is not None:
            torch.index_select(self._table, 0, below, out=self._sums)
            self._product.add_to(self._sums, rows=self._joined)
            self._update(self._sums)
        else:
            self._input.copy_(below)
            self._update(self._product(self._joined))
        return self.memory[0]

    @staticmethod
    @abc.abstractmethod
    def _of_input(weight: Tensor) -> Tensor:
        """The input's matrix or bias by rows of the product, from torch's order of them."""

    @staticmethod
    @abc.abstractmethod
    def _of_hidden(weight: Tensor) -> Tensor:
        """The same of the hidden state."""

    @abc.abstractmethod
    def _update(self, sums: Float[Tensor, "B S"]) -> None:
        """Remembers what the product says; it may be overwritten."""


class LSTMCell(RecurrentCell):
    """See `torch.nn.LSTM`. The product has four parts: input gate, forget gate, new values, output gate."""

    memories = 2

    def __init__(
        self, weights: Weights, *, batch: int, embedding: Float[Tensor, "V E"] | None
    ) -> None:
        super().__init__(weights, batch=batch, embedding=embedding)
        self._parts = self._sums.chunk(4, dim=1)

    @staticmethod
    def _of_input(weight: Tensor) -> Tensor:
        doubled = weight.clone()
        doubled.chunk(4)[2].mul_(2)
        return doubled

    _of_hidden = _of_input

    def _update(self, sums: Float[Tensor, "B S"]) -> None:
        hidden, cell = self.memory
        taken, kept, new, shown = self._parts
        torch.sigmoid(sums, out=self._sums)
        cell.mul_(kept).addcmul_(taken, new, value=2).sub_(taken)
        torch.mul((2 * cell).sigmoid_(), shown, out=hidden).mul_(2).sub_(shown)


class GRUCell(RecurrentCell):
    """See `torch.nn.GRU`. The product has four parts: reset and update gate, new values from input and hidden state.

    The last two stay apart because torch's reset gate multiplies what comes of the hidden state, its bias
    included; the zeros that this puts into the matrix are a quarter of it.
    """

    @staticmethod
    def _of_input(weight: Tensor) -> Tensor:
        reset, kept, new = weight.chunk(3)
        return torch.cat([reset, kept, 2 * new, torch.zeros_like(new)])

    @staticmethod
    def _of_hidden(weight: Tensor) -> Tensor:
        reset, kept, new = weight.chunk(3)
        return torch.cat([reset, kept, torch.zeros_like(new), 2 * new])

    def _update(self, sums: Float[Tensor, "B S"]) -> None:
        (hidden,) = self.memory
        reset, kept, new, recalled = sums.chunk(4, dim=1)
        reset.sigmoid_()
        kept.sigmoid_()
        new.addcmul_(reset, recalled).sigmoid_().mul_(2).sub_(1)
        hidden.sub_(new).mul_(kept).add_(new)


class RNNCell(RecurrentCell):
    """See `torch.nn.RNN` with tanh."""

    @staticmethod
    def _of_input(weight: Tensor) -> Tensor:
        return 2 * weight

    _of_hidden = _of_input

    def _update(self, sums: Float[Tensor, "B S"]) -> None:
        torch.sigmoid(sums, out=self.memory[0]).mul_(2).sub_(1)


def stacked_memory(cells: Sequence[RecurrentCell]) -> Tensor | tuple[Tensor, ...]:
    """What layers remember, as torch's kernels take it."""
    stacked = tuple(torch.stack(parts) for parts in _by_kind(cells))
    return stacked[0] if len(stacked) == 1 else stacked


def remember(cells: Sequence[RecurrentCell], *, memory: Tensor | tuple[Tensor, ...]) -> None:
    """Puts what torch's kernels give back of layers in the place of what these remember."""
    stacked = (memory,) if isinstance(memory, Tensor) else memory
    for parts, new in zip(_by_kind(cells), stacked, strict=True):
        for part, layer in zip(parts, new, strict=True):
            part.copy_(layer)


def _by_kind(cells: Sequence[RecurrentCell]) -> list[tuple[Tensor, ...]]:
    return list(zip(*(cell.memory for cell in cells), strict=True))


LARGE = 32768
"""Entries of a matrix from which laying it out pays; below, a call of oneDNN costs more than it saves."""


class Product:
    """`rows @ weight.T + bias`, without gradients.

    Attributes:
        packed: whether the matrix is in oneDNN's layout.
    """

    def __init__(
        self, weight: Float[Tensor, "N K"], *, bias: Float[Tensor, " N"], rows: int
    ) -> None:
        """Lays the matrix out.

        Args:
            weight: the matrix, outputs by inputs.
            bias: what every row gets added.
            rows: number of rows that products will have.
        """
        weight = weight.detach()
        self.packed = weight.numel() >= LARGE and packs(weight)
        self._bias = bias.detach()
        self._weight = (
            torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)
            if self.packed
            else weight.T
        )

    def __call__(self, rows: Float[Tensor, "B K"]) -> Float[Tensor, "B N"]:
        """The product and the bias."""
        if self.packed:
            return torch.ops.mkldnn._linear_pointwise(
                rows, self._weight, self._bias, "none", [], ""
            )
        return torch.addmm(self._bias, rows, self._weight)

    def add_to(self, sums: Float[Tensor, "B N"], *, rows: Float[Tensor, "B K"]) -> None:
        """Adds the product, without the bias, to what is there."""
        if self.packed:
            sums += torch.ops.mkldnn._linear_pointwise(rows, self._weight, None, "none", [], "")
        else:
            sums.addmm_(rows, self._weight)


def packs(weight: Tensor) -> bool:
    """Whether this torch can lay out such a matrix for oneDNN."""
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    )
