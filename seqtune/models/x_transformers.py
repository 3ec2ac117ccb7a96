"""x-transformers, imported without what torch has to say about its import."""

import warnings

with warnings.catch_warnings():
    # It decorates functions with torch.jit.script, which torch deprecates.
    warnings.simplefilter("ignore", DeprecationWarning)
    from x_transformers.x_transformers import (
        AttentionLayers,
        Decoder,
        Encoder,
        TransformerWrapper,
        apply_polar_pos_emb,
        apply_rotary_pos_emb,
    )

__all__ = [
    "AttentionLayers",
    "Decoder",
    "Encoder",
    "TransformerWrapper",
    "apply_polar_pos_emb",
    "apply_rotary_pos_emb",
]
