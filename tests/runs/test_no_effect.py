"""What has no effect is named, and what is named has no effect."""

from typing import Any

import pytest
import torch

from seqtune.runs.build import build_model
from seqtune.runs.no_effect import settings_without_effect
from seqtune.runs.spec import RunSpec
from seqtune.tasks.build import build_task
from seqtune.training.evaluation import Evaluator
from seqtune.training.loop import TrainConfig, TrainState, train
from tests.training.runs import tiny

TRANSFORMER = {"kind": "transformer", "layers": 2, "width": 16, "heads": 2, "head_width": 8}
ONE_LAYER = TRANSFORMER | {"layers": 1}
LIFE = {"kind": "life", "rows": 2, "columns": 2, "vocabulary": "compact", "rollout_steps": 0}


def final_loss(spec: RunSpec) -> float:
    task = build_task(spec.task)
    config = TrainConfig(spec.training, spec.optimizer, spec.forcing, spec.data, spec.seed)
    model = build_model(spec, task=task, device=torch.device("cpu"))
    learner = TrainState(model, task=task, config=config)
    *_, last = train(learner, evaluator=Evaluator(spec.evaluation, task=task))
    return last.metrics["valid/loss"]


@pytest.mark.parametrize(
    ("path", "value", "plain", "rest"),
    [
        ("model.residual", True, False, {}),
        ("training.micro_batch", 16, None, {}),
        ("forcing", {"kind": "constant", "granularity": "step"}, "constant", {}),
        ("forcing", {"kind": "linear", "minimum": 1.0, "feedback": "sample"}, "constant", {}),
        ("forcing", {"kind": "constant", "stage": "exact"}, "constant", {"model": TRANSFORMER}),
        ("model.masking", {"kind": "window", "length": 4}, "causal", {"model": TRANSFORMER}),
        ("model.masking", {"kind": "forgetful", "rate": 0.24}, "causal", {"model": TRANSFORMER}),
        ("model.masking", "prefix", "causal", {"model": ONE_LAYER, "task": LIFE}),
    ],
)
def test_a_setting_without_effect_is_named(path: str, value: Any, plain: Any, rest: dict[str, Any]):
    spec = tiny(**rest, **{path.replace(".", "__"): value})
    found = list(settings_without_effect(spec))
    assert [".".join(map(str, each.path)) for each in found] == [path]
    without = tiny(**rest, **{path.replace(".", "__"): plain})
    assert list(settings_without_effect(without)) == []
    assert final_loss(spec) == pytest.approx(final_loss(without), rel=1e-6)


@pytest.mark.parametrize(
    ("path", "value", "plain", "rest"),
    [
        ("model.residual", True, False, {"model__layers": 2}),
        ("training.micro_batch", 15, None, {"model__dropout": 0.1}),
        ("forcing.granularity", "step", "token", {"forcing__rate": 0.5}),
        ("model.masking", {"kind": "window", "length": 3}, "causal", {"model": TRANSFORMER}),
        ("model.masking", {"kind": "forgetful", "rate": 0.25}, "causal", {"model": TRANSFORMER}),
        ("model.masking", "prefix", "causal", {"model": TRANSFORMER, "task": LIFE}),
    ],
)
def test_a_setting_with_an_effect_is_not_named(
    path: str, value: Any, plain: Any, rest: dict[str, Any]
):
    spec = tiny(**rest, **{path.replace(".", "__"): value})
    assert list(settings_without_effect(spec)) == []
    assert final_loss(spec) != final_loss(tiny(**rest, **{path.replace(".", "__"): plain}))


@pytest.mark.parametrize(
    "task",
    [
        {"kind": "cfg", "grammar": "cfg3b", "height": 2},
        {"kind": "cfg", "grammar": "cfg3b", "height": 2, "format": "padded"},
        {"kind": "cfg", "grammar": "cfg3b", "height": 2, "format": "packed"},
        {"kind": "cfg", "grammar": "cfg3b", "height": 2, "format": "packed", "length": 3},
        {"kind": "cfg", "grammar": "dyck"},
        LIFE,
        {"kind": "text", "length": 17},
    ],
)
def test_the_longest_string_is_known_before_anything_is_built(task: dict[str, Any]):
    spec = tiny(task=task).task
    assert spec.longest == build_task(spec).max_length
