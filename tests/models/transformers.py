"""Transformers that tests share: small ones, of every kind that a file may ask for."""

import itertools
from collections.abc import Iterator
from typing import Any, get_args

from seqtune.config.errors import SpecError
from seqtune.models import TransformerSpec
from seqtune.models.transformer_spec import Norm, Positions

POSITIONS: tuple[Positions, ...] = get_args(Positions)
NORMS: tuple[Norm, ...] = get_args(Norm)
MASKINGS: tuple[dict[str, Any], ...] = (
    {"kind": "causal"},
    {"kind": "forgetful", "rate": 0.3},
    {"kind": "window", "length": 4},
    {"kind": "prefix"},
)


def small(**changes: Any) -> TransformerSpec:
    """A transformer of two blocks of width 12, as a file would ask for it; with dropout.

    Raises:
        SpecError: if what is asked for does not go together.
    """
    shape = {"layers": 2, "width": 12, "heads": 2, "head_width": 8, "dropout": 0.2}
    return TransformerSpec.parse({"kind": "transformer", **shape, **changes})


def every_encoding_and_masking() -> list[TransformerSpec]:
    """One for every encoding with every masking that it goes with."""
    return list(_accepted({"positions": POSITIONS, "masking": MASKINGS}))


def every_combination() -> list[TransformerSpec]:
    """One for everything that may be asked for together."""
    lists = {
        "positions": POSITIONS,
        "masking": MASKINGS,
        "flash": (None, True, False),
        "kv_heads": (None, 1),
        "glu": (False, True),
        "norm": NORMS,
    }
    return list(_accepted(lists))


def _accepted(lists: dict[str, tuple[Any, ...]]) -> Iterator[TransformerSpec]:
    for values in itertools.product(*lists.values()):
        try:
            yield small(**dict(zip(lists, values, strict=True)))
        except SpecError:
            continue
