"""Reading a few tokens more: the transformer's pass for `prefill` and `step`.

x-transformers has a cache of its own. It copies all keys and values at every step and turns all keys again,
takes no mask, and leaves out data-dependent ALiBi without a word. So this pass calls the library's
projections, encodings and attention one after the other, on keys and values that are written once, as
attention needs them. Tests hold it against the library's own pass for every encoding and every masking.
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

Turn: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Gives queries and keys [B, H, N, D] their places, where these are part of them."""


class Buffer:
    """Buffer of numbers, [B, H, n, D], that are added to at the end and read whole.

    Memory for `capacity` rows is taken with the first; whenever it is full, for twice as many.
    """

    def __init__(self, *, capacity: int) -> None:
        self.capacity = capacity
        self.count = 0
        self._memory: Tensor | None = None

    def extend(self, new: Float[Tensor, "B H N D"]) -> Float[Tensor, "B H M D"]:
        """Adds rows; returns all that there are, a view that later calls leave as it is."""
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
    """What one layer remembers of the tokens read.

    Attributes:
        keys: as queries meet them: with their position, where that is part of a key.
        values: likewise.
        forgotten: by head, the logarithm of what is left of the first token; for encodings that forget.
    """

    def __init__(self, *, capacity: int) -> None:
        self.keys = Buffer(capacity=capacity)
        self.values = Buffer(capacity=capacity)
        self.forgotten = Buffer(capacity=capacity)


@dataclass(eq=False)
class TransformerState:
    """What has been read.

    Attributes:
        caches: what each layer remembers.
        centre: the place at which xpos scales nothing; the further from it, the larger its numbers.
        length: tokens read.
    """

    caches: list[KVCache]
    centre: int
    length: int = 0


@dataclass(frozen=True, eq=False)
class _Block:
    """The library's modules of one block; it has no types for them."""

    attention_norm: nn.Module
    attention: Any
    feed_forward_norm: nn.Module
    feed_forward: nn.Module


def fresh_state(*, layers: int, capacity: int) -> TransformerState:
    """Nothing read yet, and memory for so many tokens."""
    caches = [KVCache(capacity=capacity) for _ in range(layers)]
    return TransformerState(caches=caches, centre=capacity // 2)


def read(
    network: TransformerWrapper,
    tokens: Int[Tensor, "B N"],
    *,
    mask: Bool[Tensor, "N M"] | None,
    state: TransformerState,
) -> Float[Tensor, "B V"]:
    """Reads tokens after those that the state has read, and adds them to it; logits after the last.

    Args:
        network: in evaluation mode.
        tokens: what to read.
        mask: which of all M tokens each new one sees; None if the network's own attention knows it.
        state: what has been read.
    """
    net: Any = network
    layers = net.attn_layers
    start, stop = state.length, state.length + tokens.shape[1]
    turn = _turn(layers, torch.arange(start, stop, device=tokens.device), centre=state.centre)
    bias = None if layers.rel_pos is None else layers.rel_pos(stop - start, stop)
    hidden = net.token_emb(tokens) + net.pos_emb(tokens, offset=start)
    for block, cache in zip(_blocks(layers), state.caches, strict=True):
        normed = block.attention_norm(hidden)
        hidden = hidden + _attended(
            block.attention, normed, cache=cache, turn=turn, mask=mask, bias=bias
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


def _turn(layers: Any, places: Int[Tensor, " N"], *, centre: int) -> Turn:
    if layers.rotary_pos_emb is not None:
        angles, _ = layers.rotary_pos_emb(places)
        # The library's own scale is centred on what it reads at once; keys are kept for longer.
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
    """What xpos multiplies queries by, [1, N, D], and divides keys by; 1 for plain rotary positions."""
    if rotary.scale is None:
        return 1
    powers = places[:, None] / rotary.scale_base
    return (rotary.scale**powers).repeat_interleave(2, dim=-1)[None]


def _attended(
    attention: Any,
    normed: Float[Tensor, "B N D"],
    *,
    cache: KVCache,
    turn: Turn,
    mask: Tensor | None,
    bias: Tensor | None,
) -> Float[Tensor, "B N D"]:
    """What attention makes of new tokens and of those in the cache, to which it adds them."""
    queries, keys, values = (
        project(normed).unflatten(-1, (heads, -1)).transpose(1, 2)
        for project, heads in (
            (attention.to_q, attention.heads),
            (attention.to_k, attention.kv_heads),
            (attention.to_v, attention.kv_heads),
        )
    )
    queries, keys = turn(queries, keys)
    if attention.data_dependent_alibi is not None:
        bias = _forgetting(attention.data_dependent_alibi, normed, cache=cache)
    mixed, _ = attention.attend(
        queries,
        cache.keys.extend(keys),
        cache.values.extend(values),
        mask=None if mask is None else mask[None, None],
        attn_bias=bias,
    )
    return attention.to_out(mixed.transpose(1, 2).flatten(2))


def _forgetting(
    alibi: Any, normed: Float[Tensor, "B N D"], *, cache: KVCache
) -> Float[Tensor, "B H N M"]:
    """The logarithm of what is left of every token when each new one is read."""
    start = cache.forgotten.count
    gates = alibi.to_forget_gates(normed) * alibi.post_log_scale
    left = cache.forgotten.extend(gates.cumsum(dim=-1)[..., None])
    if start > 0:
        left[:, :, start:] += left[:, :, start - 1 : start]
    return left[:, :, start:] - left.transpose(2, 3)
