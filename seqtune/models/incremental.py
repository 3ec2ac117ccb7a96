"""Incremental decoding: the transformer's pass for `prefill` and `step`.

The cache of x-transformers copies all keys and values at every step, rotates all keys again, takes
no mask, and silently ignores data-dependent ALiBi. So this pass calls the library's projections,
encodings and attention one after another, on keys and values that are stored once, in the form that
attention needs. Tests compare it with the library's own pass for every encoding and every masking.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seqtune.models.x_transformers import (
    TransformerWrapper,
    apply_polar_pos_emb,
    apply_rotary_pos_emb,
)

Rotate: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Applies the positions to queries and keys [B, H, N, D], for encodings that rotate them."""


class Buffer:
    """A growing tensor [B, H, n, D]: rows are appended, and all rows are read.

    Memory for `capacity` rows is allocated with the first; when it is full, the capacity doubles.
    """

    def __init__(self, *, capacity: int) -> None:
        self.capacity = capacity
        self.count = 0
        self._memory: Tensor | None = None

    def extend(self, new: Float[Tensor, "B H N D"]) -> Float[Tensor, "B H M D"]:
        """Append rows and return all rows, as a view that later calls do not change."""
        start, stop = self.count, self.count + new.shape[2]
        memory = self._memory_for(stop, like=new)
        memory[:, :, start:stop] = new
        self.count = stop
        return memory[:, :, :stop]

    def _memory_for(self, rows: int, *, like: Tensor) -> Tensor:
        if self._memory is not None and rows <= self.capacity:
            return self._memory
        while self.capacity < rows:
            self.capacity *= 2
        batch, heads, _, width = like.shape
        memory = like.new_empty(batch, heads, self.capacity, width)
        if self._memory is not None:
            memory[:, :, : self.count] = self._memory[:, :, : self.count]
        self._memory = memory
        return memory


class KVCache:
    """The keys and values of one layer.

    Attributes:
        keys: as attention uses them, with their position if the encoding rotates keys.
        values: as attention uses them.
        log_forget: per head, the cumulative log of the forget gates; for data-dependent ALiBi.
    """

    def __init__(self, *, capacity: int) -> None:
        self.keys = Buffer(capacity=capacity)
        self.values = Buffer(capacity=capacity)
        self.log_forget = Buffer(capacity=capacity)


@dataclass(eq=False)
class TransformerState:
    """The tokens read so far.

    Attributes:
        caches: one per layer.
        centre: position at which the scale of xpos is 1; numbers grow with the distance from it.
        length: number of tokens read.
    """

    caches: list[KVCache]
    centre: int
    length: int = 0


@dataclass(frozen=True, eq=False)
class _Block:
    """The library's modules of one block; the library has no types for them."""

    attention_norm: nn.Module
    attention: Any
    feed_forward_norm: nn.Module
    feed_forward: nn.Module


def fresh_state(*, layers: int, capacity: int) -> TransformerState:
    """Return the state before the first token, with memory for `capacity` tokens."""
    caches = [KVCache(capacity=capacity) for _ in range(layers)]
    return TransformerState(caches=caches, centre=capacity // 2)


def read(
    network: TransformerWrapper,
    tokens: Int[Tensor, "B N"],
    *,
    mask: Bool[Tensor, "N M"] | None,
    state: TransformerState,
) -> Float[Tensor, "B V"]:
    """Read tokens after those in the state, add them to it, and return the logits after the last.

    Args:
        network: in evaluation mode.
        tokens: the new tokens.
        mask: true where a new token attends to one of all M tokens; None for the mask of the
            network's own attention.
        state: the tokens read before; updated.
    """
    net: Any = network
    layers = net.attn_layers
    start, stop = state.length, state.length + tokens.shape[1]
    rotate = _rotation(layers, torch.arange(start, stop, device=tokens.device), centre=state.centre)
    bias = None if layers.rel_pos is None else layers.rel_pos(stop - start, stop)
    hidden = net.token_emb(tokens) + net.pos_emb(tokens, offset=start)
    for block, cache in zip(_blocks(layers), state.caches, strict=True):
        normed = block.attention_norm(hidden)
        hidden = hidden + _attend(
            block.attention, normed, cache=cache, rotate=rotate, mask=mask, bias=bias
        )
        hidden = hidden + block.feed_forward(block.feed_forward_norm(hidden))
    state.length = stop
    return net.to_logits(layers.final_norm(hidden[:, -1]))


def _blocks(layers: Any) -> Iterator[_Block]:
    modules = iter(layers.layers)
    for (attention_norms, attention, _), (norms, feed_forward, _) in zip(
        modules, modules, strict=True
    ):
        yield _Block(attention_norms[0], attention, norms[0], feed_forward)


def _rotation(layers: Any, places: Int[Tensor, " N"], *, centre: int) -> Rotate:
    if layers.rotary_pos_emb is not None:
        angles, _ = layers.rotary_pos_emb(places)
        # The library centres its scale on the tokens of one call; cached keys need a fixed centre.
        scale = _xpos_scale(layers.rotary_pos_emb, places - centre)
        return lambda queries, keys: (
            apply_rotary_pos_emb(queries, angles, scale),
            apply_rotary_pos_emb(keys, angles, scale**-1),
        )
    if layers.polar_pos_emb is not None:
        angles, shift = layers.polar_pos_emb(places)
        return lambda queries, keys: (
            apply_polar_pos_emb(queries, angles),
            apply_polar_pos_emb(keys, angles + shift),
        )
    return lambda queries, keys: (queries, keys)


def _xpos_scale(rotary: Any, places: Int[Tensor, " N"]) -> Any:
    """Return the factor [1, N, D] of queries, and divisor of keys, in xpos; 1 for plain rotary."""
    if rotary.scale is None:
        return 1
    powers = places[:, None] / rotary.scale_base
    return (rotary.scale**powers).repeat_interleave(2, dim=-1)[None]


def _attend(
    attention: Any,
    normed: Float[Tensor, "B N D"],
    *,
    cache: KVCache,
    rotate: Rotate,
    mask: Tensor | None,
    bias: Tensor | None,
) -> Float[Tensor, "B N D"]:
    """Return the attention output of new tokens, and add their keys and values to the cache."""
    queries, keys, values = (
        project(normed).unflatten(-1, (heads, -1)).transpose(1, 2)
        for project, heads in (
            (attention.to_q, attention.heads),
            (attention.to_k, attention.kv_heads),
            (attention.to_v, attention.kv_heads),
        )
    )
    queries, keys = rotate(queries, keys)
    if attention.data_dependent_alibi is not None:
        bias = _forget_bias(attention.data_dependent_alibi, normed, cache=cache)
    mixed, _ = attention.attend(
        queries,
        cache.keys.extend(keys),
        cache.values.extend(values),
        mask=None if mask is None else mask[None, None],
        attn_bias=bias,
    )
    return attention.to_out(mixed.transpose(1, 2).flatten(2))


def _forget_bias(
    alibi: Any, normed: Float[Tensor, "B N D"], *, cache: KVCache
) -> Float[Tensor, "B H N M"]:
    """Return the bias of data-dependent ALiBi: the log of the product of forget gates."""
    start = cache.log_forget.count
    gates = alibi.to_forget_gates(normed) * alibi.post_log_scale
    left = cache.log_forget.extend(gates.cumsum(dim=-1)[..., None])
    if start > 0:
        left[:, :, start:] += left[:, :, start - 1 : start]
    return left[:, :, start:] - left.transpose(2, 3)
