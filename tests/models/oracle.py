"""A model that answers with the true distribution, for tests of scores and of generation."""

import torch
from torch import Tensor

from seqtune.models.base import SequenceModel
from seqtune.tasks.cfg.language import Language

Prefixes = list[list[int]]


class Oracle(SequenceModel[Prefixes]):
    """Logits of the `sentence` layout: log P(next | prefix) by the grammar's own dynamic program."""

    recurrent = False

    def __init__(self, grammar: Language) -> None:
        super().__init__()
        self.grammar = grammar
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, tokens: Tensor) -> Tensor:
        end = len(self.grammar.terminals) + 1
        rows = []
        for row in tokens.tolist():
            string = [token for token in row[1:] if token != end]
            known = torch.from_numpy(self.grammar.next_token(string)).log()
            padding = known[-1:].expand(len(row) - len(known), -1)
            rows.append(torch.cat([known, padding]))
        impossible = torch.full((len(tokens), tokens.shape[1], 1), -torch.inf)
        return torch.cat([impossible, torch.stack(rows)], dim=2)

    def hidden_states(self, tokens: Tensor) -> Tensor:
        """Its one layer is what it says."""
        return self(tokens)[None]

    def prefill(self, tokens: Tensor, *, state: Prefixes | None = None) -> tuple[Tensor, Prefixes]:
        read = [
            [*before, *row]
            for before, row in zip(state or [[]] * len(tokens), tokens.tolist(), strict=True)
        ]
        return torch.cat([self(torch.tensor([row]))[:, -1] for row in read]), read

    def step(self, token: Tensor, *, state: Prefixes) -> tuple[Tensor, Prefixes]:
        return self.prefill(token[:, None], state=state)
