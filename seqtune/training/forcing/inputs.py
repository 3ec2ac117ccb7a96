"""From a teacher-forcing rate to the tokens that a model reads.

Random draws say where the model reads its own predictions; one of two prediction modes (`stage` in
files) finds them. Both modes choose a token by the same function of the logits, so they differ only
as the logits do. Draws are made on the host, so that neither mode waits for a device.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, assert_never

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqtune.models.base import SequenceModel
from seqtune.tasks.base import Batch, Mask
from seqtune.training.forcing.base import (
    ArgmaxFeedback,
    Exact,
    Forcing,
    Granularity,
    Parallel,
    SampledFeedback,
    StageSpec,
)

FREE_RUNNING_TOKENS = 1 << 17
"""Tokens of the strings that are free-run side by side: steps are many, and wide ones are
cheaper."""


@dataclass(frozen=True, eq=False)
class Feedback:
    """How a token is chosen from the logits.

    Attributes:
        temperature: divides the logits before a token is sampled.
        uniforms: float32 [B, T] in [0, 1), on the model's device: the number at t samples the token
            that is read at t. None for the most probable token.
    """

    temperature: float = 1.0
    uniforms: Tensor | None = None

    def of(self, rows: slice | Tensor) -> "Feedback":
        """Return the feedback of some of the strings."""
        return self if self.uniforms is None else replace(self, uniforms=self.uniforms[rows])


ARGMAX = Feedback()
EXACT = Exact()


def choose_inputs(
    model: SequenceModel,
    tokens: Int[Tensor, "B T"],
    *,
    forcing: Forcing,
    rate: float,
    scored: Bool[np.ndarray, "B T"],
    generator: np.random.Generator,
    at_once: int | None = None,
) -> Int[Tensor, "B T"]:
    """Return the tokens that the model reads of one training batch.

    Args:
        model: in training mode.
        tokens: the ground truth, on the model's device.
        forcing: granularity, feedback and stage.
        rate: teacher-forcing rate: probability of reading a ground-truth token.
        scored: true where the next token is predicted.
        generator: for where predictions are read, and for sampled feedback.
        at_once: strings that a parallel pass may process at once; None for all.
    """
    if rate == 1:
        return tokens
    predicted = draw_prediction_mask(
        forcing.granularity, rate=rate, scored=scored, generator=generator
    )
    match forcing.feedback:
        case ArgmaxFeedback():
            feedback = ARGMAX
        case SampledFeedback(temperature=temperature):
            numbers = generator.random(scored.shape, dtype=np.float32)
            uniforms = _to_device(numbers, device=tokens.device)
            feedback = Feedback(temperature=temperature, uniforms=uniforms)
        case _:
            assert_never(forcing.feedback)
    stage = forcing.stage or (Exact() if model.recurrent else Parallel())
    size = at_once if at_once is not None and isinstance(stage, Parallel) else len(tokens)
    parts = [
        mix_inputs(
            model,
            tokens[part],
            predicted=predicted if len(predicted) == 1 else predicted[part],
            stage=stage,
            feedback=feedback.of(part),
        )
        for part in (slice(first, first + size) for first in range(0, len(tokens), size))
    ]
    return torch.cat(parts)


def draw_prediction_mask(
    granularity: Granularity, *, rate: float, scored: Mask, generator: np.random.Generator
) -> Mask:
    """Draw where the model reads its own predictions: bool [B, T], or [1, T] if all strings agree.

    Only a token that the model had to predict is replaced: never the first, none of a prompt, no
    padding.

    Args:
        granularity: one draw per token, per time step of all strings, or per string.
        rate: teacher-forcing rate: probability of reading a ground-truth token.
        scored: bool [B, T], true where the next token is predicted.
        generator: source of the draws.
    """
    strings, steps = scored.shape
    match granularity:
        case "token":
            shape = (strings, steps)
        case "step":
            shape = (1, steps)
        case "sequence":
            shape = (strings, 1)
    mask = np.tile(generator.random(shape) >= rate, (1, steps // shape[1]))
    mask[:, :1] = False
    replaceable = scored[:, :-1]
    if replaceable.all():
        return mask
    mask = np.tile(mask, (strings // len(mask), 1))
    mask[:, 1:] &= replaceable
    return mask


@torch.no_grad()
def mix_inputs(
    model: SequenceModel,
    tokens: Int[Tensor, "B T"],
    *,
    predicted: Mask,
    stage: StageSpec = EXACT,
    feedback: Feedback = ARGMAX,
) -> Int[Tensor, "B T"]:
    """Return the ground-truth tokens with the model's predictions where `predicted` is true.

    No gradient is recorded, no dropout is applied, and the model keeps its mode.

    Args:
        model: makes the predictions.
        tokens: the ground truth, on the model's device.
        predicted: bool [B, T], or [1, T] for all strings: true where the model reads the token that
            it predicts from what it read before. False for the first token and throughout a prompt.
        stage: the prediction mode.
        feedback: how a token is chosen from the logits.
    """
    assert not predicted[:, : max(model.prompt_length, 1)].any(), "a prompt is never predicted"
    rows_with_predictions = predicted.any(axis=1)
    if not rows_with_predictions.any():
        return tokens
    if rows_with_predictions.all():
        return _predict(model, tokens, predicted=predicted, stage=stage, feedback=feedback)
    # Strings that are all ground truth need no work.
    rows = _to_device(np.flatnonzero(rows_with_predictions), device=tokens.device)
    part = _predict(
        model,
        tokens[rows],
        predicted=predicted[rows_with_predictions],
        stage=stage,
        feedback=feedback.of(rows),
    )
    return tokens.index_copy(0, rows, part)


def free_running_inputs(
    model: SequenceModel, batches: list[Batch]
) -> Iterator[tuple[Batch, Int[Tensor, "B T"]]]:
    """Yield each batch with the model's most probable tokens as input; prompts stay as they are."""
    for group in _group(batches):
        width = max(batch.tokens.shape[1] for batch in group)
        size = sum(len(batch) for batch in group)
        tokens, predicted = np.zeros((size, width), np.int64), np.zeros((size, width), bool)
        ends = np.cumsum([len(batch) for batch in group])
        for batch, end in zip(group, ends, strict=True):
            rows = slice(end - len(batch), end)
            steps = batch.tokens.shape[1]
            tokens[rows, :steps] = batch.tokens
            predicted[rows, 1:steps] = batch.scored[:, :-1]
        inputs = mix_inputs(model, torch.from_numpy(tokens).to(model.device), predicted=predicted)
        for batch, end in zip(group, ends.tolist(), strict=True):
            yield batch, inputs[end - len(batch) : end, : batch.tokens.shape[1]]


def _group(batches: list[Batch]) -> Iterator[list[Batch]]:
    """Group batches, in order, up to about `FREE_RUNNING_TOKENS` tokens each."""
    group: list[Batch] = []
    for batch in batches:
        if group and sum(each.tokens.size for each in [*group, batch]) > FREE_RUNNING_TOKENS:
            yield group
            group = []
        group.append(batch)
    yield group


def _to_device(array: np.ndarray, *, device: torch.device) -> Tensor:
    """Copy an array to the device without waiting for the work queued there."""
    # A non-contiguous view would be copied twice.
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def _predict(
    model: SequenceModel,
    tokens: Int[Tensor, "B T"],
    *,
    predicted: Bool[np.ndarray, "R T"],
    stage: StageSpec,
    feedback: Feedback,
) -> Int[Tensor, "B T"]:
    match stage:
        case Exact():
            # A state has one precision and is updated in place, which autocast would break.
            with torch.autocast(tokens.device.type, enabled=False):
                return _predict_exactly(model, tokens, predicted=predicted, feedback=feedback)
        case Parallel(passes=passes):
            return _predict_in_parallel(
                model, tokens, predicted=predicted, passes=passes, feedback=feedback
            )
        case _:
            assert_never(stage)


def _predict_exactly(
    model: SequenceModel,
    tokens: Int[Tensor, "B T"],
    *,
    predicted: Bool[np.ndarray, "R T"],
    feedback: Feedback,
) -> Int[Tensor, "B T"]:
    """Read ground-truth tokens in one call up to each time step at which a prediction is needed."""
    steps = np.flatnonzero(predicted.any(axis=0))
    same_for_all = bool(predicted[:, steps].all())
    mask = None if same_for_all else _to_device(predicted, device=tokens.device)
    inputs = tokens.clone()
    state: Any = None
    start = 0
    for stop in steps.tolist():
        if state is not None and stop - start == 1:
            logits, state = model.step(inputs[:, start], state=state)
        else:
            logits, state = model.prefill(inputs[:, start:stop], state=state)
        uniforms = None if feedback.uniforms is None else feedback.uniforms[:, stop]
        token = choose(logits, temperature=feedback.temperature, uniforms=uniforms)
        inputs[:, stop] = token if mask is None else token.where(mask[:, stop], inputs[:, stop])
        start = stop
    return inputs


def _predict_in_parallel(
    model: SequenceModel,
    tokens: Int[Tensor, "B T"],
    *,
    predicted: Bool[np.ndarray, "R T"],
    passes: int | None,
    feedback: Feedback,
) -> Int[Tensor, "B T"]:
    """Make passes over whole strings; the n-th settles the n-th predicted time step."""
    enough = int(predicted.any(axis=0).sum())
    passes = enough if passes is None else min(passes, enough)
    mask = _to_device(predicted[:, 1:], device=tokens.device)
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
    """Return the token that is fed back.

    Without `uniforms` it is the most probable one; with them, the first whose cumulative
    probability is above the uniform number.
    """
    if uniforms is None:
        return logits.argmax(dim=-1)
    # In double precision the total exceeds its product with any float32 below 1: a token is found.
    logits = logits.double()
    # Subtracting the maximum keeps a low temperature from overflowing.
    logits = (logits - logits.amax(dim=-1, keepdim=True)) / temperature
    cumulative = logits.softmax(dim=-1).cumsum(dim=-1)
    return (cumulative <= uniforms.unsqueeze(-1) * cumulative[..., -1:]).sum(dim=-1)
