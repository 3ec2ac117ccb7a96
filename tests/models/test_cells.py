import pytest
import torch

from seqtune.models.cells import MIN_PACKED_SIZE, Product, can_pack

SHAPES = [(1, 16, 8), (7, 16, MIN_PACKED_SIZE // 16), (32, 200, 512)]
"""Rows, inputs and outputs: one matrix too small to be laid out for oneDNN, and two that are
not."""


@pytest.mark.parametrize(("rows", "inputs", "outputs"), SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_product_is_the_ordinary_one(rows: int, inputs: int, outputs: int, dtype: torch.dtype):
    generator = torch.Generator().manual_seed(0)
    weight, bias, given, sums = (
        torch.randn(*shape, generator=generator, dtype=dtype)
        for shape in ((outputs, inputs), (outputs,), (rows, inputs), (rows, outputs))
    )
    product = Product(weight, bias=bias, rows=rows)
    # oneDNN adds in another order; a sum of 200 products near 1 is good to 1e-4.
    far = 1e-4 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(product(given), given @ weight.T + bias, rtol=1e-5, atol=far)
    expected = sums + given @ weight.T
    product.add_to(sums, rows=given)
    torch.testing.assert_close(sums, expected, rtol=1e-5, atol=far)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
def test_this_torch_lays_large_matrices_out():
    """The operators are not documented; without them steps are slower, and this fails."""
    large = torch.zeros(MIN_PACKED_SIZE // 16, 16)
    assert Product(large, bias=large[:, 0], rows=1).packed
    assert not Product(large[:-1], bias=large[:-1, 0], rows=1).packed
    assert not can_pack(large.double())
    assert not can_pack(large.to("meta"))
