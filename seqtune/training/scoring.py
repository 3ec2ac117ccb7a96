"""Losses, hits and divergences of a model's predictions, per token and summed per string.

Sums are per string because strings are the independent draws: tokens of one string depend on one
another. Standard errors are therefore those of sums over strings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from seqtune.models.base import SequenceModel
from seqtune.tasks.base import Batch
from seqtune.tasks.score import Score
from seqtune.training.device import Transfer

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TokenScores:
    """Scores of every token of a batch; B strings of T tokens.

    Attributes:
        losses: nats; 0 for tokens that are not scored.
        hits: whether the most probable token is right; false for tokens that are not scored.
        divergences: KL(true distribution || model) in nats, 0 where the true distribution is not
            known; None if it is known for no token.
    """

    losses: Float[Tensor, "B T"]
    hits: Bool[Tensor, "B T"]
    divergences: Float[Tensor, "B T"] | None


@dataclass(frozen=True, eq=False)
class StringScores:
    """Sums over the tokens of every string, float64 [N] each.

    Attributes:
        nats: loss of the scored tokens.
        hits: number of scored tokens predicted right.
        scored: number of scored tokens.
        compared_nats: loss of the scored tokens whose floor is known.
        compared: number of these.
        divergences: KL divergence summed over these; None if no true distribution is known.
    """

    nats: Numbers
    hits: Numbers
    scored: Numbers
    compared_nats: Numbers
    compared: Numbers
    divergences: Numbers | None

    @property
    def exact(self) -> npt.NDArray[np.bool_]:
        """Whether every scored token is right."""
        return self.hits == self.scored

    def scores(self, group: str) -> dict[str, Score]:
        """Return loss and accuracy per scored token, as metrics of a group such as `valid`."""
        return {
            f"{group}/loss": Score.ratio(self.nats, denominators=self.scored),
            f"{group}/accuracy": Score.ratio(self.hits, denominators=self.scored),
        }

    @classmethod
    def of(cls, found: TokenScores, *, batch: Batch) -> "StringScores":
        """Sum the scores of a batch."""
        compared = torch.from_numpy(batch.compared).to(found.losses.device)
        sums = [found.losses, found.hits, torch.where(compared, found.losses, 0.0)]
        if found.divergences is not None:
            sums.append(found.divergences)
        nats, hits, compared_nats, *rest = (
            torch.stack([each.double().sum(dim=1) for each in sums]).cpu().numpy()
        )
        return cls(
            nats=nats,
            hits=hits,
            scored=batch.scored.sum(axis=1).astype(np.float64),
            compared_nats=compared_nats,
            compared=batch.compared.sum(axis=1).astype(np.float64),
            divergences=rest[0] if rest else None,
        )

    @classmethod
    def concatenate(cls, parts: Sequence["StringScores"]) -> "StringScores":
        """Return the scores of several batches, in order."""

        def join(name: str) -> Any:
            values = [getattr(part, name) for part in parts]
            known = [each for each in values if each is not None]
            return np.concatenate(known) if known else None

        return cls(**{field.name: join(field.name) for field in fields(cls)})


@torch.no_grad()
def score_batch(
    model: SequenceModel,
    batch: Batch,
    *,
    tokens: Int[Tensor, "B T"] | None = None,
    truth: Float[np.ndarray, "B T V"] | None = None,
) -> TokenScores:
    """Score a model's predictions of a batch.

    Args:
        model: in evaluation mode.
        batch: what is predicted.
        tokens: read instead of the batch's tokens.
        truth: the true distributions, as from `Task.truth`.
    """
    transfer = Transfer(model.device)
    sent = transfer.send(batch.tokens, batch.targets, batch.scored)
    given, targets, scored = sent.receive()
    logits = model(given if tokens is None else tokens)
    losses, hits = token_scores(logits, targets=targets, scored=scored)
    found = None
    if truth is not None:
        known, compared = transfer.send(truth, batch.compared).receive()
        found = divergences(logits, truth=known, compared=compared)
    return TokenScores(losses.double(), hits, found)


def token_scores(
    logits: Float[Tensor, "B T V"], *, targets: Int[Tensor, "B T"], scored: Bool[Tensor, "B T"]
) -> tuple[Float[Tensor, "B T"], Bool[Tensor, "B T"]]:
    """Return loss in nats and hit of every token; 0 and false for tokens that are not scored."""
    # An ignored index gives zero loss and zero gradient whatever its logits are.
    ignored = torch.where(scored, targets, -100)
    losses = functional.cross_entropy(
        logits.float().transpose(1, 2), ignored, reduction="none", ignore_index=-100
    )
    return losses, (logits.detach().argmax(dim=-1) == targets) & scored


def divergences(
    logits: Float[Tensor, "B T V"], *, truth: Float[Tensor, "B T V"], compared: Bool[Tensor, "B T"]
) -> Float[Tensor, "B T"]:
    """Return KL(truth || model) in nats, in double precision; 0 where nothing is compared."""
    # In single precision the divergence of a perfect model would be of either sign.
    model = torch.log_softmax(logits.double(), dim=-1)
    terms = torch.where(truth > 0, truth * (truth.log() - model), 0.0)
    return torch.where(compared, terms.sum(dim=-1), 0.0)


def floor_losses(batch: Batch, *, truth: Float[np.ndarray, "B T V"] | None) -> Numbers:
    """Return the floor of every token, nats [B, T]: minus the log of its true probability.

    It is 0 where nothing is compared. Without true distributions, compared tokens are certain, as
    `Task.truth` says.
    """
    losses = np.zeros(batch.targets.shape)
    if truth is not None:
        of_target = np.take_along_axis(truth, batch.targets[..., np.newaxis], axis=2)[..., 0]
        losses[batch.compared] = -np.log(of_target[batch.compared])
    return losses
