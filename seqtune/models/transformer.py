"""The transformer: the network of x-transformers with explicit masks.

This is the only file that knows the library's keywords. Loss and sampling are those of every model.
`prefill` and `step` use the pass in `incremental.py`.
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

COPE_POSITIONS = 64
"""Number of positions of CoPE; tokens further away share the last one.

Source: Golovneva et al. 2024, arXiv 2405.18719, who find 64 enough for contexts of 1,024."""


class Transformer(SequenceModel[TransformerState]):
    """The network that `TransformerSpec` describes.

    Attributes:
        net: the library's network.
        expected: number of tokens for which a cache is allocated at first.
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
            # The library adds learned positions to the other encodings unless disabled.
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
        # The inputs of all attention and feed-forward layers, and the output of the last: take the
        # blocks'.
        return torch.stack(found.layer_hiddens[2::2])

    @torch.no_grad()
    def prefill(
        self, tokens: Int[Tensor, "B T"], *, state: TransformerState | None = None
    ) -> tuple[Float[Tensor, "B V"], TransformerState]:
        if state is None:
            if tokens.shape[1] < self.prompt_length:
                raise ValueError(
                    f"the prompt's {self.prompt_length} tokens see one another, so they must be "
                    f"read at once, but got {tokens.shape[1]}"
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
        """Return the visible tokens, bool [Q, K]; None if causal attention is enough."""
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
        """Switch to evaluation mode, and restore the mode afterwards."""
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
    """Return which of the tokens 0 to `stop` are visible from each of `start` to `stop`.

    The tokens that forgetful masking hides at random are visible here; see `draw_visible_keys`.

    Args:
        masking: the rule.
        start: first query.
        stop: one past the last query and key.
        prompt_length: tokens that attend to one another under prefix masking.
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
    """Draw the visible tokens of forgetful masking: all but int(rate * T) per string.

    The first token is always visible. Draws from torch's global generator of the tokens' device.
    """
    batch, length = tokens.shape
    hidden = min(int(rate * length), length - 1)
    draws = torch.rand(batch, length - 1, device=tokens.device)
    places = 1 + draws.topk(hidden, dim=1).indices
    return torch.ones_like(tokens, dtype=torch.bool).scatter(1, places, False)


def _layers(spec: TransformerSpec) -> AttentionLayers:
    # A decoder never attends to later tokens, which a prompt has to; so prefix masking uses an
    # encoder.
    kind = Encoder if isinstance(spec.masking, Prefix) else Decoder
    layers: Any = kind(
        dim=spec.width,
        depth=spec.layers,
        heads=spec.heads,
        attn_dim_head=spec.head_width,
        attn_kv_heads=spec.kv_heads,
        # By default the library omits this projection if there is one head.
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
        # The library computes distances in single precision, whatever the precision of the weights.
        layers.rel_pos.mlp[0].register_forward_pre_hook(_in_precision_of_weights)
    return layers


def _positions(spec: TransformerSpec) -> dict[str, Any]:
    """Return the library's keywords for an encoding.

    Source: rotary arXiv 2104.09864, xpos 2212.10554, polar 2509.10534, alibi 2108.12409, t5
    1910.10683, dynamic 2108.00154, cope 2405.18719, data_dependent_alibi
    openreview.net/forum?id=q2Lnyegkr8.
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
            keywords = {"attn_use_cope": True, "attn_cope_max_pos": COPE_POSITIONS}
        case "data_dependent_alibi":
            keywords = {"attn_data_dependent_alibi": True}
        case _:
            assert_never(spec.positions)
    return keywords


def _softmax(scores: Float[Tensor, "B H Q K"]) -> Float[Tensor, "B H Q K"]:
    """Softmax in at least single precision; the library's never uses double precision."""
    return scores.softmax(dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))


def _in_precision_of_weights(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(each.to(next(module.parameters()).dtype) for each in inputs)
