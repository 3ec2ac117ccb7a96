"""The transformer: x-transformers' network, under masks of our own.

The one file that names the library's keywords. Which tokens see which is decided in `masking.py`; loss and
sampling are those of every model. `prefill` and `step` go by a pass of our own, `reading.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, assert_never

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seqtune.models.base import SequenceModel
from seqtune.models.incremental import TransformerState, fresh_state, read
from seqtune.models.transformer_spec import (
    Causal,
    Forgetful,
    MaskingSpec,
    Prefix,
    TransformerSpec,
    Window,
)
from seqtune.models.x_transformers import AttentionLayers, Decoder, Encoder, TransformerWrapper

COUNTED = 64
"""Places that CoPE tells apart; what is further than so many counted tokens is at the last of them.

Source: Golovneva et al. 2024, arXiv 2405.18719, who find 64 enough for contexts of 1,024."""


class Transformer(SequenceModel[TransformerState]):
    """See `TransformerSpec`.

    Attributes:
        net: the library's network.
        expected: tokens that memory is taken for when reading begins.
    """

    recurrent = False

    def __init__(
        self,
        spec: TransformerSpec,
        *,
        vocab_size: int,
        outputs: int,
        max_length: int,
        prompt_length: int = 0,
    ) -> None:
        super().__init__()
        prefix = isinstance(spec.masking, Prefix)
        if prefix and prompt_length == 0:
            raise ValueError("prefix masking needs strings that begin with a prompt")
        self.spec = spec
        self.expected = max_length
        self.prompt_length = prompt_length if prefix else 0
        self.longest = max_length if spec.positions == "absolute" else None
        self.net = TransformerWrapper(
            num_tokens=vocab_size,
            logits_dim=outputs,
            max_seq_len=max_length,
            emb_dropout=spec.dropout,
            # Encodings that add nothing to the embedding keep learned positions unless told not to.
            use_abs_pos_emb=spec.positions in ("absolute", "sinusoidal"),
            scaled_sinu_pos_emb=spec.positions == "sinusoidal",
            attn_layers=_layers(spec),
        )

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        self._check_length(tokens.shape[1])
        if self.training and isinstance(self.spec.masking, Forgetful):
            seen = draw_visible_keys(tokens, rate=self.spec.masking.rate)
            return self.net(tokens, self_attn_kv_mask=seen)
        return self.net(tokens, attn_mask=self._mask(0, tokens.shape[1]))

    @torch.no_grad()
    def hidden_states(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "L B T D"]:
        self._check_length(tokens.shape[1])
        with self._evaluating():
            mask = self._mask(0, tokens.shape[1])
            _, found = self.net(tokens, attn_mask=mask, return_intermediates=True)
        # What every attention and every feed-forward begins with, and what the last one ends with.
        return torch.stack(found.layer_hiddens[2::2])

    @torch.no_grad()
    def prefill(
        self, tokens: Int[Tensor, "B T"], *, state: TransformerState | None = None
    ) -> tuple[Float[Tensor, "B V"], TransformerState]:
        if state is None:
            if tokens.shape[1] < self.prompt_length:
                raise ValueError(
                    f"the prompt's {self.prompt_length} tokens see one another, so they must be read "
                    f"at once, but got {tokens.shape[1]}"
                )
            state = fresh_state(layers=self.spec.layers, capacity=self.expected)
        return self._read(tokens, state=state), state

    @torch.no_grad()
    def step(
        self, token: Int[Tensor, " B"], *, state: TransformerState
    ) -> tuple[Float[Tensor, "B V"], TransformerState]:
        return self._read(token[:, None], state=state), state

    def _read(self, tokens: Int[Tensor, "B N"], *, state: TransformerState) -> Float[Tensor, "B V"]:
        stop = state.length + tokens.shape[1]
        self._check_length(stop)
        with self._evaluating():
            return read(self.net, tokens, mask=self._mask(state.length, stop), state=state)

    def _mask(self, start: int, stop: int) -> Tensor | None:
        """Which tokens are seen, bool [Q, K]; None where the library's attention knows it by itself."""
        match self.spec.masking:
            case Causal() | Forgetful():
                needed = False
            case Window(length=length):
                needed = stop > length
            case Prefix():
                needed = stop - start > 1
            case _:
                assert_never(self.spec.masking)
        if not needed:
            return None
        return visible_tokens(
            self.spec.masking,
            start=start,
            stop=stop,
            prompt_length=self.prompt_length,
            device=self.device,
        )

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """In evaluation mode; then again in the mode that it was in."""
        training = self.training
        if training:
            self.eval()
        try:
            yield
        finally:
            if training:
                self.train()

    def _check_length(self, length: int) -> None:
        if self.longest is not None and length > self.longest:
            raise ValueError(
                f"has learned a position for each of {self.longest} tokens, but got {length}; "
                "models with other positions go beyond"
            )


def visible_tokens(
    masking: MaskingSpec, *, start: int, stop: int, prompt_length: int, device: torch.device
) -> Bool[Tensor, "Q K"]:
    """Which of the tokens 0 to `stop` those from `start` to `stop` see, when nothing is hidden at random.

    Args:
        masking: the rule.
        start: first token that sees.
        stop: one past the last.
        prompt_length: tokens that see one another under prefix masking.
        device: of the mask.
    """
    keys = torch.arange(stop, device=device)
    distances = keys[start:, None] - keys
    match masking:
        case Causal() | Forgetful():
            return distances >= 0
        case Window(length=length):
            return (distances >= 0) & (distances < length)
        case Prefix():
            return (distances >= 0) | (keys < prompt_length)
        case _:
            assert_never(masking)


def draw_visible_keys(tokens: Int[Tensor, "B T"], *, rate: float) -> Bool[Tensor, "B T"]:
    """What forgetful masking leaves to be seen: false at int(rate * T) places a string, never the first.

    It draws from torch's global generator of the tokens' device.
    """
    batch, length = tokens.shape
    hidden = min(int(rate * length), length - 1)
    draws = torch.rand(batch, length - 1, device=tokens.device)
    places = 1 + draws.topk(hidden, dim=1).indices
    return torch.ones_like(tokens, dtype=torch.bool).scatter(1, places, False)


def _layers(spec: TransformerSpec) -> AttentionLayers:
    # What a decoder forbids is what comes later; in a prompt that is allowed, so there the mask is ours.
    kind = Encoder if isinstance(spec.masking, Prefix) else Decoder
    layers: Any = kind(
        dim=spec.width,
        depth=spec.layers,
        heads=spec.heads,
        attn_dim_head=spec.head_width,
        attn_kv_heads=spec.kv_heads,
        # Left to itself the library leaves this projection out where there is one head.
        attn_project_out=True,
        attn_flash=spec.uses_flash,
        attn_custom_attn_fn=_softmax,
        attn_dropout=spec.dropout,
        ff_mult=spec.ff_multiplier,
        ff_dropout=spec.dropout,
        ff_glu=spec.glu,
        use_rmsnorm=spec.norm == "rms",
        use_scalenorm=spec.norm == "scale",
        verbose=False,
        **_positions(spec),
    )
    if spec.positions == "dynamic":
        # It computes distances in single precision, whatever its weights are in.
        layers.rel_pos.mlp[0].register_forward_pre_hook(_in_precision_of_weights)
    return layers


def _positions(spec: TransformerSpec) -> dict[str, Any]:
    """The library's keywords for an encoding.

    Source: rotary arXiv 2104.09864, xpos 2212.10554, polar 2509.10534, alibi 2108.12409, t5 1910.10683,
    dynamic 2108.00154, cope 2405.18719, data_dependent_alibi openreview.net/forum?id=q2Lnyegkr8.
    """
    match spec.positions:
        case "absolute" | "sinusoidal" | "none":
            keywords = {}
        case "rotary":
            keywords = {"rotary_pos_emb": True}
        case "xpos":
            keywords = {"rotary_xpos": True}
        case "polar":
            keywords = {"polar_pos_emb": True}
        case "alibi":
            keywords = {"alibi_pos_bias": True}
        case "t5":
            keywords = {"rel_pos_bias": True}
        case "dynamic":
            keywords = {"dynamic_pos_bias": True}
        case "cope":
            keywords = {"attn_use_cope": True, "attn_cope_max_pos": COUNTED}
        case "data_dependent_alibi":
            keywords = {"attn_data_dependent_alibi": True}
        case _:
            assert_never(spec.positions)
    return keywords


def _softmax(scores: Float[Tensor, "B H Q K"]) -> Float[Tensor, "B H Q K"]:
    """In single precision or better; the library's own is never better."""
    return scores.softmax(dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))


def _in_precision_of_weights(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(each.to(next(module.parameters()).dtype) for each in inputs)
