from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seqtune.models import LSTMSpec, TransformerSpec
from seqtune.models.build import build_network
from seqtune.models.recurrent_spec import GATES, CellName
from seqtune.models.transformer_spec import Positions
from seqtune.tasks.life.spec import LifeSpec
from seqtune.tasks.life.task import LifeTask
from seqtune.training.network_cost import training_flops_per_token
from tests.models.transformers import small

LIFE = LifeTask(LifeSpec(rows=2, columns=3, vocabulary="compact"))


def matrix_products(spec: TransformerSpec, *, tokens: float) -> float:
    """A token's share of a transformer's matrix products, forward and backward: its closed form."""
    attended = spec.heads * spec.head_width
    shared = (spec.kv_heads or spec.heads) * spec.head_width
    projections = spec.width * (2 * attended + 2 * shared)
    hidden = int(spec.width * spec.ff_multiplier)
    feed_forward = spec.width * hidden * (3 if spec.glu else 2)
    scores_and_mixing = 2 * tokens * attended
    logits = spec.width * LIFE.outputs
    # Two operations for a product and a sum; backward twice as many as forward.
    return 3 * 2 * (spec.layers * (projections + feed_forward + scores_and_mixing) + logits)


@pytest.mark.parametrize("flash", [True, False])
@pytest.mark.parametrize(
    "shape", [{}, {"glu": True}, {"kv_heads": 1}, {"ff_multiplier": 2.5}, {"masking": "prefix"}]
)
def test_a_transformer_has_its_closed_form(shape: dict[str, object], flash: bool):
    spec = small(flash=flash, dropout=0.0, **shape)  # with dropout the CPU has no fused kernel
    found = training_flops_per_token(spec, task=LIFE, tokens=34.0)
    assert found == matrix_products(spec, tokens=34.0)


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"layers": 3},
        {"layers": 2, "layer_norm": True, "residual": True},
        {"head_layers": 2},
        {"embedding": 16, "tie_embeddings": True},
    ],
)
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_recurrent_network_has_its_closed_form(cell: CellName, shape: dict[str, Any]):
    """Against torch's count, which has no gradient of the state before the first token."""
    spec = LSTMSpec(cell=cell, width=16, **{"embedding": 8, **shape})
    length = 10
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network = build_network(
            spec, vocab_size=LIFE.vocab_size, outputs=LIFE.outputs, max_length=length
        )
        network(torch.zeros(1, length, dtype=torch.int64)).sum().backward()
    found = training_flops_per_token(spec, task=LIFE, tokens=4.0)
    left_out = 2 * GATES[cell] * spec.width**2 * spec.layers
    assert found * length == counter.get_total_flops() + left_out


@pytest.mark.parametrize("positions", ["alibi", "polar", "dynamic", "cope", "data_dependent_alibi"])
def test_an_encoding_adds_little_to_the_closed_form(positions: Positions):
    spec = small(positions=positions, heads=1, head_width=8, width=32)
    found = training_flops_per_token(spec, task=LIFE, tokens=30.0)
    # Polar keys and queries are twice as wide, CoPE holds queries against 64 places, dynamic has a
    # network.
    assert 1 <= found / matrix_products(spec, tokens=30.0) < 1.2


def test_the_mean_length_is_rounded_and_attention_grows_with_it():
    spec = small()
    at = [training_flops_per_token(spec, task=LIFE, tokens=tokens) for tokens in (9.6, 10.0, 20.0)]
    assert at[0] == at[1]
    attended = 3 * 2 * spec.layers * 2 * spec.heads * spec.head_width
    assert at[2] - at[1] == pytest.approx(10 * attended)


def test_counting_draws_nothing():
    before = torch.get_rng_state()
    training_flops_per_token(small(), task=LIFE, tokens=8.0)
    assert torch.equal(torch.get_rng_state(), before)
