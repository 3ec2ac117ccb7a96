"""What a model reads when it runs freely: everything that it has to predict it reads as it predicted it."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from seqtune.models.base import SequenceModel
from seqtune.tasks.base import Batch
from seqtune.training.forcing import mixed_inputs

TOKENS_AT_ONCE = 1 << 17
"""Strings of about so many tokens run side by side: steps are many, and wide ones are cheaper."""


def free_running_inputs(
    model: SequenceModel, batches: list[Batch]
) -> Iterator[tuple[Batch, Int[Tensor, "B T"]]]:
    """Every batch with what the model reads of it: its own most probable tokens, and the prompts."""
    for group in _groups(batches):
        width = max(batch.tokens.shape[1] for batch in group)
        size = sum(len(batch) for batch in group)
        tokens, own = np.zeros((size, width), np.int64), np.zeros((size, width), bool)
        ends = np.cumsum([len(batch) for batch in group])
        for batch, end in zip(group, ends, strict=True):
            rows = slice(end - len(batch), end)
            steps = batch.tokens.shape[1]
            tokens[rows, :steps] = batch.tokens
            own[rows, 1:steps] = batch.scored[:, :-1]
        inputs = mixed_inputs(model, torch.from_numpy(tokens).to(model.device), own=own)
        for batch, end in zip(group, ends.tolist(), strict=True):
            yield batch, inputs[end - len(batch) : end, : batch.tokens.shape[1]]


def _groups(batches: list[Batch]) -> Iterator[list[Batch]]:
    """Batches in their order, as many at a time as are few enough tokens."""
    group: list[Batch] = []
    for batch in batches:
        if group and sum(each.tokens.size for each in [*group, batch]) > TOKENS_AT_ONCE:
            yield group
            group = []
        group.append(batch)
    yield group
