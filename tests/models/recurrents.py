"""Recurrent networks that tests share: small ones, of every kind that a file may ask for."""

import itertools
from typing import get_args

from seqtune.models import LSTMSpec
from seqtune.models.recurrent_spec import CellName

CELLS: tuple[CellName, ...] = get_args(CellName)


def every_recurrent() -> list[LSTMSpec]:
    """One for every cell, with and without each of what may stand between and above layers."""
    both = (False, True)
    return [
        LSTMSpec(
            cell=cell,
            layers=layers,
            width=6,
            embedding=6,
            head_layers=layers - 1,
            dropout=0.3,
            layer_norm=layer_norm,
            residual=residual,
            tie_embeddings=tied,
        )
        for cell, layers, layer_norm, residual, tied in itertools.product(
            CELLS, (1, 3), both, both, both
        )
    ]
