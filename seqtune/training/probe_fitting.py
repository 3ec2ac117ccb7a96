"""Linear probes of hidden states: fitting and scoring.

A probe is a multinomial logistic regression with a bias. Several targets of the same positions are
fitted
together: their losses are summed and no weight is shared, so that the optimum is that of each
alone. Shapes: N positions, D features (D1: with a constant), K targets, C classes of the target
that has most.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqtune.models.base import SequenceModel
from seqtune.tasks.score import Score
from seqtune.training.probes import Labels, Positions

PENALTY = 1.0
"""Precision of the weights' normal prior, features having a standard deviation of 1; as in
scikit-learn."""
STEPS = 100
"""Limit for L-BFGS: on hidden states of trained models, accuracies change by a few thousandths
after."""
HISTORY = 20
TOLERANCE = 1e-6
"""The fit ends when no component of the gradient is larger."""
READ_TOKENS = 1 << 13
"""Tokens whose hidden states, of all layers, are in memory at once."""


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """A fitted probe, with the device and dtype of the features that it was fitted to.

    Attributes:
        mean, scale: standardise the features.
        weights: of every class of every target; the bias is last.
        shares: frequency of every class in the fit; 0 for classes that a target does not have.
    """

    mean: Float[Tensor, " D"]
    scale: Float[Tensor, " D"]
    weights: Float[Tensor, "C K D1"]
    shares: Float[Tensor, "C K"]

    def log_probabilities(self, features: Float[Tensor, "N D"]) -> Float[Tensor, "C K N"]:
        """Return log-probabilities in nats; very low for classes that a target does not have."""
        inputs = _with_bias((features - self.mean) / self.scale)
        return _log_probabilities(inputs, weights=self.weights, is_class=self.shares > 0)


@dataclass(frozen=True)
class Predictions:
    """How well a target is predicted; the unit of the errors is the string.

    Attributes:
        accuracy: share of positions whose most probable class is right.
        balanced: the same with every class counting alike, and predicted as if all were equally
            common, so that rare classes are not given up for the sake of accuracy.
    """

    accuracy: Score
    balanced: Score


@torch.no_grad()
def hidden_states(
    model: SequenceModel, tokens: Int[Tensor, "B T"], *, chosen: Bool[Tensor, "B T"]
) -> Float[Tensor, "L N D"]:
    """Return the hidden states of every layer at the chosen positions, string by string."""
    size = max(1, READ_TOKENS // tokens.shape[1])
    parts: list[Tensor] = []
    for rows, wanted in zip(tokens.split(size), chosen.split(size), strict=True):
        if wanted.any():
            # A causal model needs no token after the last wanted position.
            used = int(wanted.any(dim=0).nonzero().max()) + 1
            states = model.hidden_states(rows[:, :used].to(model.device))
            parts.append(states[:, wanted[:, :used].to(model.device)])
    return torch.cat(parts, dim=1)


def fit(
    features: Float[Tensor, "N D"], *, positions: Positions, classes: tuple[int, ...]
) -> LinearProbe:
    """Return the probe of least loss, by L-BFGS on all positions at once.

    The loss of a target is the weighted mean loss over its n positions, in nats, plus `PENALTY` /
    2n times the sum of its squared weights without biases.

    Args:
        features: hidden states of the positions.
        positions: labels and weights; every class of a target occurs.
        classes: number of classes of each of the K targets.
    """
    labels = torch.from_numpy(positions.labels).to(features.device)
    numbers = torch.arange(max(classes), device=features.device)[:, None, None]
    truths = (labels == numbers) * torch.from_numpy(positions.weights).to(features)
    truths = truths / truths.sum(dim=(0, 2))[:, None]
    shares = truths.sum(dim=2)
    scale, mean = torch.std_mean(features, dim=0, correction=0)
    # A constant feature carries no information.
    scale = torch.where(scale > 0, scale, 1.0)
    inputs = _with_bias((features - mean) / scale)
    turn = _decorrelation(inputs)
    turned = inputs @ turn
    penalties = PENALTY / 2 / (labels >= 0).sum(dim=1)

    def loss(weights: Float[Tensor, "C K D1"]) -> Float[Tensor, ""]:
        found = _log_probabilities(turned, weights=weights, is_class=shares > 0)
        squares = (weights @ turn[:-1].T).square().sum(dim=(0, 2))
        return (squares * penalties).sum() - (found * truths).sum()

    weights = _minimum(loss, start=features.new_zeros(*shares.shape, inputs.shape[1]))
    return LinearProbe(mean=mean, scale=scale, weights=weights @ turn.T, shares=shares)


def _decorrelation(inputs: Float[Tensor, "N D1"]) -> Float[Tensor, "D1 D1"]:
    """Return a basis in which inputs are uncorrelated, up to the regularisation by the penalty.

    Hidden units are so correlated that L-BFGS needs many times the steps without it; the optimum is
    the same.
    """
    exact = inputs.double()
    covariance = exact.T @ exact / len(exact)
    covariance.diagonal().add_(PENALTY / len(exact))
    return torch.linalg.inv(torch.linalg.cholesky(covariance)).T.to(inputs).contiguous()


def _minimum(
    loss: Callable[[Tensor], Tensor], *, start: Float[Tensor, "C K D1"]
) -> Float[Tensor, "C K D1"]:
    weights = start.requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weights],
        max_iter=STEPS,
        history_size=HISTORY,
        tolerance_grad=TOLERANCE,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(weights)
        value.backward()
        return value

    optimizer.step(closure)
    return weights.detach()


def _with_bias(features: Float[Tensor, "N D"]) -> Float[Tensor, "N D1"]:
    return torch.cat([features, features.new_ones(len(features), 1)], dim=1)


def _log_probabilities(
    inputs: Float[Tensor, "N D1"],
    *,
    weights: Float[Tensor, "C K D1"],
    is_class: Bool[Tensor, "C K"],
) -> Float[Tensor, "C K N"]:
    logits = (weights.flatten(0, 1) @ inputs.T).unflatten(0, weights.shape[:2])
    # Not minus infinity, which times a weight of 0 would be NaN.
    absent = torch.finfo(logits.dtype).min
    return logits.masked_fill(~is_class[..., None], absent).log_softmax(dim=0)


def predict(
    probe: LinearProbe, features: Float[Tensor, "N D"], *, positions: Positions
) -> tuple[Predictions, ...]:
    """Return how well a probe predicts every target at positions that it was not fitted to."""
    found = probe.log_probabilities(features)
    rarity = -torch.where(probe.shares > 0, probe.shares, 1.0).log()
    likely = found.argmax(dim=0).cpu().numpy()
    fair = (found + rarity[..., None]).argmax(dim=0).cpu().numpy()
    return _score_predictions(likely, fair, positions=positions)


def predict_majority(probe: LinearProbe, *, positions: Positions) -> tuple[Predictions, ...]:
    """Return the same for always predicting the class that was most common in the fit."""
    common = probe.shares.argmax(dim=0)[:, None].cpu().numpy()
    always = np.broadcast_to(common, positions.labels.shape)
    return _score_predictions(always, always, positions=positions)


def _score_predictions(
    likely: Labels, fair: Labels, *, positions: Positions
) -> tuple[Predictions, ...]:
    """Score predictions of each target, made with observed and with equal class frequencies."""
    found: list[Predictions] = []
    for row, likely_row, fair_row in zip(positions.labels, likely, fair, strict=True):
        counts = row >= 0
        labels, strings = row[counts], positions.strings[counts]
        each = {"weights": positions.weights[counts], "strings": strings}
        accuracy = grouped_share(likely_row[counts] == labels, groups=np.zeros_like(labels), **each)
        balanced = grouped_share(fair_row[counts] == labels, groups=labels, **each)
        found.append(Predictions(accuracy, balanced))
    return tuple(found)


def grouped_share(
    right: npt.NDArray[np.bool_],
    *,
    groups: Labels,
    weights: npt.NDArray[np.float64],
    strings: Labels,
) -> Score:
    """Return the mean over groups of positions of the share that is right in each.

    The standard error is linearised as in `Score.ratio`, with which this agrees for a single group:
    positions of one string are not independent.
    """
    totals = np.bincount(groups, weights)
    occurs = totals > 0
    shares = np.bincount(groups, weights * right) / np.where(occurs, totals, 1.0)
    residuals = weights * (right - shares[groups]) / totals[groups] / occurs.sum()
    _, string = np.unique(strings, return_inverse=True)
    squares = float(np.square(np.bincount(string, residuals)).sum())
    count = int(string.max()) + 1
    error = math.sqrt(count / (count - 1) * squares) if count > 1 else math.nan
    return Score(float(shares[occurs].mean()), count=count, standard_error=error)
