"""Run directories made by hand, so that the right answer is known."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqtune.config.nested import assign
from seqtune.runs.directory import RunDirectory, State
from seqtune.sweep.planning.cell import text_of
from seqtune.tasks.generative_evaluation import GenerationResult, Sample
from seqtune.tasks.score import Score
from seqtune.training.measurement import Measurement

SPEC: dict[str, Any] = {
    "task": {"kind": "cfg", "height": 2},
    "model": {"kind": "lstm", "layers": 1, "dropout": 0.0},
    "training": {"epochs": 2, "clip_norm": 1.0},
    "optimizer": {"kind": "adamw", "lr": 0.003},
    "seed": 0,
}
FACTS: dict[str, Any] = {
    "parameters": 1000,
    "flops_per_token": 6000,
    "floor": {"loss": 0.5, "loss_string": 5.0, "accuracy": 0.8},
    "device": "a processor",
    "versions": {"seqtune": "0.1.0", "torch": "2.9.0"},
    "git_commit": "0123abc",
}


def make_run(
    root: Path,
    name: str,
    *,
    excess: Sequence[float] = (),
    compared: Mapping[str, Any] | None = None,
    tuned: Mapping[str, Any] | None = None,
    phase: str = "confirm",
    state: State = "finished",
    seed: int = 0,
    info: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    generated: GenerationResult | None = None,
    **place: Any,
) -> RunDirectory:
    """A run of a sweep with `excess` after each epoch, 100 tokens and 10 seconds long.

    Args:
        root: the sweep's directory.
        name: of the run.
        excess: valid/excess after each epoch; valid/loss is 0.5 more, valid/accuracy 0.8 less it.
        compared: by path; they make the cell's label. None for a run outside any sweep.
        tuned: by path.
        phase: search or confirm.
        state: how it ended.
        seed: of the run.
        info: more for run.json.
        metrics: more that is measured, the same after every epoch.
        generated: what the run generated after its last epoch.
        place: more for the run's place in the sweep.
    """
    settings = {**(compared or {}), **(tuned or {}), "seed": seed}
    sweep = None
    if compared is not None:
        label = ", ".join(
            f"{path.rpartition('.')[2]}={text_of(value)}" for path, value in compared.items()
        )
        sweep = {
            "name": "made",
            "question": "How deep?",
            "metric": "valid/excess",
            "arm": None,
            "cell": label,
            "phase": phase,
            "trial": 0,
            "compared": dict(compared),
            "tuned": dict(tuned or {}),
            **place,
        }
    directory = RunDirectory(root / "runs" / name)
    directory.create(
        {
            "hash": "0" * 10,
            "spec": assign(SPEC, settings),
            "sweep": sweep,
            **FACTS,
            **(info or {}),
        }
    )
    for epoch, value in enumerate(excess, start=1):
        measured = {"valid/loss": 0.5 + value, "valid/accuracy": 0.8 - value, "valid/excess": value}
        directory.append(
            Measurement(
                epoch=epoch,
                step=5 * epoch,
                tokens=100 * epoch,
                seconds=10.0 * epoch,
                metrics=measured | dict(metrics or {}),
            )
        )
    if generated is not None:
        directory.write_generated(len(excess), found=generated.to_data())
    if state != "running":
        directory.end(state, reason=None if state == "finished" else f"why it {state}")
    return directory


def make_cell(
    root: Path, *, compared: Mapping[str, Any], values: Sequence[float], **place: Any
) -> None:
    """A cell of two search trials, the second the better one, and a confirm run for each value."""
    name = "-".join(str(value) for value in (place.get("arm", ""), *compared.values()))
    for trial, (lr, excess) in enumerate(((0.01, 0.4), (0.02, 0.2))):
        make_run(
            root,
            f"{name}-search-{trial}",
            excess=(1.0, excess),
            compared=compared,
            tuned={"optimizer.lr": lr},
            phase="search",
            trial=trial,
            **place,
        )
    for trial, value in enumerate(values):
        make_run(
            root,
            f"{name}-confirm-{trial}",
            excess=(1.0, value),
            compared=compared,
            tuned={"optimizer.lr": 0.02},
            trial=trial,
            seed=1000 + trial,
            **place,
        )


def boards(
    *, size: int, wrong: int, titles: Sequence[str] = ("drawn", "glider", "block"), seed: int = 0
) -> GenerationResult:
    """An exam on boards of `size` x `size`, of whose predictions each has `wrong` cells wrong.

    Args:
        size: of the boards.
        wrong: the first so many cells are; they count as exact if it is 0.
        titles: of the test sets, one board each.
        seed: other boards are drawn from another.
    """
    drawn = np.random.default_rng(seed).integers(2, size=(len(titles), 2, size, size))
    cells = 1 - wrong / size**2
    row = {"boards": 1, "valid": 1.0, "cells": cells, "exact": float(wrong == 0)}
    steps = range(1, 6)
    return GenerationResult(
        scores={
            "generate/cells": Score(cells, len(titles), standard_error=0.0),
            "generate/exact": Score(float(wrong == 0), len(titles), standard_error=0.0),
        },
        tables={
            "scores by test set": tuple({"test set": title} | row for title in titles),
            "roll-outs by step": tuple(
                {"step": step, "cells": cells**step, "exact": float(wrong == 0)} for step in steps
            ),
            "roll-outs by board": tuple(
                {"board": title, "first wrong step": 1, "wrong cells": wrong} for title in titles
            ),
        },
        samples=tuple(
            _board(title, prompt=prompt, truth=truth, wrong=wrong)
            for title, (prompt, truth) in zip(titles, drawn.astype(np.int8), strict=True)
        ),
    )


def _board(title: str, *, prompt: np.ndarray, truth: np.ndarray, wrong: int) -> Sample:
    prediction = truth.copy()
    prediction.flat[:wrong] = 3 - truth.flat[:wrong]
    panels = {"prompt": prompt, "truth": truth, "prediction": prediction}
    return Sample(title, text="<0> [1]", right=wrong == 0, panels=panels)


def texts(written: Iterable[str], *, right: bool | None = None) -> GenerationResult:
    """An exam whose samples are texts, numbered from 1."""
    samples = [Sample(str(number), text, right) for number, text in enumerate(written, start=1)]
    return GenerationResult(scores={}, tables={}, samples=tuple(samples))
