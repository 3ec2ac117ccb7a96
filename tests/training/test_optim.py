import copy
import math
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from seqtune.training.optim import (
    SGD,
    Adam,
    AdamW,
    ConstantRate,
    CosineRate,
    LinearRate,
    OneCycleRate,
    ScheduleSpec,
    build_optimizer,
    uncompiled,
)


def rates(schedule: ScheduleSpec, *, steps: int = 100, per_epoch: int = 10) -> list[float]:
    return [
        schedule.rate(peak=1.0, step=step, steps=steps, steps_per_epoch=per_epoch)
        for step in range(steps)
    ]


def test_constant_stays():
    assert set(rates(ConstantRate())) == {1.0}


def test_cosine_by_epoch_is_the_published_schedule():
    values = rates(CosineRate(minimum=0.1, update="epoch"))
    for step, value in enumerate(values):
        epoch = step // 10
        assert value == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi * epoch / 10)) / 2)


def test_linear_goes_straight_down():
    values = rates(LinearRate(minimum=0.5))
    assert values[0] == 1.0
    assert values[50] == pytest.approx(0.75)
    assert values[99] == pytest.approx(0.505)


def test_warm_up_rises_to_where_the_schedule_starts():
    values = rates(CosineRate(warmup_epochs=2))
    assert values[:20] == sorted(values[:20])
    assert values[0] == pytest.approx(1 / 21)
    assert max(values) == values[20] == 1.0


def test_warm_up_meets_a_one_cycle_where_that_begins():
    values = rates(OneCycleRate(warmup_epochs=2))
    assert max(values[:20]) <= values[20] == pytest.approx(1 / 25)


def test_one_cycle_agrees_with_torchs():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    # torch reaches its last rate at step total - 1, ours would at step total.
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=1001)
    ours = rates(OneCycleRate(), steps=1000, per_epoch=100)
    for value in ours:
        assert value == pytest.approx(theirs.get_last_lr()[0], abs=0.004)
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize(
    ("spec", "plain"),
    [
        (Adam(lr=0.1, weight_decay=0.1), partial(torch.optim.Adam, lr=0.1, weight_decay=0.1)),
        (AdamW(lr=0.1, weight_decay=0.1), partial(torch.optim.AdamW, lr=0.1, weight_decay=0.1)),
        (
            SGD(lr=0.1, weight_decay=0.1),
            partial(torch.optim.SGD, lr=0.1, weight_decay=0.1, momentum=0.9),
        ),
    ],
)
def test_one_kernel_for_all_does_what_the_formula_says(
    spec: Adam | AdamW | SGD, plain: Callable[..., torch.optim.Optimizer]
):
    torch.manual_seed(0)
    ours = torch.nn.Linear(3, 2).double()
    theirs = copy.deepcopy(ours)
    optimizers = (
        build_optimizer(spec, model=ours),
        plain(theirs.parameters(), fused=False, foreach=False),
    )
    for _ in range(5):
        read = torch.randn(4, 3, dtype=torch.float64)
        for model, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            model(read).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD"])
def test_without_torchs_compiler_an_optimizer_goes_on_as_torchs_own_does(name: str):
    """Its state is torch's too: each goes on from what the other has saved."""
    torch.manual_seed(0)
    models = [torch.nn.Linear(3, 2)]
    models.append(copy.deepcopy(models[0]))
    kinds: list[Any] = [uncompiled(name), getattr(torch.optim, name)]
    optimizers = [
        each(model.parameters(), lr=0.1) for each, model in zip(kinds, models, strict=True)
    ]
    for _ in range(3):
        for _ in range(5):
            read = torch.randn(4, 3)
            for model, optimizer in zip(models, optimizers, strict=True):
                optimizer.zero_grad()
                model(read).square().sum().backward()
                optimizer.step()
        torch.testing.assert_close(models[0].weight, models[1].weight, rtol=0, atol=0)
        states = [optimizer.state_dict() for optimizer in optimizers]
        for optimizer, state in zip(optimizers, reversed(states), strict=True):
            optimizer.load_state_dict(copy.deepcopy(state))


def test_training_a_recurrent_network_imports_no_compiler(tmp_path: Path):
    file = tmp_path / "run.yaml"
    file.write_text(
        "task: {kind: cfg, grammar: cfg3b, height: 1}\nmodel: {kind: lstm, width: 8}\n"
        "training: {epochs: 1, batches_per_epoch: 2}\nevaluation: {strings: 16}\n"
    )
    words = ["-m", "seqtune", "train", str(file), "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words], capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "torch.optim" in imported
    assert "torch._dynamo" not in imported


@pytest.mark.parametrize("spec", [Adam(lr=0.1), AdamW(lr=0.1), SGD(lr=0.1)])
def test_every_optimizer_finds_the_bottom_of_a_bowl(spec: Adam | AdamW | SGD):
    bowl = torch.nn.Linear(1, 1, bias=False)
    optimizer = build_optimizer(spec, model=bowl)
    for _ in range(300):
        optimizer.zero_grad()
        (bowl.weight - 3).square().sum().backward()
        optimizer.step()
    assert bowl.weight.item() == pytest.approx(3, abs=0.05)
