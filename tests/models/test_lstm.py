import pytest
import torch

from seqtune.models import LSTMSpec
from seqtune.models.lstm import LSTM
from seqtune.models.model import trainable_parameters

SEED = LSTMSpec(layers=3, width=512, embedding=128, head_layers=2, dropout=0.2)


def test_the_published_configuration_has_its_parameters_layer_by_layer():
    model = SEED.build(vocab_size=5, outputs=4, max_length=32)
    counts = {name: trainable_parameters(part) for name, part in model.named_children()}
    assert counts == {
        "embedding": 640,
        "embedding_dropout": 0,
        "lstm": 5_517_312,
        "output_dropout": 0,
        "head": 527_364,
    }
    assert isinstance(model, LSTM)
    head = [type(layer).__name__ for layer in model.head]
    assert head == ["Linear", "GELU", "Linear", "GELU", "Linear"]
    assert trainable_parameters(model) == 6_045_316


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("head_layers", [0, 1])
def test_dropout_is_off_in_evaluation_and_on_in_training(layers: int, head_layers: int):
    spec = LSTMSpec(layers=layers, width=8, embedding=6, head_layers=head_layers, dropout=0.5)
    model = spec.build(vocab_size=5, outputs=4, max_length=32)
    tokens = torch.randint(0, 5, (3, 7))
    assert not torch.equal(model(tokens), model(tokens))
    model.eval()
    assert torch.equal(model(tokens), model(tokens))


def test_the_forget_bias_opens_every_forget_gate_and_moves_nothing_else():
    def weights(forget_bias: float) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        spec = LSTMSpec(layers=2, width=3, forget_bias=forget_bias)
        return spec.build(vocab_size=5, outputs=4, max_length=32).state_dict()

    plain, open_ = weights(0.0), weights(3.0)
    changed = {name: open_[name] - plain[name] for name in plain}
    for layer in range(2):
        moved = changed.pop(f"lstm.bias_ih_l{layer}")
        assert torch.allclose(moved, torch.tensor([0.0] * 3 + [3.0] * 3 + [0.0] * 6))
    assert not any(difference.any() for difference in changed.values())


def test_an_open_forget_gate_remembers():
    """With the forget gates all but shut or open, what was read first is lost or still there."""
    kept = []
    for forget_bias in (-20.0, 20.0):
        torch.manual_seed(0)
        model = (
            LSTMSpec(width=8, forget_bias=forget_bias)
            .build(vocab_size=3, outputs=3, max_length=32)
            .eval()
        )
        first, second = (torch.tensor([[token] + [0] * 30]) for token in (1, 2))
        difference = (model(first) - model(second)).detach()[0, -1]
        kept.append(float(difference.abs().max()))
    shut, opened = kept
    assert shut < 1e-6
    assert opened > 1e-3
