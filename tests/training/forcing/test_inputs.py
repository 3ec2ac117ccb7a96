"""Model predictions as input: by either stage, for every model, those of the plain loop."""

import itertools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from seqtune.config.unions import members
from seqtune.models import LSTMSpec, ModelSpec
from seqtune.models.base import SequenceModel
from seqtune.models.build import build_network
from seqtune.models.transformer_spec import Prefix, TransformerSpec
from seqtune.runs.build import cpu_trains_lstm_in_bf16
from seqtune.tasks.base import Mask
from seqtune.tasks.build import build_task
from seqtune.tasks.life.spec import LifeSpec
from seqtune.training.forcing import Constant, Exact, Parallel, SampledFeedback
from seqtune.training.forcing.base import Granularity, StageSpec
from seqtune.training.forcing.inputs import (
    ARGMAX,
    Feedback,
    choose,
    choose_inputs,
    draw_prediction_mask,
    mix_inputs,
)
from tests.training.forcing.attention import Attention

STRINGS, STEPS, VOCABULARY = 6, 14, 5
SPECS: list[Any] = [
    *(member() for member in members(ModelSpec)),
    LSTMSpec(layers=3, width=16, embedding=8, head_layers=1),
]
MODELS: Mapping[str, Callable[[], SequenceModel]] = {
    f"{spec.kind} {spec.hash()}": partial(
        build_network, spec, vocab_size=VOCABULARY, outputs=VOCABULARY, max_length=STEPS
    )
    for spec in SPECS
} | {
    "transformer with a prompt": partial(
        build_network,
        TransformerSpec(masking=Prefix()),
        vocab_size=VOCABULARY,
        outputs=VOCABULARY,
        max_length=STEPS,
        prompt_length=4,
    ),
    "attention": Attention,
    "attention with a prompt": lambda: Attention(prompt_length=4),
}
GRANULARITIES: tuple[Granularity, ...] = ("token", "step", "sequence")
FEEDBACK: dict[str, Feedback] = {
    "argmax": ARGMAX,
    "sample": Feedback(
        temperature=0.7,
        uniforms=torch.from_numpy(
            np.random.default_rng(4).random((STRINGS, STEPS), dtype=np.float32)
        ),
    ),
}

every_model = pytest.mark.parametrize("name", MODELS)
every_granularity = pytest.mark.parametrize("granularity", GRANULARITIES)
every_feedback = pytest.mark.parametrize("feedback", FEEDBACK.values(), ids=FEEDBACK)


def built(name: str) -> SequenceModel:
    """In double precision, with logits far enough from each other that its tokens vary."""
    torch.manual_seed(0)
    model = MODELS[name]().double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3)
    return model


def ground_truth() -> Tensor:
    return torch.randint(
        0, VOCABULARY, (STRINGS, STEPS), generator=torch.Generator().manual_seed(1)
    )


def prediction_mask(granularity: Granularity, *, rate: float = 0.4, prompt: int = 0) -> Mask:
    scored = np.ones((STRINGS, STEPS), dtype=bool)
    scored[:, : max(prompt - 1, 0)] = False
    return draw_prediction_mask(
        granularity, rate=rate, scored=scored, generator=np.random.default_rng(2)
    )


def fed_back(logits: Tensor, *, feedback: Feedback, at: int) -> Tensor:
    """The token of every string, its cumulative probabilities searched one by one."""
    if feedback.uniforms is None:
        return logits.argmax(dim=-1)
    cumulative = (logits.detach() / feedback.temperature).softmax(dim=-1).cumsum(dim=-1).numpy()
    numbers = feedback.uniforms[:, at].numpy()
    found = [
        np.searchsorted(row, number, side="right")
        for row, number in zip(cumulative, numbers, strict=True)
    ]
    return torch.tensor(found)


def plain_loop(
    model: SequenceModel, tokens: Tensor, *, predicted: Mask, feedback: Feedback
) -> tuple[Tensor, Tensor]:
    """Inputs and logits of scheduled sampling as usually written: step by step, with gradients.

    Every step reads its whole prefix again, so that it can be any model's.
    """
    given = max(model.prompt_length, 1)
    predicted = np.broadcast_to(predicted, tuple(tokens.shape))
    inputs, logits = tokens[:, :given], [model(tokens[:, :given])]
    for t in range(given, tokens.shape[1]):
        predictions = fed_back(logits[-1][:, -1], feedback=feedback, at=t)
        token = torch.where(torch.tensor(predicted[:, t]), predictions, tokens[:, t])
        inputs = torch.cat([inputs, token[:, None]], dim=1)
        logits.append(model(inputs)[:, -1:])
    return inputs, torch.cat(logits, dim=1)


@every_model
@every_granularity
@every_feedback
def test_two_stages_give_the_gradient_of_the_step_by_step_loop(
    name: str, granularity: Granularity, feedback: Feedback
):
    model, tokens = built(name), ground_truth()
    predicted = prediction_mask(granularity, prompt=model.prompt_length)

    def gradient(logits: Tensor) -> Tensor:
        loss = functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])

    inputs, logits = plain_loop(model, tokens, predicted=predicted, feedback=feedback)
    staged = mix_inputs(model, tokens, predicted=predicted, feedback=feedback)
    assert torch.equal(staged, inputs)
    assert not torch.equal(staged, tokens)
    plain = gradient(logits)
    assert float(plain.norm()) > 0.01
    assert float((plain - gradient(model(staged))).abs().max()) < 1e-6


def test_the_gradient_agrees_with_torchs_own_loop_in_single_precision():
    """One call of the LSTM per time step, as scheduled sampling is usually written."""
    torch.manual_seed(0)
    model = build_network(
        LSTMSpec(layers=2, width=32, embedding=16), vocab_size=5, outputs=5, max_length=40
    )
    tokens, targets = torch.randint(0, 5, (2, 8, 40))
    predicted = draw_prediction_mask(
        "step", rate=0.5, scored=np.ones((8, 40), bool), generator=np.random.default_rng(0)
    )
    fed, state, rows = tokens[:, 0], None, []
    for t in range(40):
        if t > 0:
            fed = rows[-1].argmax(dim=-1) if predicted[0, t] else tokens[:, t]
        hidden, state = model.lstm(model.embedding(fed)[:, None], state)  # pyright: ignore
        rows.append(model.head(hidden[:, 0]))  # pyright: ignore[reportCallIssue]
    gradients = []
    for logits in (torch.stack(rows, dim=1), model(mix_inputs(model, tokens, predicted=predicted))):
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        parts = torch.autograd.grad(loss, list(model.parameters()))
        gradients.append(torch.cat([part.flatten() for part in parts]))
    assert float(gradients[0].norm()) > 0.01
    assert float((gradients[0] - gradients[1]).abs().max()) < 1e-6


@every_model
@every_granularity
@every_feedback
@pytest.mark.parametrize("rate", [0.4, 0.0])
def test_passes_until_nothing_changes_are_the_exact_stage(
    name: str, granularity: Granularity, feedback: Feedback, rate: float
):
    model, tokens = built(name), ground_truth()
    predicted = prediction_mask(granularity, rate=rate, prompt=model.prompt_length)
    exact = mix_inputs(model, tokens, predicted=predicted, feedback=feedback)
    until = mix_inputs(
        model, tokens, predicted=predicted, stage=Parallel(passes=None), feedback=feedback
    )
    assert torch.equal(until, exact)
    assert not torch.equal(exact, tokens)


@every_model
def test_one_pass_is_not_the_exact_stage(name: str):
    model, tokens = built(name), ground_truth()
    predicted = prediction_mask("token", rate=0.0, prompt=model.prompt_length)
    exact = mix_inputs(model, tokens, predicted=predicted)
    assert not torch.equal(mix_inputs(model, tokens, predicted=predicted, stage=Parallel()), exact)


@every_model
@pytest.mark.parametrize("passes", [1, 2, 3])
def test_so_many_own_tokens_are_exact_after_so_many_passes(name: str, passes: int):
    model, tokens = built(name), ground_truth()
    predicted = prediction_mask("token", prompt=model.prompt_length)
    exact = mix_inputs(model, tokens, predicted=predicted)
    found = mix_inputs(model, tokens, predicted=predicted, stage=Parallel(passes=passes))
    settled = torch.from_numpy(predicted.cumsum(axis=1) <= passes)
    assert torch.equal(found[settled], exact[settled])
    assert torch.equal(found[torch.from_numpy(~predicted)], tokens[torch.from_numpy(~predicted)])


@every_model
@every_feedback
def test_one_pass_mixes_in_what_is_predicted_from_the_truth(name: str, feedback: Feedback):
    model, tokens = built(name), ground_truth()
    predicted = prediction_mask("token", prompt=model.prompt_length)
    found = mix_inputs(
        model, tokens, predicted=predicted, stage=Parallel(passes=1), feedback=feedback
    )
    logits = model(tokens)
    for t in range(1, STEPS):
        predictions = fed_back(logits[:, t - 1], feedback=feedback, at=t)
        assert torch.equal(
            found[:, t], torch.where(torch.tensor(predicted[:, t]), predictions, tokens[:, t])
        )


def test_passes_end_when_nothing_changes():
    model = Attention()
    free = mix_inputs(model, ground_truth(), predicted=prediction_mask("step", rate=0.0))
    model.calls.clear()
    for passes in (None, 9):
        stage = Parallel(passes=passes)
        again = mix_inputs(model, free, predicted=prediction_mask("step", rate=0.0), stage=stage)
        assert torch.equal(again, free)
    assert model.calls == [("forward", (STRINGS, STEPS))] * 2


def test_more_passes_than_own_time_steps_are_not_made():
    model = Attention()
    predicted = np.zeros((1, STEPS), dtype=bool)
    predicted[0, [3, 9]] = True
    mix_inputs(model, ground_truth(), predicted=predicted, stage=Parallel(passes=50))
    assert [name for name, _ in model.calls] == ["forward", "forward"]


def test_a_run_of_true_tokens_is_read_by_one_call_and_the_rest_not_at_all():
    model = Attention()
    predicted = np.zeros((1, STEPS), dtype=bool)
    predicted[0, [5, 6, 9]] = True
    mix_inputs(model, ground_truth(), predicted=predicted)
    assert model.calls == [
        ("prefill", (STRINGS, 5)),
        ("step", (STRINGS,)),
        ("prefill", (STRINGS, 3)),
    ]


@pytest.mark.parametrize("stage", [Exact(), Parallel()])
@every_feedback
def test_strings_that_read_nothing_of_their_own_are_left_out(stage: StageSpec, feedback: Feedback):
    model, tokens = Attention(), ground_truth()
    predicted = prediction_mask("step", rate=0.0).repeat(STRINGS, axis=0)
    whole = mix_inputs(model, tokens, predicted=predicted, stage=stage, feedback=feedback)
    predicted[[0, 3]] = False
    model.calls.clear()
    part = mix_inputs(model, tokens, predicted=predicted, stage=stage, feedback=feedback)
    assert {shape[0] for _, shape in model.calls} == {STRINGS - 2}
    assert torch.equal(part[[0, 3]], tokens[[0, 3]])
    assert torch.equal(part[[1, 2, 4, 5]], whole[[1, 2, 4, 5]])


@pytest.mark.parametrize("stage", [Exact(), Parallel()])
def test_nothing_is_read_where_nothing_is_its_own(stage: StageSpec):
    model, tokens = Attention(), ground_truth()
    predicted = np.zeros((STRINGS, STEPS), dtype=bool)
    assert mix_inputs(model, tokens, predicted=predicted, stage=stage) is tokens
    assert model.calls == []


@pytest.mark.parametrize("stage", [Exact(), Parallel(passes=2)])
@pytest.mark.parametrize("training", [True, False])
def test_no_dropout_is_applied_no_gradient_recorded_and_the_mode_kept(
    stage: StageSpec, training: bool
):
    torch.manual_seed(0)
    model = Attention(dropout=0.5)
    predicted = prediction_mask("token")
    expected = mix_inputs(model.eval(), ground_truth(), predicted=predicted, stage=stage)
    model.train(training)
    tokens = ground_truth()
    found = mix_inputs(model, tokens, predicted=predicted, stage=stage)
    assert torch.equal(found, expected)
    assert model.training is training
    assert model.dropout.training is training
    assert torch.equal(tokens, ground_truth())
    assert all(weight.grad is None for weight in model.parameters())


class Asked(TorchDispatchMode):
    """Counts the operations that have the host wait for the device to see a value."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = str(func.overloadpacket).removeprefix("aten.")
        if name in ("_local_scalar_dense", "equal", "nonzero", "is_nonzero", "masked_select"):
            self.waits.append(name)
        return func(*args, **(kwargs or {}))


@every_model
@every_feedback
def test_the_exact_stage_never_waits_for_a_device(name: str, feedback: Feedback):
    model, tokens = built(name), ground_truth()
    predicted = prediction_mask("token", prompt=model.prompt_length)
    predicted[2] = False
    with Asked() as asked:
        mix_inputs(model, tokens, predicted=predicted, feedback=feedback)
    assert asked.waits == []


@every_feedback
def test_passes_wait_only_to_see_whether_something_changed(feedback: Feedback):
    for passes, waits in ((1, []), (3, ["equal", "equal"])):
        with Asked() as asked:
            mix_inputs(
                Attention(),
                ground_truth(),
                predicted=prediction_mask("token"),
                stage=Parallel(passes=passes),
                feedback=feedback,
            )
        assert asked.waits == waits


@every_model
@every_feedback
def test_the_exact_stage_is_in_single_precision_and_a_pass_in_that_of_the_training(
    name: str, feedback: Feedback
):
    model, tokens = built(name).float(), ground_truth()
    predicted = prediction_mask("token", prompt=model.prompt_length)
    precisions: list[torch.dtype] = []
    model.register_forward_hook(lambda _, inputs, logits: precisions.append(logits.dtype))
    passes_too = not name.startswith("lstm") or cpu_trains_lstm_in_bf16()
    for stage in (Exact(), Parallel()) if passes_too else (Exact(),):
        whole = mix_inputs(model, tokens, predicted=predicted, stage=stage, feedback=feedback)
        precisions.clear()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            reduced = mix_inputs(model, tokens, predicted=predicted, stage=stage, feedback=feedback)
        if isinstance(stage, Exact):
            assert torch.equal(whole, reduced)
        else:
            assert precisions == [torch.bfloat16]


@pytest.mark.parametrize("at", [0, 3])
def test_nothing_in_a_prompt_is_ever_the_models_own(at: int):
    predicted = np.zeros((1, STEPS), dtype=bool)
    predicted[0, at] = True
    with pytest.raises(AssertionError, match="a prompt is never predicted"):
        mix_inputs(Attention(prompt_length=4), ground_truth(), predicted=predicted)


@pytest.mark.parametrize("prompt", [5, 9])
def test_a_prompt_is_read_by_one_call(prompt: int):
    model = Attention(prompt_length=prompt)
    mix_inputs(model, ground_truth(), predicted=prediction_mask("step", rate=0.0, prompt=prompt))
    assert model.calls[0] == ("prefill", (STRINGS, prompt))


@every_granularity
def test_a_board_is_read_as_it_is_and_its_completion_is_the_models_own(granularity: Granularity):
    task = build_task(LifeSpec(rows=3, columns=3))
    batch = task.sample(7, generator=np.random.default_rng(0))
    tokens = torch.from_numpy(batch.tokens)
    torch.manual_seed(0)
    model = build_network(
        LSTMSpec(width=8),
        vocab_size=task.vocab_size,
        outputs=task.outputs,
        max_length=task.max_length,
    )
    found = choose_inputs(
        model,
        tokens,
        forcing=Constant(granularity=granularity),
        rate=0.0,
        scored=batch.scored,
        generator=np.random.default_rng(0),
    )
    given = ~np.pad(batch.scored[:, :-1], ((0, 0), (1, 0)))
    assert given[:, : task.prompt_length].all()
    assert torch.equal(found[torch.from_numpy(given)], tokens[torch.from_numpy(given)])
    predictions = model(found).argmax(dim=-1)[:, :-1]
    predicted = torch.from_numpy(~given[:, 1:])
    assert torch.equal(found[:, 1:][predicted], predictions[predicted])


@pytest.mark.parametrize(
    ("stage", "model", "calls"),
    [
        (None, Attention, {"forward"}),
        (Exact(), Attention, {"prefill", "step"}),
        (Parallel(passes=None), Attention, {"forward"}),
    ],
)
def test_a_model_that_looks_back_is_asked_in_parallel_unless_told_otherwise(
    stage: StageSpec | None, model: Callable[[], Attention], calls: set[str]
):
    asked = model()
    forced(asked, stage=stage, rate=0.0)
    assert {name for name, _ in asked.calls} == calls
    assert len(asked.calls) == 1 or stage is not None


def test_a_recurrent_model_is_asked_step_by_step_unless_told_otherwise():
    model = built(next(name for name in MODELS if name.startswith("lstm")))
    usual, exact, once = (
        forced(model, stage=stage, rate=0.0) for stage in (None, Exact(), Parallel())
    )
    assert torch.equal(usual, exact)
    assert not torch.equal(usual, once)


def forced(model: SequenceModel, *, stage: StageSpec | None, rate: float, **more: Any) -> Tensor:
    return choose_inputs(
        model,
        ground_truth(),
        forcing=Constant(stage=stage, **more),
        rate=rate,
        scored=np.ones((STRINGS, STEPS), dtype=bool),
        generator=np.random.default_rng(0),
    )


def test_equal_generators_draw_equal_tokens_and_a_sample_is_no_argmax():
    model = Attention()
    sampled, again = (
        forced(model, stage=None, rate=0.3, feedback=SampledFeedback()) for _ in range(2)
    )
    assert torch.equal(sampled, again)
    assert not torch.equal(sampled, forced(model, stage=None, rate=0.3))
    cold = forced(model, stage=None, rate=0.3, feedback=SampledFeedback(temperature=1e-6))
    assert torch.equal(cold, forced(model, stage=None, rate=0.3))


def test_uniform_numbers_draw_each_token_as_often_as_it_is_probable():
    logits = torch.tensor([2.0, -torch.inf, 0.5, 1.0, -torch.inf])
    numbers = (torch.arange(10_000) + 0.5) / 10_000
    for temperature in (0.5, 1.0, 3.0):
        tokens = choose(logits.expand(10_000, 5), temperature=temperature, uniforms=numbers)
        shares = tokens.bincount(minlength=5) / 10_000
        expected = (logits / temperature).softmax(dim=0)
        assert float((shares - expected).abs().max()) < 2e-4


@pytest.mark.parametrize("number", [0.0, float(np.nextafter(np.float32(1), np.float32(0)))])
def test_the_outermost_numbers_draw_a_possible_token(number: float):
    for row in itertools.product([-torch.inf, 0.0, 30.0], repeat=3):
        if max(row) > -torch.inf:
            logits = torch.tensor([row])
            token = int(choose(logits, temperature=1.0, uniforms=torch.tensor([number])))
            assert row[token] > -torch.inf
