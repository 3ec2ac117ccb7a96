"""Products with one matrix, made many times over: what a step of a recurrent network spends its time in.

On the CPU torch hands a product of single-precision matrices to MKL, which lays the matrix out anew in every
call. oneDNN, the other library that torch brings along, takes a matrix that was laid out once. torch reaches
it by operators that its own compiler calls and that are not documented, so they are used where they exist;
elsewhere, on a GPU and in double precision the ordinary product gives the same numbers to rounding.
"""

import torch
from jaxtyping import Float
from torch import Tensor

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
