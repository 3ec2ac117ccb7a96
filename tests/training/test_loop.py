import math
from pathlib import Path
from typing import Any

import pytest
import torch

from seqtune.config.errors import SpecError
from seqtune.config.yaml_file import read_yaml
from seqtune.runs.build import build_model, cpu_trains_lstm_in_bf16
from seqtune.runs.spec import RunSpec
from seqtune.tasks.base import Task
from seqtune.tasks.build import build_task
from seqtune.training.evaluation import Evaluator
from seqtune.training.loop import TrainConfig, TrainState, train
from seqtune.training.measurement import GENERATED, METRICS, DivergedError, Measurement, Progress
from tests.training.runs import TINY, tiny

ROOT = Path(__file__).parents[2]
EVERY_CFG_METRIC = set(METRICS) - (GENERATED - {"generate/valid", "generate/valid_cut"})


def learner_of(spec: RunSpec, *, task: Task) -> TrainState:
    config = TrainConfig(spec.training, spec.optimizer, spec.forcing, spec.data, spec.seed)
    model = build_model(spec, task=task, device=torch.device("cpu"))
    return TrainState(model, task=task, config=config)


def measurements(spec: RunSpec) -> list[Measurement]:
    task = build_task(spec.task)
    return list(train(learner_of(spec, task=task), evaluator=Evaluator(spec.evaluation, task=task)))


def test_training_yields_a_measurement_an_epoch_with_every_metric():
    found = measurements(tiny())
    assert [m.epoch for m in found] == [1, 2, 3]
    assert [m.step for m in found] == [6, 12, 18]
    assert all(set(m.metrics) == EVERY_CFG_METRIC for m in found)
    assert all(math.isfinite(value) for m in found for value in m.metrics.values())
    assert found[0].tokens < found[1].tokens < found[2].tokens
    assert found[0].seconds < found[1].seconds


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    def losses(spec: RunSpec) -> list[float]:
        return [m.metrics["valid/loss"] for m in measurements(spec)]

    assert losses(tiny(model__dropout=0.3)) == losses(tiny(model__dropout=0.3))
    assert losses(tiny()) != losses(tiny(seed=1))


def test_a_small_model_learns_a_small_language():
    spec = tiny(training__epochs=12, training__batches_per_epoch=25, model__width=16)
    last = measurements(spec)[-1].metrics
    assert last["valid/excess_string"] < 0.05
    assert last["generate/valid"] > 0.9
    assert last["valid/excess"] > -1e-6


def test_half_precision_is_refused_where_there_is_no_gpu():
    with pytest.raises(SpecError, match=r"training\.precision: fp16 needs a GPU; write fp32"):
        tiny(training__precision="fp16", training__device="cpu")


@pytest.mark.parametrize("optimizer", ["adam", "adamw", {"kind": "sgd", "lr": 0.5}])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear", "one_cycle"])
def test_every_optimizer_and_schedule_trains(optimizer: object, schedule: str):
    spec = tiny(optimizer=optimizer, optimizer__schedule=schedule)
    found = measurements(spec)
    assert found[-1].metrics["valid/loss"] < found[0].metrics["valid/loss"]


def test_forcing_is_logged_and_changes_what_is_learned():
    phased = {
        "kind": "phased",
        "phases": [{"epochs": 1, "rate": 1.0}, {"epochs": 2, "rate": [0.5, 0.0]}],
    }
    forced, mixed = measurements(tiny()), measurements(tiny(forcing=phased))
    assert [m.metrics["forcing"] for m in mixed] == [1.0, 0.5, 0.0]
    assert forced[0].metrics["valid/loss"] == mixed[0].metrics["valid/loss"]
    assert forced[2].metrics["valid/loss"] != mixed[2].metrics["valid/loss"]


def test_a_fixed_set_is_drawn_once_and_its_last_batch_may_be_smaller():
    spec = tiny(data={"kind": "fixed", "strings": 40}, training__batches_per_epoch=3)
    found = measurements(spec)
    tokens = [found[0].tokens, found[1].tokens - found[0].tokens, found[2].tokens - found[1].tokens]
    assert len(set(tokens)) == 1  # 16 + 16 + 8 strings: the whole set, every epoch


def test_a_loss_that_is_not_finite_ends_the_run():
    with pytest.raises(DivergedError, match=r"train/loss is (inf|nan)"):
        measurements(tiny(optimizer={"kind": "sgd", "lr": 1e38}, training__clip_norm=None))


def test_clipping_bounds_the_step():
    free, clipped = (
        measurements(
            tiny(optimizer={"kind": "sgd", "lr": 1.0, "momentum": 0.0}, training__clip_norm=norm)
        )
        for norm in (None, 1e-6)
    )
    assert clipped[0].metrics["valid/loss"] == pytest.approx(
        clipped[2].metrics["valid/loss"], abs=1e-3
    )
    assert free[2].metrics["valid/loss"] < free[0].metrics["valid/loss"] - 1e-2


@pytest.mark.parametrize("micro_batch", [1, 5, 16, 100])
def test_a_step_is_the_same_in_parts(micro_batch: int):
    whole = measurements(tiny())
    parts = measurements(tiny(training__micro_batch=micro_batch))
    for one, other in zip(whole, parts, strict=True):
        for name in ("train/loss", "train/accuracy", "grad_norm", "valid/loss"):
            assert one.metrics[name] == pytest.approx(other.metrics[name], rel=1e-4), name


SMALL_TRANSFORMER = {
    "kind": "transformer",
    "layers": 1,
    "width": 16,
    "heads": 2,
    "head_width": 8,
}


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(
            {"cell": "lstm"},
            marks=pytest.mark.skipif(
                not cpu_trains_lstm_in_bf16(), reason="refused here: this CPU has no AVX-512"
            ),
        ),
        {"cell": "gru"},
        {"cell": "rnn"},
        SMALL_TRANSFORMER,
    ],
    ids=lambda model: model.get("cell", "transformer"),
)
def test_bf16_learns_what_fp32_learns(model: dict[str, Any]):
    changes = {"model": model if "kind" in model else {**TINY["model"], **model}}
    changes |= {"training__epochs": 6, "training__batches_per_epoch": 25}
    single, half = (
        measurements(tiny(**changes, training__precision=precision))[-1].metrics
        for precision in ("fp32", "bf16")
    )
    assert half["valid/loss"] == pytest.approx(single["valid/loss"], rel=0.05)
    assert half["valid/loss"] != single["valid/loss"]


def test_the_heartbeat_tells_where_a_run_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("seqtune.training.epoch_metrics.HEARTBEAT_SECONDS", 0.0)
    spec = tiny()
    task = build_task(spec.task)
    beats: list[Progress] = []
    list(
        train(
            learner_of(spec, task=task),
            evaluator=Evaluator(spec.evaluation, task=task),
            heartbeat=beats.append,
        )
    )
    assert [beat.step for beat in beats] == list(range(1, 19))
    assert all(beat.steps == 18 and beat.loss > 0 and beat.tokens_per_second > 0 for beat in beats)


@pytest.mark.slow
def test_one_layer_of_64_learns_trees_of_height_3():
    """The shipped pilot: below a tenth of a nat a string above the floor, in seconds."""
    spec = RunSpec.parse(read_yaml(ROOT / "sweeps" / "train.yaml").data)
    last = measurements(spec)[-1]
    assert last.metrics["valid/excess_string"] < 0.1
    assert last.seconds < 120
