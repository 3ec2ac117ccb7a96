"""Spec of the transformer: its size, position encoding and masking."""

from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import Field, model_validator

from seqtune.config.errors import listed, problem
from seqtune.config.spec import Spec
from seqtune.config.unions import ByKind

Positions: TypeAlias = Literal[
    "absolute",
    "sinusoidal",
    "none",
    "rotary",
    "xpos",
    "polar",
    "alibi",
    "t5",
    "dynamic",
    "cope",
    "data_dependent_alibi",
]
Norm: TypeAlias = Literal["layer", "rms", "scale"]

NOT_FLASH = frozenset({"t5", "dynamic", "cope"})
"""Encodings that the library computes from the full attention matrix, which a fused kernel never
has."""

BACKWARD_ONLY = frozenset({"xpos", "cope", "data_dependent_alibi"})
"""Encodings that are defined for earlier tokens only."""


class Causal(Spec):
    """Causal attention: a token attends to itself and all earlier tokens."""

    kind: Literal["causal"] = "causal"


class Forgetful(Spec):
    """Causal attention with some tokens of every string hidden in training.

    Of T tokens int(rate * T) are hidden, never the first, drawn anew for every string and pass; the
    same in all layers and heads. The draws use torch's global generator, as dropout does.

    Source: Chen et al. 2022, arXiv 2210.13432 (forgetful causal masking).
    """

    kind: Literal["forgetful"] = "forgetful"
    rate: float = Field(default=0.15, ge=0, lt=1)
    """Share of hidden tokens."""


class Window(Spec):
    """Sliding window: a token attends to itself and the `length - 1` tokens before it.

    Source: Beltagy et al. 2020, arXiv 2004.05150, section 3.1 (sliding window).
    """

    kind: Literal["window"] = "window"
    length: int = Field(ge=1)


class Prefix(Spec):
    """Prefix LM: the tokens of the prompt attend to one another; all others are causal.

    For tasks whose strings begin with a prompt that is given and never predicted.

    Source: Raffel et al. 2020, section 3.2.1 (prefix LM).
    """

    kind: Literal["prefix"] = "prefix"


MaskingSpec: TypeAlias = Annotated[Causal | Forgetful | Window | Prefix, ByKind()]


class TransformerSpec(Spec):
    """Pre-norm blocks of attention and feed-forward (GELU), a final norm, and logits without bias.

    Source: Vaswani et al. 2017, as built by x-transformers.
    """

    kind: Literal["transformer"] = "transformer"
    layers: int = Field(default=2, ge=1)
    """Number of blocks, each of attention and feed-forward."""
    width: int = Field(default=64, ge=1)
    """Size of the embedding and of the residual stream."""
    heads: int = Field(default=4, ge=1)
    head_width: int = Field(default=16, ge=1)
    """Size of a head's queries, keys and values; `heads * head_width` need not be `width`."""
    positions: Positions = "rotary"
    """Position encoding. `absolute` learns a vector per position, up to the task's longest string;
    `sinusoidal` adds fixed waves, scaled by a learned number; `none` has only the mask. `rotary`
    (on half of each head), `xpos` and `polar` rotate queries and keys. `alibi`, `t5` and `dynamic`
    add a bias to the attention scores that depends on the distance: linear, a learned table, a
    small network. `cope` counts the tokens that matter; `data_dependent_alibi` learns to forget
    (forgetting transformer)."""
    masking: MaskingSpec = Causal()
    """Which tokens attend to which: `causal`, `{kind: forgetful, rate: 0.15}`, `{kind: window,
    length: 64}` or `prefix`."""
    ff_multiplier: float = Field(default=4.0, ge=1)
    """Hidden units of the feed-forward layer, as a multiple of the width; rounded down."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Probability of dropping a unit of the embedding, an attention weight or a feed-forward
    unit."""
    flash: bool | None = None
    """Whether attention uses torch's fused kernel, which never has the full attention matrix in
    memory; a mask or bias matrix is still passed to it (all maskings but causal; alibi). The
    function is the same. null uses it if the encoding allows it: with all but t5, dynamic and
    cope."""
    norm: Norm = "layer"
    """Normalisation before attention, before feed-forward and at the end: LayerNorm (`layer`) or
    RMSNorm (`rms`) with learned gains, or ScaleNorm (`scale`) with one learned gain. None has a
    bias."""
    glu: bool = False
    """Whether feed-forward units are gated (GEGLU), which takes half as many weights again."""
    kv_heads: int | None = Field(default=None, ge=1)
    """Heads of keys and values, each shared by `heads / kv_heads` query heads; null is `heads`."""

    @property
    def uses_flash(self) -> bool:
        """Whether attention uses the fused kernel."""
        return self.positions not in NOT_FLASH if self.flash is None else self.flash

    @model_validator(mode="after")
    def _check(self) -> "TransformerSpec":
        self._check_heads()
        self._check_sizes()
        self._check_masking()
        if self.flash and self.positions in NOT_FLASH:
            raise problem(
                f"{self.positions} positions need the full attention matrix, which flash attention "
                "never computes; write flash: null (or false)",
                at="flash",
            )
        return self

    def _check_masking(self) -> None:
        if isinstance(self.masking, Prefix) and self.positions in BACKWARD_ONLY:
            others = [each for each in get_args(Positions) if each not in BACKWARD_ONLY]
            raise problem(
                f"{self.positions} positions are defined for earlier tokens only, but with prefix "
                "masking a prompt also attends to later ones; write masking: causal, or "
                f"positions: one of {listed(others)}",
                at="masking",
            )
        if isinstance(self.masking, Forgetful) and self.positions == "data_dependent_alibi":
            raise problem(
                "with data_dependent_alibi positions every token decides how much of the "
                "earlier ones is forgotten, so none can be hidden; "
                "write masking: causal, or other positions",
                at="masking",
            )

    def _check_heads(self) -> None:
        if self.kv_heads is None:
            return
        if self.heads % self.kv_heads != 0:
            raise problem(
                f"must divide heads, but got (heads={self.heads}, kv_heads={self.kv_heads})",
                at="kv_heads",
            )
        if self.positions == "polar" and self.kv_heads < self.heads:
            raise problem(
                "polar positions need separate keys for every head, so they cannot be shared, "
                f"but got (heads={self.heads}, kv_heads={self.kv_heads}); write kv_heads: null",
                at="kv_heads",
            )

    def _check_sizes(self) -> None:
        turned = self.positions in ("rotary", "xpos")
        if turned and (self.head_width % 4 != 0 or self.head_width < 8):
            raise problem(
                f"must be a multiple of 4, and at least 8, with {self.positions} positions, which "
                f"rotate pairs of numbers in half of each head, but got {self.head_width}",
                at="head_width",
            )
        if self.positions == "sinusoidal" and self.width % 2 != 0:
            raise problem(
                "must be even with sinusoidal positions, which are pairs of sine and cosine, "
                f"but got {self.width}",
                at="width",
            )
        if self.positions == "dynamic" and self.width < 4:
            raise problem(
                "must be at least 4 with dynamic positions, whose network has a fourth of it, "
                f"but got {self.width}",
                at="width",
            )
