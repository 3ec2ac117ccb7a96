"""Linear probes: what a linear map can tell of hidden states.

A probe is a multinomial logistic regression with a bias. Several things that are to be told of the same
positions (targets) are fitted in one go: the losses are summed and no weight is shared, so that the optimum
is that of each alone. Shapes: N positions, D features (D1: and a constant), K targets, C classes of the
target that has most.
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
from seqtune.training.probe_examples import Labels, Positions

PENALTY = 1.0
"""Precision of the weights' normal prior, features having a standard deviation of 1; as in scikit-learn."""
STEPS = 100
"""Most steps of L-BFGS: on hidden states of trained models, accuracies move by a few thousandths after."""
HISTORY = 20
TOLERANCE = 1e-6
"""The fit ends where no slope of the loss is greater."""
READ_TOKENS = 1 << 13
"""Tokens whose hidden states are held at once, all layers of them."""


@dataclass(frozen=True, eq=False)
class Probe:
    """A fitted map, on the device and of the type of the features that it was fitted to.

    Attributes:
        mean, scale: what features are standardised by.
        weights: of every class of every target; the bias is last.
        shares: how common every class was; 0 of those that a target does not have.
    """

    mean: Float[Tensor, " D"]
    scale: Float[Tensor, " D"]
    weights: Float[Tensor, "C K D1"]
    shares: Float[Tensor, "C K"]

    def log_probabilities(self, features: Float[Tensor, "N D"]) -> Float[Tensor, "C K N"]:
        """Of every class of every target, in nats; all but minus infinity of those that it does not have."""
        inputs = _with_bias((features - self.mean) / self.scale)
        return _log_probabilities(inputs, weights=self.weights, is_class=self.shares > 0)


@dataclass(frozen=True)
class Predictions:
    """How well a target is told; strings are the units.

    Attributes:
        accuracy: share of positions whose most probable class is right.
        balanced: the same with every class counting alike, and decided as if all were equally common: a
            class that is rare is not given up for the sake of accuracy.
    """

    accuracy: Score
    balanced: Score


@torch.no_grad()
def hidden_states(
    model: SequenceModel, tokens: Int[Tensor, "B T"], *, chosen: Bool[Tensor, "B T"]
) -> Float[Tensor, "L N D"]:
    """The hidden states of every layer at the chosen positions, string by string."""
    size = max(1, READ_TOKENS // tokens.shape[1])
    parts: list[Tensor] = []
    for rows, own in zip(tokens.split(size), chosen.split(size), strict=True):
        if own.any():
            # A causal model needs nothing behind the last position.
            used = int(own.any(dim=0).nonzero().max()) + 1
            states = model.hidden_states(rows[:, :used].to(model.device))
            parts.append(states[:, own[:, :used].to(model.device)])
    return torch.cat(parts, dim=1)


def fit(features: Float[Tensor, "N D"], *, positions: Positions, classes: tuple[int, ...]) -> Probe:
    """The probe of least loss, by L-BFGS on all positions at once.

    The loss of a target is the mean over the positions that it counts, n in number, in nats, and
    `PENALTY` / 2n times the sum of its squared weights, biases left out.

    Args:
        features: hidden states of the positions.
        positions: what is to be told; every class of a target occurs.
        classes: the number of every target's classes, [K].
    """
    labels = torch.from_numpy(positions.labels).to(features.device)
    numbers = torch.arange(max(classes), device=features.device)[:, None, None]
    truths = (labels == numbers) * torch.from_numpy(positions.weights).to(features)
    truths = truths / truths.sum(dim=(0, 2))[:, None]
    shares = truths.sum(dim=2)
    scale, mean = torch.std_mean(features, dim=0, correction=0)
    # A feature that is always the same tells nothing.
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
    return Probe(mean=mean, scale=scale, weights=weights @ turn.T, shares=shares)


def _decorrelation(inputs: Float[Tensor, "N D1"]) -> Float[Tensor, "D1 D1"]:
    """A basis in which inputs are uncorrelated, as far as the penalty lets directions matter.

    Hidden units are so alike that L-BFGS takes many times the steps without it; the optimum is the same.
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
    # Not infinity: times a truth of 0 it has to be 0.
    absent = torch.finfo(logits.dtype).min
    return logits.masked_fill(~is_class[..., None], absent).log_softmax(dim=0)


def predict(
    probe: Probe, features: Float[Tensor, "N D"], *, positions: Positions
) -> tuple[Predictions, ...]:
    """How well a probe tells every target of positions that it was not fitted to."""
    found = probe.log_probabilities(features)
    rarity = -torch.where(probe.shares > 0, probe.shares, 1.0).log()
    likely = found.argmax(dim=0).cpu().numpy()
    fair = (found + rarity[..., None]).argmax(dim=0).cpu().numpy()
    return _told(likely, fair, positions=positions)


def predict_majority(probe: Probe, *, positions: Positions) -> tuple[Predictions, ...]:
    """The same of always saying the class that was most common where the probe was fitted."""
    common = probe.shares.argmax(dim=0)[:, None].cpu().numpy()
    always = np.broadcast_to(common, positions.labels.shape)
    return _told(always, always, positions=positions)


def _told(likely: Labels, fair: Labels, *, positions: Positions) -> tuple[Predictions, ...]:
    """By target, of what is said where classes count as they occur, and where they count alike."""
    found: list[Predictions] = []
    for own, said, said_fairly in zip(positions.labels, likely, fair, strict=True):
        counts = own >= 0
        labels, strings = own[counts], positions.strings[counts]
        each = {"weights": positions.weights[counts], "strings": strings}
        accuracy = grouped_share(said[counts] == labels, groups=np.zeros_like(labels), **each)
        balanced = grouped_share(said_fairly[counts] == labels, groups=labels, **each)
        found.append(Predictions(accuracy, balanced))
    return tuple(found)


def grouped_share(
    right: npt.NDArray[np.bool_],
    *,
    groups: Labels,
    weights: npt.NDArray[np.float64],
    strings: Labels,
) -> Score:
    """The mean over the groups of positions of the share that is right in each.

    The error is linearised as that of `Score.ratio`, which this is for a single group: positions of one
    string are not independent.
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
