"""A small causal attention model that records its calls."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqtune.models.base import SequenceModel


class Attention(SequenceModel[Tensor]):
    """One head of attention over learned positions; its state is what it has read.

    Attributes:
        calls: name of the method and shape of the tokens, of every call so far.
    """

    recurrent = False

    def __init__(self, *, prompt_length: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.prompt_length = prompt_length
        self.calls: list[tuple[str, tuple[int, ...]]] = []
        self.embedding = nn.Embedding(5, 8)
        self.positions = nn.Embedding(32, 8)
        self.looks = nn.Linear(8, 24)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(8, 5)

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        self.calls.append(("forward", tuple(tokens.shape)))
        return self._logits(tokens)

    @torch.no_grad()
    def prefill(
        self, tokens: Int[Tensor, "B T"], *, state: Tensor | None = None
    ) -> tuple[Float[Tensor, "B V"], Tensor]:
        self.calls.append(("prefill", tuple(tokens.shape)))
        return self._after(tokens if state is None else torch.cat([state, tokens], dim=1))

    @torch.no_grad()
    def step(
        self, token: Int[Tensor, " B"], *, state: Tensor
    ) -> tuple[Float[Tensor, "B V"], Tensor]:
        self.calls.append(("step", tuple(token.shape)))
        return self._after(torch.cat([state, token[:, None]], dim=1))

    def hidden_states(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "L B T D"]:
        raise NotImplementedError("no test here asks for it")

    def _after(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        training = self.training
        logits = self.eval()._logits(tokens)[:, -1]
        self.train(training)
        return logits, tokens

    def _logits(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1])
        hidden = self.embedding(tokens) + self.positions(places)
        query, key, value = self.looks(hidden).chunk(3, dim=-1)
        seen = (places <= places[:, None]) | (places < self.prompt_length)
        weights = (query @ key.mT).masked_fill(~seen, -torch.inf).softmax(dim=-1)
        return self.head(self.dropout(torch.tanh(hidden + weights @ value)) * 4)
