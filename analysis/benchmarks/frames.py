"""Reading many run directories into the report's frames: seconds, and the most memory held.

Makes a tree of `--runs` runs of 30 epochs in a temporary folder, then reads it `REPETITIONS` times, each in a process of
its own, imports not counted.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from seqtune.provenance import cpu_name
from seqtune.rundir import COLUMNS
from seqtune.training.measurement import METRICS

REPETITIONS = 3
EPOCHS, CELLS, CONFIRMED = 30, 50, 5
MEASURED = 18
"""Metrics with a value, as a language model on a grammar has them."""
READ = """
import resource, sys, time
from pathlib import Path
from seqtune.report import load
began = time.perf_counter()
results = load(Path(sys.argv[1]))
seconds = time.perf_counter() - began
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, len(results.curves))
"""


def make(root: Path, *, runs: int) -> None:
    """A sweep's folder, as large as one that ran."""
    each = runs // CELLS
    for number in range(runs):
        cell, trial = number % CELLS, number // CELLS
        directory = root / "runs" / f"layers={cell}-{trial:04d}-{number:010x}"
        directory.mkdir(parents=True)
        phase = "confirm" if trial >= each - CONFIRMED else "search"
        text = json.dumps(info(directory.name, cell=cell, trial=trial, phase=phase), indent=2)
        (directory / "run.json").write_text(text + "\n")
        (directory / "measurements.csv").write_text(",".join(COLUMNS) + "\n" + rows(cell))


def info(name: str, *, cell: int, trial: int, phase: str) -> dict[str, object]:
    """What run.json holds."""
    return {
        "run": name,
        "state": "finished",
        "reason": None,
        "created": "2026-11-22T00:00:00+00:00",
        "hash": "0" * 10,
        "spec": {
            "task": {"kind": "cfg", "grammar": "cfg3b", "height": 3},
            "model": {"kind": "lstm", "layers": cell, "width": 64, "dropout": 0.0},
            "training": {"epochs": EPOCHS, "batch_size": 32},
            "optimizer": {"kind": "adamw", "lr": 0.003},
            "seed": trial,
        },
        "sweep": {
            "name": "many",
            "question": "How long does it take to read?",
            "metric": "valid/excess",
            "arm": None,
            "cell": f"layers={cell}",
            "phase": phase,
            "trial": trial,
            "compared": {"model.layers": cell},
            "tuned": {"optimizer.lr": 0.003},
        },
        "parameters": 1000,
        "flops_per_token": 6000,
        "floor": {"loss": 0.5, "loss_string": 5.0, "accuracy": 0.8},
        "versions": {"seqtune": "0.1.0", "torch": "2.13.0"},
    }


def rows(cell: int) -> str:
    """A line an epoch."""
    lines = []
    for epoch in range(1, EPOCHS + 1):
        values = [str(1 / (epoch + cell + place)) for place in range(MEASURED)]
        index = [str(epoch), str(5 * epoch), str(100 * epoch), f"{10 * epoch:.3f}"]
        lines.append(",".join([*index, *values, *([""] * (len(METRICS) - MEASURED))]))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), runs=asked.runs)
        found = [
            subprocess.run(
                [sys.executable, "-c", READ, folder], capture_output=True, text=True, check=True
            ).stdout.split()
            for _ in range(REPETITIONS)
        ]
    seconds, memory = (median(float(each[column]) for each in found) for column in (0, 1))
    print(
        f"{asked.runs} runs, {found[0][2]} values: {seconds:.1f} s, {memory:.0f} MiB; {cpu_name()}"
    )
