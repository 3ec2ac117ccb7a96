"""What a model says to the strings that it reads: token by token, and summed by string.

Sums are by string because strings are what is drawn: tokens of one depend on one another, so errors are
those of sums over strings.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from seqtune.models.base import SequenceModel
from seqtune.tasks.base import Batch
from seqtune.training.transfer import Transfer

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TokenScores:
    """Of every token of a batch; B strings of T tokens.

    Attributes:
        losses: nats; 0 where a token is not scored.
        hits: whether the most probable token is right; false where none is scored.
        divergences: KL(true distribution || model) in nats, 0 where the truth is not known; None where it is
            known of no token.
    """

    losses: Float[Tensor, "B T"]
    hits: Bool[Tensor, "B T"]
    divergences: Float[Tensor, "B T"] | None


@dataclass(frozen=True, eq=False)
class StringScores:
    """Sums over the tokens of every string, float64 [N] each.

    Attributes:
        nats: loss of the scored tokens.
        hits: how many of them are right.
        scored: how many there are.
        compared_nats: loss of those whose floor is known as well.
        compared: how many these are.
        divergences: KL from the truth, summed over these; None where no truth is known.
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

    @classmethod
    def of(cls, found: TokenScores, *, batch: Batch) -> "StringScores":
        """Sums of what was found of a batch."""
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
    def joined(cls, parts: Sequence["StringScores"]) -> "StringScores":
        """The strings of several batches, in their order."""
        divergences = [part.divergences for part in parts if part.divergences is not None]
        return cls(
            nats=np.concatenate([part.nats for part in parts]),
            hits=np.concatenate([part.hits for part in parts]),
            scored=np.concatenate([part.scored for part in parts]),
            compared_nats=np.concatenate([part.compared_nats for part in parts]),
            compared=np.concatenate([part.compared for part in parts]),
            divergences=np.concatenate(divergences) if divergences else None,
        )


@torch.no_grad()
def read(
    model: SequenceModel,
    batch: Batch,
    *,
    tokens: Int[Tensor, "B T"] | None = None,
    truth: Float[np.ndarray, "B T V"] | None = None,
) -> TokenScores:
    """What a model in evaluation mode says to a batch.

    Args:
        model: what predicts.
        batch: what is predicted.
        tokens: what is read instead of the batch's own tokens.
        truth: the true distributions, as `Task.truth` gives them.
    """
    transfer = Transfer(model.device)
    sent = transfer.send(batch.tokens, batch.targets, batch.scored)
    own, targets, scored = sent.received()
    logits = model(own if tokens is None else tokens)
    losses, hits = token_scores(logits, targets=targets, scored=scored)
    found = None
    if truth is not None:
        known, compared = transfer.send(truth, batch.compared).received()
        found = divergences(logits, truth=known, compared=compared)
    return TokenScores(losses.double(), hits, found)


def token_scores(
    logits: Float[Tensor, "B T V"],
    *,
    targets: Int[Tensor, "B T"],
    scored: Bool[Tensor, "B T"],
) -> tuple[Float[Tensor, "B T"], Bool[Tensor, "B T"]]:
    """Loss in nats and hit of every token; zero and false where a token is not scored."""
    # An index that is ignored gives zero loss and zero gradient whatever its logits are.
    ignored = torch.where(scored, targets, -100)
    losses = functional.cross_entropy(
        logits.float().transpose(1, 2), ignored, reduction="none", ignore_index=-100
    )
    return losses, (logits.detach().argmax(dim=-1) == targets) & scored


def divergences(
    logits: Float[Tensor, "B T V"],
    *,
    truth: Float[Tensor, "B T V"],
    compared: Bool[Tensor, "B T"],
) -> Float[Tensor, "B T"]:
    """KL(truth || model) in nats, in double precision; 0 where nothing is compared."""
    # Single precision would leave a model that is right with a divergence of either sign.
    model = torch.log_softmax(logits.double(), dim=-1)
    terms = torch.where(truth > 0, truth * (truth.log() - model), 0.0)
    return torch.where(compared, terms.sum(dim=-1), 0.0)


def true_losses(batch: Batch, *, truth: Float[np.ndarray, "B T V"] | None) -> Numbers:
    """The floor of every token, nats [B, T]: minus the log of its true probability; 0 where not compared.

    Without a truth, compared tokens are certain, as `Task.truth` says.
    """
    losses = np.zeros(batch.targets.shape)
    if truth is not None:
        own = np.take_along_axis(truth, batch.targets[..., np.newaxis], axis=2)[..., 0]
        losses[batch.compared] = -np.log(own[batch.compared])
    return losses
