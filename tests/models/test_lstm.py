import pytest
import torch

from seqtune.models import LSTMSpec
from seqtune.models.lstm import LSTM
from seqtune.models.model import trainable_parameters

SEED = LSTMSpec(layers=3, width=512, embedding=128, head_layers=2, dropout=0.2)


def test_the_published_configuration_has_its_parameters_layer_by_layer():
    model = SEED.build(vocab_size=5, outputs=4)
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
    model = spec.build(vocab_size=5, outputs=4)
    tokens = torch.randint(0, 5, (3, 7))
    assert not torch.equal(model(tokens), model(tokens))
    model.eval()
    assert torch.equal(model(tokens), model(tokens))
