"""Many run directories into the report's frames, and into the whole report: seconds, and the most memory held.

Makes a sweep's folder of `--runs` runs of 30 epochs in a temporary folder: 50 cells, five confirm runs each, the
rest trials of which most were stopped and a few failed or diverged. Then it reads it `REPETITIONS` times, each in
a process of its own, imports not counted, and writes its report once; with `--sections` it also says what each
section and each part of the writing takes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

from seqtune.provenance import cpu_name
from seqtune.runs.decision_log import DECISIONS
from seqtune.runs.directory import COLUMNS
from seqtune.training.measurement import METRICS

REPETITIONS = 3
EPOCHS, HEIGHTS, LAYERS, CONFIRMED = 30, 5, 10, 5
CELLS = HEIGHTS * LAYERS
OF_BOARDS = ("generate/cells", "generate/exact")
MEASURED = [name for name in METRICS if name not in OF_BOARDS and not name.startswith("rollout/")]
"""Metrics with a value, as a language model on a grammar has them."""
ENDS = (
    *(("stopped", None),) * 12,
    *(("finished", None),) * 7,
    ("failed", "oom: CUDA out of memory"),
    ("diverged", "valid/loss is not finite"),
)
"""What becomes of trials, in turn."""
WINNER = 12
"""The trial that scores best, and whose values are confirmed."""

READ = """
import resource, sys, time
from pathlib import Path
from seqtune.report import load
began = time.perf_counter()
results = load(Path(sys.argv[1]))
seconds = time.perf_counter() - began
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, len(results.curves))
"""
BUILD = """
import resource, sys, time
from pathlib import Path
from seqtune.report import build
began = time.perf_counter()
page = build(Path(sys.argv[1])).with_suffix(".html")
seconds = time.perf_counter() - began
from seqtune.report.figures.theme import runtime
size = (page.stat().st_size - len(runtime().encode())) / 2**20
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, size)
"""
SECTIONS = """
import sys, time
from pathlib import Path
from seqtune import report
began = time.perf_counter()
results = report.load(Path(sys.argv[1]))
print(f"load {time.perf_counter() - began:.2f} s")
for section in report.SECTIONS:
    began = time.perf_counter()
    section(results)
    print(f"{section.__module__} {time.perf_counter() - began:.2f} s")
"""


def make(root: Path, *, runs: int) -> None:
    """A sweep's folder, as large as one that ran."""
    events: list[dict[str, object]] = []
    each = runs // CELLS
    for number in range(each * CELLS):
        about = info(number, each=each)
        directory = root / "runs" / str(about["run"])
        directory.mkdir(parents=True)
        (directory / "run.json").write_text(json.dumps(about, indent=2) + "\n")
        values = measured(number, stalls=about["state"] == "diverged")
        (directory / "measurements.csv").write_text("\n".join(values) + "\n")
        events += told(about)
    (root / DECISIONS).write_text("".join(json.dumps(event) + "\n" for event in events))


def info(number: int, *, each: int) -> dict[str, object]:
    """What run.json holds of a run."""
    cell, trial = number % CELLS, number // CELLS
    compared = {"task.height": 2 + cell % HEIGHTS, "model.layers": 1 + cell // HEIGHTS}
    label = ", ".join(f"{path.split('.')[1]}={value}" for path, value in compared.items())
    confirms = trial >= each - CONFIRMED
    rng = np.random.default_rng((cell, WINNER if confirms else trial))
    tuned = {
        "optimizer.lr": float(10 ** rng.uniform(-4, -1)),
        "model.dropout": float(rng.uniform(0, 0.4)),
    }
    state, reason = ("finished", None) if confirms else ENDS[trial % len(ENDS)]
    return {
        "run": f"{label.replace(', ', '-')}-{trial:04d}-{number:010x}",
        "state": state,
        "reason": reason,
        "created": "2026-11-22T00:00:00+00:00",
        "hash": f"{number:010x}",
        "spec": {
            "task": {"kind": "cfg", "grammar": "cfg3b", "height": compared["task.height"]},
            "model": {
                "kind": "lstm",
                "layers": compared["model.layers"],
                "width": 64,
                "dropout": tuned["model.dropout"],
            },
            "training": {"epochs": EPOCHS, "batch_size": 32},
            "optimizer": {"kind": "adamw", "lr": tuned["optimizer.lr"]},
            "evaluation": {"strings": 1000},
            "seed": trial,
        },
        "sweep": {
            "name": "many",
            "question": "How long does it take to read?",
            "metric": "valid/excess",
            "arm": None,
            "cell": label,
            "phase": "confirm" if confirms else "search",
            "trial": trial - (each - CONFIRMED) if confirms else trial,
            "compared": compared,
            "tuned": tuned,
        },
        "parameters": 1000 * compared["model.layers"],
        "flops_per_token": 6000 * compared["model.layers"],
        "floor": {"loss": 0.5, "loss_string": 5.0, "accuracy": 0.8},
        "versions": {"seqtune": "0.1.0", "torch": "2.13.0"},
    }


def measured(number: int, *, stalls: bool) -> Iterator[str]:
    """The lines of measurements.csv; with `stalls` what was measured last is no number."""
    rng = np.random.default_rng((number, 1))
    places = [COLUMNS.index(name) for name in MEASURED]
    chance = 0.5 if number // CELLS == WINNER else float(rng.uniform(0.8, 1.2))
    good = (1 + number % CELLS / CELLS) * chance
    yield ",".join(COLUMNS)
    for epoch in range(1, EPOCHS + 1):
        fields = [str(epoch), str(5 * epoch), str(100 * epoch), f"{10 * epoch:.3f}"]
        fields += [""] * (len(COLUMNS) - len(fields))
        for place, noise in zip(places, rng.uniform(0.9, 1.1, size=len(places)), strict=True):
            fields[place] = repr(float(noise * good / (epoch + 1)))
        fields[COLUMNS.index("forcing")] = repr(max(0.0, 1 - epoch / EPOCHS))
        if stalls and epoch == EPOCHS:
            fields[COLUMNS.index("valid/loss")] = "nan"
        yield ",".join(fields)


def told(about: dict[str, object]) -> Iterator[dict[str, object]]:
    """What decisions.jsonl says of a run."""
    sweep, spec = about["sweep"], about["spec"]
    assert isinstance(sweep, dict)
    assert isinstance(spec, dict)
    run = {"run": about["run"], "cell": sweep["cell"], "phase": sweep["phase"]}
    time = {"time": about["created"]}
    drawn = {"trial": sweep["trial"], "tuned": sweep["tuned"], "seed": spec["seed"]}
    yield {**time, "event": "proposed", **run, **drawn, "reason": "drawn at random"}
    end = {"state": about["state"], "reason": about["reason"], "value": 0.1}
    yield {**time, "event": "ended", **run, **end}


def process(script: str, *, root: Path) -> str:
    """What a script prints of the tree, run in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", script, str(root)], stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def main() -> None:
    """Makes the tree, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--sections", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make(root, runs=asked.runs)
        found = [process(READ, root=root).split() for _ in range(REPETITIONS)]
        seconds, memory = (median(float(each[column]) for each in found) for column in (0, 1))
        print(f"{asked.runs} runs, {found[0][2]} values; {cpu_name()}")
        print(f"read:   {seconds:.1f} s, {memory:.0f} MiB, median of {REPETITIONS}")
        if asked.sections:
            print(process(SECTIONS, root=root), end="")
        seconds, memory, page = map(float, process(BUILD, root=root).split())
        print(f"report: {seconds:.1f} s, {memory:.0f} MiB; page {page:.1f} MiB beside Vega")


if __name__ == "__main__":
    main()
