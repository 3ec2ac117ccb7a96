"""Whole trainings under forcing: what is logged, and that resuming changes nothing."""

from typing import Any

import pytest
import torch

from seqtune.runs.build import build_model
from seqtune.runs.spec import RunSpec
from seqtune.tasks.build import build_task
from seqtune.training.evaluation import Evaluator
from seqtune.training.loop import TrainConfig, TrainState, train
from seqtune.training.measurement import Measurement
from tests.training.runs import tiny


def learner_of(spec: RunSpec) -> TrainState:
    task = build_task(spec.task)
    config = TrainConfig(spec.training, spec.optimizer, spec.forcing, spec.data, spec.seed)
    model = build_model(spec, task=task, device=torch.device("cpu"))
    return TrainState(model, task=task, config=config)


def measured(spec: RunSpec, *, learner: TrainState | None = None) -> list[Measurement]:
    learner = learner_of(spec) if learner is None else learner
    return list(train(learner, evaluator=Evaluator(spec.evaluation, task=learner.task)))


def losses(found: list[Measurement]) -> list[float]:
    return [m.metrics[name] for m in found for name in ("train/loss", "valid/loss")]


def test_by_step_the_mean_of_the_epoch_is_logged():
    forcing = {"kind": "linear", "minimum": 0.1}
    by_epoch = measured(tiny(forcing=forcing))
    by_step = measured(tiny(forcing=forcing | {"update": "step"}))
    assert [m.metrics["forcing"] for m in by_epoch] == [1.0, 0.55, 0.1]
    # 18 steps, equally far apart: the mean of an epoch's six lies between its third and its fourth.
    means = [1 - 0.9 * (6 * epoch + 2.5) / 17 for epoch in range(3)]
    assert [m.metrics["forcing"] for m in by_step] == pytest.approx(means)
    assert losses(by_step) != losses(by_epoch)


VARIANTS: list[dict[str, Any]] = [
    {"kind": "linear", "granularity": "token", "update": "step"},
    {"kind": "reversed", "schedule": "cosine", "granularity": "step", "feedback": "sample"},
    {"kind": "constant", "rate": 0.5, "granularity": "sequence", "stage": "parallel"},
    {"kind": "inverse_sigmoid", "feedback": "sample", "stage": {"passes": None}},
]


@pytest.mark.parametrize("forcing", VARIANTS, ids=lambda forcing: forcing["kind"])
def test_a_training_that_goes_on_draws_what_one_never_interrupted_draws(forcing: dict[str, Any]):
    spec = tiny(forcing=forcing, model__dropout=0.2)
    learner = learner_of(spec)
    states = []
    whole: list[Measurement] = []
    for measurement in train(learner, evaluator=Evaluator(spec.evaluation, task=learner.task)):
        whole.append(measurement)
        states.append(
            {name: value for name, value in learner.state_dict().items() if name != "model"}
        )
        states[-1]["model"] = {k: v.clone() for k, v in learner.model.state_dict().items()}
        if len(whole) == 1:
            break
    other = learner_of(spec)
    other.load_state_dict(states[0])
    rest = measured(spec, learner=other)
    assert losses([*whole, *rest]) == losses(measured(spec))


def test_each_choice_trains_on_other_inputs():
    settings: list[dict[str, Any]] = [
        {},
        {"granularity": "step"},
        {"granularity": "sequence"},
        {"feedback": "sample"},
        {"stage": "parallel"},
    ]
    found = [
        losses(measured(tiny(forcing={"rate": 0.5} | setting, task__height=2)))
        for setting in settings
    ]
    assert len({tuple(each) for each in found}) == len(settings)


def test_to_read_its_own_tokens_makes_the_task_harder():
    """Teacher forced a small model comes near the floor; fed its own tokens it must guess."""
    settings = {"training__epochs": 6, "training__batches_per_epoch": 25, "model__width": 16}
    forced = measured(tiny(**settings))[-1].metrics
    free = measured(tiny(**settings, forcing={"rate": 0.0}))[-1].metrics
    assert free["train/loss"] > 1.5 * forced["train/loss"]
    assert forced["valid/excess"] < free["valid/excess"]


@pytest.mark.parametrize("stage", ["exact", "parallel"])
def test_reduced_precision_trains_too(stage: str):
    forcing = {"rate": 0.8, "stage": stage}
    found = measured(tiny(forcing=forcing, model__cell="gru", training__precision="bf16"))
    assert found[-1].metrics["valid/loss"] < found[0].metrics["valid/loss"]
