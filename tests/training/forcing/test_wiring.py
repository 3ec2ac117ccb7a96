"""The loop against one written out plainly: what each draw depends on, and the order of things."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from seqtune import seeding
from seqtune.runs.build import build_model
from seqtune.runs.spec import RunSpec
from seqtune.tasks.build import build_task
from seqtune.training.evaluation import Evaluator
from seqtune.training.forcing.inputs import choose_inputs
from seqtune.training.loop import TrainConfig, TrainState, train
from seqtune.training.optim import build_optimizer
from tests.training.runs import tiny


def plain_training(spec: RunSpec) -> tuple[list[float], list[float], dict[str, torch.Tensor]]:
    """Mean loss and mean norm of the gradient of each epoch, and the last weights."""
    task = build_task(spec.task)
    model = build_model(spec, task=task, device=torch.device("cpu"))
    optimizer = build_optimizer(spec.optimizer, model=model)
    training, seed = spec.training, spec.seed
    half = training.precision == "bf16"
    losses, norms = [], []
    for epoch in range(training.epochs):
        strings = seeding.generator(seed, "data", epoch)
        generator = seeding.generator(seed, "forcing", epoch)
        torch.manual_seed(seeding.integer_seed(seed, "dropout", epoch))
        rates = spec.forcing.rates(epoch, epochs=training.epochs, steps=training.batches_per_epoch)
        nats = scored = norm = 0.0
        for rate in rates:
            batch = task.batch(task.draw(training.batch_size, generator=strings))
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
                inputs = choose_inputs(
                    model,
                    torch.from_numpy(batch.tokens),
                    forcing=spec.forcing,
                    rate=rate,
                    scored=batch.scored,
                    generator=generator,
                )
                logits = model(inputs)
            target = torch.from_numpy(np.where(batch.scored, batch.targets, -100))
            loss = torch.nn.functional.cross_entropy(
                logits.float().flatten(0, 1), target.flatten(), reduction="sum"
            )
            optimizer.zero_grad()
            (loss / batch.scored.sum()).backward()
            norm += float(
                torch.nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm or math.inf)
            )
            optimizer.step()
            nats, scored = nats + loss.item(), scored + float(batch.scored.sum())
        losses.append(nats / scored)
        norms.append(norm / len(rates))
    return losses, norms, model.state_dict()


RISING = {"kind": "reversed", "schedule": {"kind": "linear", "minimum": 0.2}, "update": "step"}

LIFE = {"kind": "life", "rows": 2, "columns": 2, "vocabulary": "compact", "rollout_steps": 0}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model__dropout": 0.3, "seed": 3},
        {"forcing": RISING},
        {"forcing": RISING | {"granularity": "step", "feedback": "sample"}, "model__dropout": 0.2},
        {
            "forcing": RISING | {"stage": "parallel", "feedback": "sample"},
            # Every CPU has a GRU in bf16; an LSTM needs AVX-512.
            "model__cell": "gru",
            "training__precision": "bf16",
            "training__batch_size": 256,
        },
        {"forcing": RISING, "task": LIFE},
        {
            "forcing": RISING | {"granularity": "sequence"},
            "model__cell": "gru",
            "training__precision": "bf16",
            "seed": 5,
        },
        {"training__clip_norm": 0.05},
    ],
)
def test_the_loop_does_what_the_plain_one_does(changes: dict[str, Any]):
    spec = tiny(**{"optimizer__schedule": "constant", **changes})
    task = build_task(spec.task)
    config = TrainConfig(spec.training, spec.optimizer, spec.forcing, spec.data, spec.seed)
    learner = TrainState(
        build_model(spec, task=task, device=torch.device("cpu")), task=task, config=config
    )
    found = list(train(learner, evaluator=Evaluator(spec.evaluation, task=task)))
    losses, norms, weights = plain_training(spec)
    assert [m.metrics["train/loss"] for m in found] == pytest.approx(losses, rel=1e-5)
    assert [m.metrics["grad_norm"] for m in found] == pytest.approx(norms, rel=1e-4)
    for name, weight in learner.model.state_dict().items():
        torch.testing.assert_close(weight, weights[name], rtol=1e-3, atol=1e-5)
