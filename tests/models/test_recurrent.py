from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from seqtune.config.errors import SpecError
from seqtune.models import LSTMSpec
from seqtune.models.base import trainable_parameters
from seqtune.models.build import build_network
from seqtune.models.recurrent import MIN_FUSED_LENGTH, Recurrent
from seqtune.models.recurrent_spec import CellName
from tests.models.recurrents import CELLS, every_recurrent

SEED = LSTMSpec(layers=3, width=512, embedding=128, head_layers=2, dropout=0.2)


def built(spec: LSTMSpec) -> Recurrent:
    torch.manual_seed(0)
    model = build_network(spec, vocab_size=5, outputs=4, max_length=32)
    assert isinstance(model, Recurrent)
    return model


def drawn(*shape: int) -> Tensor:
    return torch.randint(0, 5, shape, generator=torch.Generator().manual_seed(1))


def test_the_published_configuration_has_its_parameters_layer_by_layer():
    model = built(SEED)
    counts = {name: trainable_parameters(part) for name, part in model.named_children()}
    assert counts == {
        "embedding": 640,
        "embedding_dropout": 0,
        "lstm": 5_517_312,
        "output_dropout": 0,
        "head": 527_364,
    }
    head = [type(layer).__name__ for layer in model.head]
    assert head == ["Linear", "GELU", "Linear", "GELU", "Linear"]
    assert trainable_parameters(model) == 6_045_316


PLAIN = {"embedding": 5 * 8, "lstm": 3 * 4 * 8 * 18, "head": 8 * 4 + 4}


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({}, PLAIN),
        ({"residual": True, "forget_bias": 1.0}, PLAIN),
        ({"cell": "gru"}, {"embedding": 40, "gru": 3 * 3 * 8 * 18, "head": 36}),
        ({"cell": "rnn"}, {"embedding": 40, "rnn": 3 * 1 * 8 * 18, "head": 36}),
        ({"layer_norm": True}, {**PLAIN, "norms": 3 * 2 * 8}),
        ({"tie_embeddings": True}, {"embedding": 40, "lstm": 1728, "output_bias": 4}),
        (
            {"tie_embeddings": True, "head_layers": 1},
            {"embedding": 40, "lstm": 1728, "head": 8 * 8 + 8, "output_bias": 4},
        ),
    ],
)
def test_the_parameters_are_those_that_the_fields_ask_for(
    fields: dict[str, Any], counts: dict[str, int]
):
    model = built(LSTMSpec(layers=3, width=8, embedding=8, **fields))
    found: Counter[str] = Counter()
    for name, weight in model.named_parameters():
        found[name.split(".")[0]] += weight.numel()
    assert found == counts
    assert len(model.state_dict()) == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("fields", "modules"),
    [({}, 1), ({"layer_norm": True}, 3), ({"residual": True}, 3), ({"tie_embeddings": True}, 1)],
)
def test_one_kernel_runs_through_all_layers_if_nothing_stands_between_them(
    fields: dict[str, Any], modules: int
):
    model = built(LSTMSpec(layers=3, width=8, embedding=8, **fields))
    assert len(model.kernels) == modules
    assert sum(kernel.num_layers for kernel in model.kernels) == 3


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("head_layers", [0, 1])
def test_dropout_is_off_in_evaluation_and_on_in_training(layers: int, head_layers: int):
    model = built(
        LSTMSpec(layers=layers, width=8, embedding=6, head_layers=head_layers, dropout=0.5)
    )
    tokens = drawn(3, 7)
    assert not torch.equal(model(tokens), model(tokens))
    model.eval()
    assert torch.equal(model(tokens), model(tokens))


def test_the_forget_bias_opens_every_forget_gate_and_moves_nothing_else():
    def weights(forget_bias: float, *, residual: bool) -> dict[str, Tensor]:
        spec = LSTMSpec(layers=2, width=3, forget_bias=forget_bias, residual=residual)
        return built(spec).state_dict()

    for residual, names in (
        (False, ("lstm.bias_ih_l0", "lstm.bias_ih_l1")),
        (True, ("lstm.0.bias_ih_l0", "lstm.1.bias_ih_l0")),
    ):
        plain, open_ = (weights(bias, residual=residual) for bias in (0.0, 3.0))
        changed = {name: open_[name] - plain[name] for name in plain}
        for name in names:
            moved = changed.pop(name)
            assert torch.allclose(moved, torch.tensor([0.0] * 3 + [3.0] * 3 + [0.0] * 6))
        assert not any(difference.any() for difference in changed.values())


def test_an_open_forget_gate_remembers():
    """With the forget gates all but shut or open, what was read first is lost or still there."""
    kept = []
    for forget_bias in (-20.0, 20.0):
        model = built(LSTMSpec(width=8, forget_bias=forget_bias)).eval()
        first, second = (torch.tensor([[token] + [0] * 30]) for token in (1, 2))
        difference = (model(first) - model(second)).detach()[0, -1]
        kept.append(float(difference.abs().max()))
    shut, opened = kept
    assert shut < 1e-6
    assert opened > 1e-3


@pytest.mark.parametrize("cell", CELLS)
def test_a_residual_layer_that_says_nothing_hands_on_its_input(cell: CellName):
    model = built(LSTMSpec(cell=cell, layers=2, width=8, residual=True))
    for weight in model.kernels[1].parameters():
        nn.init.zeros_(weight)
    lower, upper = model.hidden_states(drawn(3, 7))
    assert torch.equal(lower, upper)


def test_the_norm_comes_after_the_sum_with_the_input():
    model = built(LSTMSpec(layers=2, width=8, residual=True, layer_norm=True))
    lower, upper = model.hidden_states(drawn(3, 7))
    spoken, _ = model.kernels[1](lower)
    torch.testing.assert_close(upper, functional.layer_norm(lower + spoken, (8,)))
    torch.testing.assert_close(upper.mean(dim=-1), torch.zeros(3, 7))


@pytest.mark.slow
@pytest.mark.parametrize(
    "tokens", [1, MIN_FUSED_LENGTH - 1, MIN_FUSED_LENGTH, MIN_FUSED_LENGTH + 3]
)
@pytest.mark.parametrize("spec", every_recurrent(), ids=lambda spec: spec.hash())
def test_reading_goes_on_alike_by_steps_and_by_the_kernel(spec: LSTMSpec, tokens: int):
    model = built(spec).double().eval()
    strings = drawn(3, tokens + 2)
    expected = model(strings)
    _, state = model.prefill(strings[:, :1])
    logits, state = model.prefill(strings[:, 1:-1], state=state)
    torch.testing.assert_close(logits, expected[:, -2])
    logits, _ = model.step(strings[:, -1], state=state)
    torch.testing.assert_close(logits, expected[:, -1])


@pytest.mark.parametrize("spec", every_recurrent(), ids=lambda spec: spec.hash())
def test_the_head_reads_what_the_last_layer_hands_on(spec: LSTMSpec):
    model = built(spec).eval()
    strings = drawn(3, 9)
    states = model.hidden_states(strings)
    assert states.shape == (spec.layers, 3, 9, 6)
    logits = model.head(states[-1])
    if spec.tie_embeddings:
        logits = logits @ model.embedding.weight[:4].T + model.output_bias
    torch.testing.assert_close(model(strings), logits)


def test_a_tied_matrix_learns_from_both_ends():
    model = built(LSTMSpec(width=6, embedding=6, tie_embeddings=True))
    model(torch.zeros(2, 3, dtype=torch.int64))[..., 1].sum().backward()
    assert model.embedding.weight.grad is not None
    learns = model.embedding.weight.grad.abs().sum(dim=1) > 0
    assert learns.tolist() == [True, True, False, False, False]  # 0 was read, 1 predicted


@pytest.mark.parametrize("fields", [{}, {"residual": True, "layer_norm": True, "layers": 3}])
def test_a_short_vocabulary_is_read_as_embedded_tokens_are(fields: dict[str, Any]):
    """The input matrix times the embedding, read by one-hot tokens: same logits, same gradients."""
    model = built(LSTMSpec(width=6, embedding=6, **fields)).double()
    strings, weights = drawn(3, 9), torch.rand(3, 9, 4, dtype=torch.float64)
    logits = model(strings)
    (logits * weights).sum().backward()
    found = {name: weight.grad for name, weight in model.named_parameters()}
    model.zero_grad()
    below = model.embedding(strings)
    for layer, kernel in enumerate(model.kernels):
        above, _ = kernel(below)
        above = above + below if layer > 0 and model.spec.residual else above
        below = model.norms[layer](above) if model.spec.layer_norm else above
    expected = model.head(below)
    (expected * weights).sum().backward()
    torch.testing.assert_close(logits, expected)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(found[name], weight.grad)


def test_asking_draws_nothing_from_the_generator_of_dropout_and_weights():
    model = built(LSTMSpec(layers=3, width=6, dropout=0.3))
    strings = drawn(3, 9)
    before = torch.get_rng_state()
    _, state = model.prefill(strings)
    model.step(strings[:, 0], state=state)
    model.hidden_states(strings)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("spec", every_recurrent(), ids=lambda spec: spec.hash())
def test_a_step_waits_for_no_number_from_the_device(spec: LSTMSpec):
    """On torch's meta device there are no numbers: whatever asked for one would fail."""
    with torch.device("meta"):
        model = built(spec)
        strings = torch.zeros(3, 9, dtype=torch.int64)
    _, state = model.prefill(strings[:, :2])
    _, state = model.prefill(strings, state=state)
    logits, _ = model.step(strings[:, 0], state=state)
    assert logits.is_meta


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "fields", [{}, {"layers": 2, "layer_norm": True, "residual": True, "tie_embeddings": True}]
)
def test_a_small_network_learns_to_repeat_what_it_read_before(
    cell: CellName, fields: dict[str, Any]
):
    model = built(LSTMSpec(cell=cell, width=24, embedding=24, **fields))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(2)
    loss = torch.tensor(torch.inf)
    for _ in range(150):
        strings = torch.randint(0, 4, (32, 8), generator=generator)
        logits = model(strings)[:, 1:].flatten(0, 1)
        loss = functional.cross_entropy(logits, strings[:, :-1].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.1


WRONG = [
    (
        {"tie_embeddings": True, "width": 64, "embedding": 32},
        "tie_embeddings: one matrix for both ends needs embedding == width, but got "
        "(embedding=32, width=64); write embedding: 64",
    ),
    (
        {"cell": "gru", "forget_bias": 1.0},
        "forget_bias: only an LSTM has a forget gate, but got (forget_bias=1, cell=gru); "
        "write forget_bias: 0, or cell: lstm",
    ),
    (
        {"cell": "rnn", "forget_bias": -0.5},
        "forget_bias: only an LSTM has a forget gate, but got (forget_bias=-0.5, cell=rnn); "
        "write forget_bias: 0, or cell: lstm",
    ),
    ({"cell": "elman"}, "cell: must be 'lstm', 'gru' or 'rnn', but got 'elman'"),
    ({"layers": 0}, "layers: must be at least 1, but got 0"),
    ({"width": 0}, "width: must be at least 1, but got 0"),
    ({"embedding": 0}, "embedding: must be at least 1, but got 0"),
    ({"head_layers": -1}, "head_layers: must be at least 0, but got -1"),
    ({"dropout": 1.0}, "dropout: must be below 1, but got 1.0"),
    ({"layer_norm": "yes"}, "layer_norm: must be true or false, but got 'yes'"),
    ({"residual": 1}, "residual: must be true or false, but got 1"),
    ({"tie_embedding": True}, "tie_embedding: no such field; did you mean tie_embeddings?"),
]


@pytest.mark.parametrize(("fields", "sentence"), WRONG)
def test_what_is_wrong_is_told(fields: dict[str, Any], sentence: str):
    with pytest.raises(SpecError) as caught:
        LSTMSpec.parse({"kind": "lstm", **fields})
    assert str(caught.value) == sentence
