import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax

from seqtune.models import LSTMSpec
from seqtune.models.build import build_network
from seqtune.tasks.score import Score
from seqtune.training import probe_fitting
from seqtune.training.probe_fitting import (
    Predictions,
    fit,
    grouped_share,
    hidden_states,
    predict,
    predict_majority,
)
from seqtune.training.probes import Positions


def positions(
    *labels: np.ndarray, weights: np.ndarray | None = None, string: int = 10
) -> Positions:
    """Positions of equal weight, so many to a string."""
    count = len(labels[0])
    weights = np.ones(count) if weights is None else weights
    return Positions(np.stack(labels), weights=weights, strings=np.arange(count) // string)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def scored(features: torch.Tensor, labels: np.ndarray, *, classes: int) -> Predictions:
    """How well a probe that was fitted to the first half tells the second."""
    half = len(features) // 2
    probe = fit(features[:half], positions=positions(labels[:half]), classes=(classes,))
    (found,) = predict(probe, features[half:], positions=positions(labels[half:]))
    return found


def test_what_features_hold_linearly_is_told():
    features = normal(4_000, 8)
    found = scored(features, (features[:, :3].argmax(dim=1)).numpy(), classes=3)
    assert found.accuracy.value > 0.98
    assert found.balanced.value > 0.98


def test_what_features_hold_otherwise_is_not_told():
    features = normal(4_000, 8)
    found = scored(features, (features[:, 0] * features[:, 1] > 0).numpy().astype(int), classes=2)
    assert abs(found.accuracy.value - 0.5) < 4 * found.accuracy.standard_error
    assert 0.005 < found.accuracy.standard_error < 0.02


def test_of_noise_the_most_common_class_is_told():
    features = normal(6_000, 4)
    labels = (np.random.default_rng(1).random(6_000) < 0.1).astype(np.int64)
    found = scored(features, labels, classes=2)
    assert found.accuracy.value == pytest.approx(0.9, abs=0.02)
    assert abs(found.balanced.value - 0.5) < 4 * found.balanced.standard_error


def test_a_rare_class_is_told_where_classes_count_alike():
    """A shift by two deviations: at even odds 84 % of each class is right, whatever its share."""
    rng = np.random.default_rng(0)
    labels = (rng.random(40_000) < 0.02).astype(np.int64)
    features = torch.from_numpy(rng.normal(size=(40_000, 1)) + 2.0 * labels[:, None])
    found = scored(features, labels, classes=2)
    assert found.balanced.value == pytest.approx(0.841, abs=0.02)
    assert found.accuracy.value > 0.975


LABELS = (
    np.random.default_rng(3).integers(-1, 3, 200),
    np.random.default_rng(4).integers(0, 2, 200),
)
WEIGHTS = np.random.default_rng(5).uniform(0.5, 4.0, 200)


def plain_loss(
    flat: np.ndarray, *, inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> float:
    """What `fit` says that it minimises, in NumPy: the last row of the map is the bias."""
    own = labels >= 0
    table = flat.reshape(inputs.shape[1] + 1, -1)
    found = log_softmax(inputs[own] @ table[:-1] + table[-1], axis=1)
    nats = -found[np.arange(own.sum()), labels[own]]
    penalty = probe_fitting.PENALTY / 2 / own.sum() * np.square(table[:-1]).sum()
    return float(np.average(nats, weights=weights[own]) + penalty)


def test_the_fit_is_that_of_a_reference_optimiser(monkeypatch: pytest.MonkeyPatch):
    """Features that are nearly alike, positions of unlike weights, and two targets at once."""
    monkeypatch.setattr(probe_fitting, "STEPS", 1_000)
    monkeypatch.setattr(probe_fitting, "TOLERANCE", 1e-9)
    features = normal(200, 4) + 5 * normal(200, 1, seed=1) + 3
    probe = fit(features, positions=positions(*LABELS, weights=WEIGHTS), classes=(3, 2))
    inputs = features.numpy()
    inputs = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    for target, (labels, classes) in enumerate(zip(LABELS, (3, 2), strict=True)):
        known = {"inputs": inputs, "labels": labels, "weights": WEIGHTS}
        reference = minimize(
            lambda flat, known=known: plain_loss(flat, **known), np.zeros(5 * classes), tol=1e-12
        )
        table = probe.weights[:classes, target].T.numpy()
        assert plain_loss(table.ravel(), **known) == pytest.approx(reference.fun, abs=1e-8)
        own = reference.x.reshape(5, classes)
        expected = log_softmax(inputs @ own[:-1] + own[-1], axis=1)
        ours = probe.log_probabilities(features)[:classes, target].T.numpy()
        assert ours == pytest.approx(expected, abs=1e-3)


def test_targets_that_are_fitted_together_are_told_as_alone():
    features = normal(200, 4)
    both = fit(features, positions=positions(*LABELS), classes=(3, 2))
    for target, (labels, classes) in enumerate(zip(LABELS, (3, 2), strict=True)):
        alone = fit(features, positions=positions(labels), classes=(classes,))
        ours = both.log_probabilities(features)[:classes, target].exp()
        assert torch.allclose(ours, alone.log_probabilities(features)[:, 0].exp(), atol=1e-4)


def test_probabilities_sum_to_one_over_the_classes_of_a_target():
    probe = fit(normal(200, 4), positions=positions(*LABELS), classes=(3, 2))
    found = probe.log_probabilities(normal(50, 4, seed=9)).exp()
    assert torch.allclose(found.sum(dim=0), torch.ones(2, 50, dtype=found.dtype))
    assert (found[2, 1] == 0).all()


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_features_that_say_nothing_or_the_same_do_no_harm(kind: torch.dtype):
    features = normal(600, 3).to(kind)
    labels = (features[:, 0] > 0).numpy().astype(np.int64)
    useless = torch.cat([features, features, torch.full((600, 2), 7.0, dtype=kind)], dim=1)
    assert scored(useless, labels, classes=2).accuracy.value > 0.97


def test_the_majority_is_that_of_what_was_fitted():
    probe = fit(normal(10, 2), positions=positions(np.array([0] * 4 + [1] * 6)), classes=(2,))
    (found,) = predict_majority(probe, positions=positions(np.array([0, 0, 0, 1])))
    assert found.accuracy.value == 0.25
    assert found.balanced.value == 0.5


def test_weights_stand_for_positions():
    """Three positions of weight 1, 2 and 3 are six positions."""
    features = normal(90, 3)
    labels = np.random.default_rng(0).integers(0, 3, 90)
    times = np.random.default_rng(1).integers(1, 4, 90)
    weighted = fit(features, positions=positions(labels, weights=times.astype(float)), classes=(3,))
    repeated = fit(
        features.repeat_interleave(torch.from_numpy(times), dim=0),
        positions=positions(np.repeat(labels, times)),
        classes=(3,),
    )
    # The penalty and the standardisation are those of the positions that were read.
    assert torch.allclose(weighted.shares, repeated.shares)
    first, second = (each.log_probabilities(features).exp() for each in (weighted, repeated))
    assert torch.allclose(first, second, atol=0.02)


def test_a_share_of_one_group_is_a_ratio_over_strings():
    rng = np.random.default_rng(0)
    right, weights, strings = rng.random(60) < 0.7, rng.uniform(1, 3, 60), rng.integers(0, 9, 60)
    found = grouped_share(right, groups=np.zeros(60, int), weights=weights, strings=strings)
    expected = Score.ratio(
        np.bincount(strings, weights * right), denominators=np.bincount(strings, weights)
    )
    assert (found.value, found.count) == (pytest.approx(expected.value), 9)
    assert found.standard_error == pytest.approx(expected.standard_error)


def test_a_share_of_groups_by_hand():
    """Right are 2 of 4 and 1 of 1: the mean is 3/4; group 7 does not occur."""
    right = np.array([True, True, False, False, True])
    groups = np.array([0, 0, 0, 0, 9])
    found = grouped_share(
        right, groups=groups, weights=np.ones(5), strings=np.array([4, 4, 4, 5, 5])
    )
    # Residuals (right - 1/2) / 4 / 2: 1/16 twice and -1/16 in string 4, -1/16 and 0 in string 5.
    assert (found.value, found.count) == (0.75, 2)
    assert found.standard_error == pytest.approx((2 * 2 / 256) ** 0.5)


def test_the_error_of_a_balanced_share_is_how_far_samples_scatter():
    """Strings of ten positions each, told right or wrong together."""
    shares, errors = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        strings = np.arange(400) // 10
        right = np.repeat(rng.random(40) < 0.7, 10)
        groups = (rng.random(400) < 0.2).astype(int)
        found = grouped_share(right, groups=groups, weights=np.ones(400), strings=strings)
        shares.append(found.value)
        errors.append(found.standard_error)
    assert np.mean(shares) == pytest.approx(0.7, abs=0.02)
    assert np.mean(errors) == pytest.approx(np.std(shares), rel=0.1)


def test_a_single_string_has_no_error():
    found = grouped_share(
        np.array([True]), groups=np.array([0]), weights=np.ones(1), strings=np.array([3])
    )
    assert found.count == 1
    assert np.isnan(found.standard_error)


def test_hidden_states_are_those_of_the_chosen_positions(monkeypatch: pytest.MonkeyPatch):
    """In parts of two strings, one of them with nothing chosen."""
    monkeypatch.setattr(probe_fitting, "READ_TOKENS", 20)
    torch.manual_seed(0)
    model = build_network(
        LSTMSpec(layers=2, width=6, embedding=4), vocab_size=5, outputs=4, max_length=9
    )
    tokens = torch.randint(0, 5, (7, 9))
    chosen = torch.rand(7, 9) < 0.3
    chosen[2:4] = False
    found = hidden_states(model.eval(), tokens, chosen=chosen)
    assert torch.allclose(found, model.hidden_states(tokens)[:, chosen], atol=1e-6)
