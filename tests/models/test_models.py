"""The contract of the model family: every member of the union."""

import pytest
import torch
from torch import Tensor

from seqtune.config.unions import members
from seqtune.models import LSTMSpec, ModelSpec, TransformerSpec
from seqtune.models.base import SequenceModel
from seqtune.models.build import build_network
from seqtune.models.transformer_spec import Causal
from tests.models.recurrents import every_recurrent
from tests.models.transformers import every_encoding_and_masking


def is_alike(spec: LSTMSpec | TransformerSpec) -> bool:
    """Whether it mixes what other specs have all of, or none: left to the slow tests."""
    match spec:
        case LSTMSpec():
            extras = {spec.layer_norm, spec.residual, spec.tie_embeddings, spec.layers > 1}
            return len(extras) > 1
        case TransformerSpec():
            return spec.positions != "rotary" and not isinstance(spec.masking, Causal)


SPECS = [
    *(member() for member in members(ModelSpec)),
    LSTMSpec(layers=1, width=8, embedding=6),
    LSTMSpec(layers=3, width=8, embedding=4, head_layers=2, dropout=0.3),
    *(
        pytest.param(spec, marks=[pytest.mark.slow] if is_alike(spec) else [])
        for spec in (*every_recurrent(), *every_encoding_and_masking())
    ),
]
PROMPT = 4
"""Tokens of the prompt, for models that let one see itself."""


@pytest.fixture(params=SPECS, ids=lambda spec: spec.hash())
def model(request: pytest.FixtureRequest) -> SequenceModel:
    torch.manual_seed(0)
    spec = request.param
    return (
        build_network(spec, vocab_size=5, outputs=4, max_length=32, prompt_length=PROMPT)
        .double()
        .eval()
    )


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


def test_a_step_after_the_fewest_tokens_equals_forward(model: SequenceModel, tokens: Tensor):
    first = max(model.prompt_length, 1)
    logits, state = model.prefill(tokens[:, :first])
    torch.testing.assert_close(logits, model(tokens)[:, first - 1])
    logits, _ = model.step(tokens[:, first], state=state)
    torch.testing.assert_close(logits, model(tokens)[:, first])


def test_prefill_and_step_apply_no_dropout_and_record_no_gradient(
    model: SequenceModel, tokens: Tensor
):
    expected, _ = model.prefill(tokens)
    model.train()
    logits, state = model.prefill(tokens[:, :-1])
    logits, _ = model.step(tokens[:, -1], state=state)
    torch.testing.assert_close(logits, expected)
    assert not logits.requires_grad
    assert model.training


@pytest.mark.parametrize("changed", [0, PROMPT - 1, PROMPT, 7, 19])
def test_changing_a_token_leaves_earlier_logits_unchanged(
    model: SequenceModel, tokens: Tensor, changed: int
):
    other = tokens.clone()
    other[:, changed] = (other[:, changed] + 1) % 5
    before, after = model(tokens), model(other)
    if changed < model.prompt_length:
        assert not torch.equal(before[:, 0], after[:, 0])
    else:
        assert torch.equal(before[:, :changed], after[:, :changed])
    assert not torch.equal(before[:, changed:], after[:, changed:])


def test_hidden_states_are_those_of_evaluation_and_leave_the_mode(
    model: SequenceModel, tokens: Tensor
):
    expected = model.hidden_states(tokens)
    assert expected.shape[1:3] == tokens.shape
    model.train()
    found = model.hidden_states(tokens)
    torch.testing.assert_close(found, expected)
    assert not found.requires_grad
    assert model.training


def test_hidden_states_of_a_token_know_nothing_of_later_ones(model: SequenceModel, tokens: Tensor):
    torch.testing.assert_close(
        model.hidden_states(tokens)[:, :, :9], model.hidden_states(tokens[:, :9])
    )
