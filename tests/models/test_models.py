"""The contract of the model family: every member of the union."""

import pytest
import torch
from torch import Tensor

from seqtune.models import LSTMSpec, ModelSpec
from seqtune.models.model import SequenceModel
from seqtune.spec import members

SPECS = [
    *(member() for member in members(ModelSpec)),
    LSTMSpec(layers=1, width=8, embedding=6),
    LSTMSpec(layers=3, width=8, embedding=6, head_layers=2, dropout=0.3),
]


@pytest.fixture(params=SPECS, ids=lambda spec: spec.hash())
def model(request: pytest.FixtureRequest) -> SequenceModel:
    torch.manual_seed(0)
    return request.param.build(vocab_size=5, outputs=4, max_length=32).double().eval()


@pytest.fixture
def tokens() -> Tensor:
    return torch.randint(0, 5, (6, 20), generator=torch.Generator().manual_seed(1))


def test_forward_gives_logits_for_every_step(model: SequenceModel, tokens: Tensor):
    assert model(tokens).shape == (6, 20, 4)


def test_prefill_and_step_equal_forward(model: SequenceModel, tokens: Tensor):
    whole = model(tokens)
    logits, state = model.prefill(tokens[:, :5])
    torch.testing.assert_close(logits, whole[:, 4])
    for t in range(5, 12):
        logits, state = model.step(tokens[:, t], state=state)
        torch.testing.assert_close(logits, whole[:, t])
    logits, state = model.prefill(tokens[:, 12:18], state=state)
    torch.testing.assert_close(logits, whole[:, 17])
    logits, state = model.step(tokens[:, 18], state=state)
    torch.testing.assert_close(logits, whole[:, 18])


def test_a_step_after_one_token_equals_forward(model: SequenceModel, tokens: Tensor):
    logits, state = model.prefill(tokens[:, :1])
    torch.testing.assert_close(logits, model(tokens)[:, 0])
    logits, _ = model.step(tokens[:, 1], state=state)
    torch.testing.assert_close(logits, model(tokens)[:, 1])


def test_prefill_and_step_apply_no_dropout_and_record_no_gradient(
    model: SequenceModel, tokens: Tensor
):
    expected, _ = model.prefill(tokens)
    model.train()
    logits, state = model.prefill(tokens[:, :-1])
    logits, _ = model.step(tokens[:, -1], state=state)
    torch.testing.assert_close(logits, expected)
    assert not logits.requires_grad


@pytest.mark.parametrize("changed", [0, 7, 19])
def test_changing_a_token_leaves_earlier_logits_unchanged(
    model: SequenceModel, tokens: Tensor, changed: int
):
    other = tokens.clone()
    other[:, changed] = (other[:, changed] + 1) % 5
    before, after = model(tokens), model(other)
    assert torch.equal(before[:, :changed], after[:, :changed])
    assert not torch.equal(before[:, changed:], after[:, changed:])
