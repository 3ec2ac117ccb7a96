"""Recurrent cells for one token at a time, as scheduled sampling and generation need them.

torch's kernels read whole sequences; called for single tokens they repack their weights in every
call. Here a layer's weights are packed once, and a step is one matrix product, over the layer's
input and its hidden state side by side, and a few operations in place. The equations are those of
torch's LSTM, GRU and RNN.

Every tanh(x) is written 2 sigmoid(2x) - 1, since torch's sigmoid is several times as fast as its
tanh on the CPU; where x is a sum of products, the weights are doubled instead of x.

On the CPU torch passes single-precision products to MKL, which repacks the matrix in every call.
oneDNN, which torch includes too, takes a packed matrix. torch reaches it by operators that its
compiler calls and that are not documented, so `Product` uses them only if they exist. Without them,
on a GPU and in double precision, the ordinary product gives the same numbers up to rounding.
"""

import abc
from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

Weights: TypeAlias = Sequence[Tensor]
"""Weights of a layer in torch's order: input and recurrent matrix, input and recurrent bias."""


class RecurrentCell(abc.ABC):
    """One layer: its packed weights, and its state for every string.

    Attributes:
        memories: number of tensors in its state.
        memory: these tensors, [B, D] each; the first is the hidden state.
    """

    memories: ClassVar[int] = 1

    def __init__(
        self, weights: Weights, *, batch: int, embedding: Float[Tensor, "V E"] | None
    ) -> None:
        """Pack the weights; the state is that before the first token.

        Args:
            weights: of the layer.
            batch: number of strings.
            embedding: only for the lowest layer, which reads tokens: its part of the product
                becomes a lookup table.
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
        """Read a token or the output of the layer below; return the hidden state.

        The next call overwrites it.
        """
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
        """Reorder the input matrix or bias from torch's rows to those of the product."""

    @staticmethod
    @abc.abstractmethod
    def _of_hidden(weight: Tensor) -> Tensor:
        """The same for the recurrent matrix or bias."""

    @abc.abstractmethod
    def _update(self, sums: Float[Tensor, "B S"]) -> None:
        """Update the state from the product, which may be overwritten."""


class LSTMCell(RecurrentCell):
    """See `torch.nn.LSTM`. The product has four parts: input, forget, cell and output gate."""

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
        input_gate, forget_gate, new, output_gate = self._parts
        torch.sigmoid(sums, out=self._sums)
        cell.mul_(forget_gate).addcmul_(input_gate, new, value=2).sub_(input_gate)
        torch.mul((2 * cell).sigmoid_(), output_gate, out=hidden).mul_(2).sub_(output_gate)


class GRUCell(RecurrentCell):
    """See `torch.nn.GRU`. Parts of the product: reset gate, update gate, new values (twice).

    The last two are separate because torch's reset gate multiplies the contribution of the hidden
    state, bias included. A quarter of the matrix is therefore zero.
    """

    @staticmethod
    def _of_input(weight: Tensor) -> Tensor:
        reset, update, new = weight.chunk(3)
        return torch.cat([reset, update, 2 * new, torch.zeros_like(new)])

    @staticmethod
    def _of_hidden(weight: Tensor) -> Tensor:
        reset, update, new = weight.chunk(3)
        return torch.cat([reset, update, torch.zeros_like(new), 2 * new])

    def _update(self, sums: Float[Tensor, "B S"]) -> None:
        (hidden,) = self.memory
        reset, update, new, of_hidden = sums.chunk(4, dim=1)
        reset.sigmoid_()
        update.sigmoid_()
        new.addcmul_(reset, of_hidden).sigmoid_().mul_(2).sub_(1)
        hidden.sub_(new).mul_(update).add_(new)


class RNNCell(RecurrentCell):
    """See `torch.nn.RNN` with tanh."""

    @staticmethod
    def _of_input(weight: Tensor) -> Tensor:
        return 2 * weight

    _of_hidden = _of_input

    def _update(self, sums: Float[Tensor, "B S"]) -> None:
        torch.sigmoid(sums, out=self.memory[0]).mul_(2).sub_(1)


def stack_memory(cells: Sequence[RecurrentCell]) -> Tensor | tuple[Tensor, ...]:
    """Return the states of layers in the form that torch's kernels take."""
    stacked = tuple(torch.stack(parts) for parts in _by_kind(cells))
    return stacked[0] if len(stacked) == 1 else stacked


def load_memory(cells: Sequence[RecurrentCell], *, memory: Tensor | tuple[Tensor, ...]) -> None:
    """Overwrite the states of layers with those that torch's kernels returned."""
    stacked = (memory,) if isinstance(memory, Tensor) else memory
    for parts, new in zip(_by_kind(cells), stacked, strict=True):
        for part, layer in zip(parts, new, strict=True):
            part.copy_(layer)


def _by_kind(cells: Sequence[RecurrentCell]) -> list[tuple[Tensor, ...]]:
    return list(zip(*(cell.memory for cell in cells), strict=True))


MIN_PACKED_SIZE = 32768
"""Entries of the smallest matrix that is packed; for smaller ones a call of oneDNN costs more than
it saves."""


class Product:
    """The product `rows @ weight.T + bias`, without gradients.

    Attributes:
        packed: whether the matrix is in oneDNN's packed layout.
    """

    def __init__(
        self, weight: Float[Tensor, "N K"], *, bias: Float[Tensor, " N"], rows: int
    ) -> None:
        """Pack the matrix.

        Args:
            weight: the matrix, outputs by inputs.
            bias: added to every row.
            rows: expected number of rows of the products.
        """
        weight = weight.detach()
        self.packed = weight.numel() >= MIN_PACKED_SIZE and can_pack(weight)
        self._bias = bias.detach()
        self._weight = (
            torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)
            if self.packed
            else weight.T
        )

    def __call__(self, rows: Float[Tensor, "B K"]) -> Float[Tensor, "B N"]:
        """Return the product plus the bias."""
        if self.packed:
            return torch.ops.mkldnn._linear_pointwise(
                rows, self._weight, self._bias, "none", [], ""
            )
        return torch.addmm(self._bias, rows, self._weight)

    def add_to(self, sums: Float[Tensor, "B N"], *, rows: Float[Tensor, "B K"]) -> None:
        """Add the product, without the bias, to `sums` in place."""
        if self.packed:
            sums += torch.ops.mkldnn._linear_pointwise(rows, self._weight, None, "none", [], "")
        else:
            sums.addmm_(rows, self._weight)


def can_pack(weight: Tensor) -> bool:
    """Whether this torch can pack such a matrix for oneDNN."""
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    )
