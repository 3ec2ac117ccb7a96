"""The two stages that find a model's own tokens. Coins stay on the host, so that neither waits for a device.

Both choose by the same function of the logits, so they differ only as the logits do.
"""

from dataclasses import replace
from typing import Any, assert_never

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqtune.models.base import SequenceModel
from seqtune.training.forcing.mixing import ARGMAX, Feedback, draw_prediction_mask, mixed_inputs
from seqtune.training.forcing.options import (
    ArgmaxFeedback,
    Exact,
    Parallel,
    SampledFeedback,
    StageSpec,
)
from seqtune.training.forcing.schedule import Forcing


def forced_inputs(
    model: SequenceModel,
    tokens: Int[Tensor, "B T"],
    *,
    forcing: Forcing,
    truth: float,
    scored: Bool[np.ndarray, "B T"],
    generator: np.random.Generator,
    at_once: int | None = None,
) -> Int[Tensor, "B T"]:
    """What the model reads of one training batch.

    Args:
        model: in training.
        tokens: the truth, on the model's device.
        forcing: coin, feedback and stage.
        truth: probability of reading the truth.
        scored: where the next token is predicted.
        generator: of the coins and of the numbers that tokens are drawn by.
        at_once: strings that a parallel pass may work on at once; None for all.
    """
    if truth == 1:
        return tokens
    own = draw_prediction_mask(forcing.coin, truth=truth, scored=scored, generator=generator)
    match forcing.feedback:
        case ArgmaxFeedback():
            feedback = ARGMAX
        case SampledFeedback(temperature=temperature):
            numbers = generator.random(scored.shape, dtype=np.float32)
            uniforms = on_device(numbers, device=tokens.device)
            feedback = Feedback(temperature=temperature, uniforms=uniforms)
        case _:
            assert_never(forcing.feedback)
    stage = forcing.stage or (Exact() if model.recurrent else Parallel())
    size = at_once if at_once is not None and isinstance(stage, Parallel) else len(tokens)
    parts = [
        mixed_inputs(
            model,
            tokens[part],
            own=own if len(own) == 1 else own[part],
            stage=stage,
            feedback=feedback.of(part),
        )
        for part in (slice(first, first + size) for first in range(0, len(tokens), size))
    ]
    return torch.cat(parts)


@torch.no_grad()
def choose_inputs(
    model: SequenceModel,
    tokens: Int[Tensor, "B T"],
    *,
    own: Bool[np.ndarray, "R T"],
    stage: StageSpec,
    feedback: Feedback,
) -> Int[Tensor, "B T"]:
    """See `mixed_inputs`; strings that read nothing of their own are left out of the work."""
    reading = own.any(axis=1)
    if not reading.all():
        rows = on_device(np.flatnonzero(reading), device=tokens.device)
        if feedback.uniforms is not None:
            feedback = replace(feedback, uniforms=feedback.uniforms[rows])
        part = _staged(model, tokens[rows], own=own[reading], stage=stage, feedback=feedback)
        return tokens.index_copy(0, rows, part)
    return _staged(model, tokens, own=own, stage=stage, feedback=feedback)


def on_device(array: np.ndarray, *, device: torch.device) -> Tensor:
    """An array as a tensor, without waiting for what the device is at."""
    # A view with gaps would be copied once more on its way.
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def _staged(
    model: SequenceModel,
    tokens: Int[Tensor, "B T"],
    *,
    own: Bool[np.ndarray, "R T"],
    stage: StageSpec,
    feedback: Feedback,
) -> Int[Tensor, "B T"]:
    match stage:
        case Exact():
            # A state has one precision and is worked on in place, so autocast would only get in the way.
            with torch.autocast(tokens.device.type, enabled=False):
                return _exact(model, tokens, own=own, feedback=feedback)
        case Parallel():
            return _parallel(model, tokens, own=own, passes=stage.passes, feedback=feedback)
        case _:
            assert_never(stage)


def _exact(
    model: SequenceModel,
    tokens: Int[Tensor, "B T"],
    *,
    own: Bool[np.ndarray, "R T"],
    feedback: Feedback,
) -> Int[Tensor, "B T"]:
    """A run of true tokens is read by one call; the network steps only where an own token is next."""
    own_steps = np.flatnonzero(own.any(axis=0))
    alike = bool(own[:, own_steps].all())
    mask = None if alike else on_device(own, device=tokens.device)
    inputs = tokens.clone()
    state: Any = None
    start = 0
    for stop in own_steps.tolist():
        if state is not None and stop - start == 1:
            logits, state = model.step(inputs[:, start], state=state)
        else:
            logits, state = model.prefill(inputs[:, start:stop], state=state)
        uniforms = None if feedback.uniforms is None else feedback.uniforms[:, stop]
        token = choose(logits, temperature=feedback.temperature, uniforms=uniforms)
        inputs[:, stop] = token if mask is None else token.where(mask[:, stop], inputs[:, stop])
        start = stop
    return inputs


def _parallel(
    model: SequenceModel,
    tokens: Int[Tensor, "B T"],
    *,
    own: Bool[np.ndarray, "R T"],
    passes: int | None,
    feedback: Feedback,
) -> Int[Tensor, "B T"]:
    """Pass after pass over whole strings; the n-th makes the n-th own time step right for good."""
    enough = int(own.any(axis=0).sum())
    passes = enough if passes is None else min(passes, enough)
    mask = on_device(own[:, 1:], device=tokens.device)
    uniforms = None if feedback.uniforms is None else feedback.uniforms[:, 1:]
    inputs = tokens
    training = model.training
    model.eval()
    try:
        for done in range(1, passes + 1):
            logits = model(inputs)[:, :-1]
            token = choose(logits, temperature=feedback.temperature, uniforms=uniforms)
            before = inputs
            inputs = torch.cat([tokens[:, :1], token.where(mask, tokens[:, 1:])], dim=1)
            if done < passes and torch.equal(inputs, before):
                break
    finally:
        model.train(training)
    return inputs


def choose(
    logits: Float[Tensor, "*B V"], *, temperature: float, uniforms: Float[Tensor, "*B"] | None
) -> Int[Tensor, "*B"]:
    """The token that is fed back: the most probable one, or the one that the uniform number falls on.

    That is the first whose cumulative probability lies above the number.
    """
    if uniforms is None:
        return logits.argmax(dim=-1)
    # In double precision the sum stays above every float32 below 1 times itself: a token is always found.
    logits = logits.double()
    # Below the largest, so that a low temperature takes no logit beyond the largest float.
    logits = (logits - logits.amax(dim=-1, keepdim=True)) / temperature
    cumulative = logits.softmax(dim=-1).cumsum(dim=-1)
    return (cumulative <= uniforms.unsqueeze(-1) * cumulative[..., -1:]).sum(dim=-1)
