"""Import of x-transformers without torch's deprecation warnings."""

import warnings

with warnings.catch_warnings():
    # It decorates functions with torch.jit.script, which is deprecated.
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
