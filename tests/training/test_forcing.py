import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from seqtune.models import LSTMSpec
from seqtune.models.model import SequenceModel
from seqtune.run import RunSpec
from seqtune.spec import SpecError
from seqtune.training.forcing import Constant, Phase, Phased, draw_coins, mixed_inputs


def plain_loop_logits(model: SequenceModel, tokens: Tensor, *, coins: np.ndarray) -> Tensor:
    """Scheduled sampling as it is usually written: one step after another, through autograd."""
    fed = tokens[:, 0]
    state, rows = None, []
    for t in range(tokens.shape[1]):
        if t > 0:
            fed = tokens[:, t] if coins[t] else rows[-1].argmax(dim=-1)
        hidden, state = model.lstm(model.embedding(fed)[:, None], state)  # pyright: ignore
        rows.append(model.head(hidden[:, 0]))  # pyright: ignore[reportCallIssue]
    return torch.stack(rows, dim=1)


@pytest.mark.parametrize("truth", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("layers", [1, 3])
def test_two_stages_give_the_gradient_of_the_step_by_step_loop(truth: float, layers: int):
    torch.manual_seed(0)
    spec = LSTMSpec(layers=layers, width=32, embedding=16, head_layers=1)
    model = spec.build(vocab_size=5, outputs=5, max_length=32).double()
    tokens, targets = torch.randint(0, 5, (2, 8, 40))
    coins = draw_coins(40, truth=truth, generator=np.random.default_rng(0))

    def gradient(logits: Tensor) -> Tensor:
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])

    plain = gradient(plain_loop_logits(model, tokens, coins=coins))
    inputs = mixed_inputs(model, tokens, coins=coins)
    staged = gradient(model(inputs))
    assert float(plain.norm()) > 0.01
    assert float((plain - staged).abs().max()) < 1e-6
    assert torch.equal(inputs, tokens) == (truth == 1.0)


@pytest.mark.parametrize("truth", [1.0, 0.5, 0.0])
def test_the_gradient_agrees_in_single_precision_too(truth: float):
    torch.manual_seed(0)
    model = LSTMSpec(layers=2, width=32, embedding=16).build(vocab_size=5, outputs=5, max_length=32)
    tokens, targets = torch.randint(0, 5, (2, 8, 40))
    coins = draw_coins(40, truth=truth, generator=np.random.default_rng(0))
    gradients = []
    for logits in (
        plain_loop_logits(model, tokens, coins=coins),
        model(mixed_inputs(model, tokens, coins=coins)),
    ):
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        parts = torch.autograd.grad(loss, list(model.parameters()))
        gradients.append(torch.cat([part.flatten() for part in parts]))
    assert float((gradients[0] - gradients[1]).abs().max()) < 1e-6


def test_where_the_coin_says_so_the_model_reads_its_own_argmax():
    torch.manual_seed(0)
    model = LSTMSpec(width=16).build(vocab_size=5, outputs=5, max_length=32)
    tokens = torch.randint(0, 5, (4, 12))
    coins = np.array([True, True, True, False, True, False, False, True, True, True, False, True])
    inputs = mixed_inputs(model, tokens, coins=coins)
    answers = model(inputs).argmax(dim=-1)
    for t in range(12):
        expected = tokens[:, t] if coins[t] else answers[:, t - 1]
        assert torch.equal(inputs[:, t], expected)


def test_the_first_token_is_always_the_true_one():
    for seed in range(20):
        assert draw_coins(5, truth=0.0, generator=np.random.default_rng(seed)).tolist() == [
            True,
            False,
            False,
            False,
            False,
        ]


def test_coins_come_up_true_as_often_as_asked():
    coins = draw_coins(100_000, truth=0.3, generator=np.random.default_rng(0))
    assert coins.mean() == pytest.approx(0.3, abs=0.01)


def test_phases_follow_one_another_and_lines_reach_both_ends():
    """The published schedule: truth, then own tokens with probability .2 + .5 epoch / 30, then free."""
    schedule = Phased(
        phases=(
            Phase(epochs=6, truth=1.0),
            Phase(epochs=20, truth=(0.7, 1 - 0.2 - 0.5 * 25 / 30)),
            Phase(epochs=4, truth=0.0),
        )
    )
    values = [schedule.truth_at(epoch) for epoch in range(30)]
    assert values[:6] == [1.0] * 6
    for epoch in range(6, 26):
        assert values[epoch] == pytest.approx(1 - (0.2 + 0.5 * epoch / 30))
    assert values[26:] == [0.0] * 4


def test_a_constant_schedule_is_constant():
    assert {Constant(truth=0.4).truth_at(epoch) for epoch in range(9)} == {0.4}


@pytest.mark.parametrize(
    ("forcing", "message"),
    [
        ({"kind": "constant", "truth": 1.5}, "forcing.truth: must be at most 1, but got 1.5"),
        (
            {"kind": "phased", "phases": [{"epochs": 3, "truth": 1.0}]},
            "forcing.phases: the phases must last as long as the training, "
            "but got (phases=3, training.epochs=8)",
        ),
        ({"kind": "phased", "phases": []}, "forcing.phases: needs at least 1 entries, but got []"),
        ("linear", "forcing: no such kind: 'linear'; it is one of constant, phased"),
    ],
)
def test_an_impossible_schedule_is_refused(forcing: object, message: str):
    with pytest.raises(SpecError) as caught:
        RunSpec.parse({"task": "cfg", "model": "lstm", "forcing": forcing})
    assert message in str(caught.value)
