"""What a sweep costs beside its trainings, against plain Optuna in as many processes.

One sweep of many small trainings is run as a command, and then the very same runs by processes that share an
Optuna study in a journal file and do nothing else: each takes the next trial, trains, tells. Repeated in
turns; it prints, as medians in seconds:

- `first`: from the command to the first measurement on disk;
- `sweep` and `optuna`: wall time of all, from the first start of a training to the last end of one, so that
  neither pays for its imports;
- `ratio`: sweep over optuna;
- `a trial`: what the sweep takes longer, divided by the number of trials and multiplied by the workers.

`--trivial N` measures one sweep of N trainings of a single step instead: the driver's memory and the cost of a
trial after every tenth of them.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import psutil

from seqtune.provenance import cpu_name

WORKERS = 2
REPETITIONS = 3
SWEEP = """
name: overhead
metric: valid/excess
base:
  task:       {{kind: cfg, grammar: cfg3b, height: {height}}}
  model:      {{kind: lstm, width: {width}}}
  training:   {{epochs: {epochs}, batches_per_epoch: {batches}, batch_size: 32}}
  evaluation: {{strings: 128, generate: 0, free: 0}}
tune:      {{optimizer.lr: {{log: [1.0e-3, 1.0e-2]}}}}
search:    {{trials: {trials}, sampler: random, pruner: none}}
confirm:   {{seeds: 0}}
resources: {{cpu: 1}}
"""
SMALL = SWEEP.format(height=3, width=64, epochs=4, batches=50, trials=24)
WORKER = """
import json, sys
from pathlib import Path
import optuna, torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from seqtune.runs.record import record
from seqtune.runs.spec import RunSpec
from seqtune.runs.directory import RunDirectory

torch.set_num_threads(1)
optuna.logging.set_verbosity(optuna.logging.ERROR)
root = Path(sys.argv[1])
specs = json.loads((root / "specs.json").read_text())
storage = JournalStorage(JournalFileBackend(str(root / "journal")))
study = optuna.create_study(study_name="plain", storage=storage, load_if_exists=True)

def objective(trial):
    trial.suggest_float("lr", 1e-3, 1e-2, log=True)
    spec = RunSpec.parse(specs[trial.number])
    *_, last = record(spec, directory=RunDirectory(root / "runs" / str(trial.number)), metric="valid/excess")
    return last.metrics["valid/excess"]

print("ready", flush=True)
sys.stdin.readline()
while len(study.get_trials(deepcopy=False)) < len(specs):
    study.optimize(objective, n_trials=1)
"""


def swept(root: Path, text: str) -> tuple[float, float]:
    """Seconds to the first measurement, and from the first training's start to the last one's end."""
    (root / "s.yaml").write_text(text)
    results = root / "results"
    started = time.time()
    command = [
        sys.executable,
        "-m",
        "seqtune",
        "sweep",
        str(root / "s.yaml"),
        "--out",
        str(results),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    first = None
    while process.poll() is None:
        if first is None and list((results / "runs").glob("*/measurements.csv")):
            first = time.time() - started
        time.sleep(0.02)
    if process.returncode != 0 or first is None:
        raise RuntimeError(process.communicate()[1])
    return first, spanned(results / "runs")


def spanned(runs: Path) -> float:
    """Seconds from the moment that the first run took its directory to the last end of a run."""
    begin = min(path.stat().st_mtime for path in runs.glob("*/.lock"))
    return max(path.stat().st_mtime for path in runs.glob("*/run.json")) - begin


def plain(root: Path, results: Path) -> float:
    """The same runs, by processes that share a study."""
    found = [json.loads(path.read_text()) for path in sorted((results / "runs").glob("*/run.json"))]
    (root / "specs.json").write_text(json.dumps([each["spec"] for each in found]))
    command = [sys.executable, "-c", WORKER, str(root)]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(WORKERS)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate()
        assert worker.returncode == 0
    return spanned(root / "runs")


def compare() -> None:
    """Sweep and plain Optuna in turns."""
    firsts, sweeps, plains = [], [], []
    for _ in range(REPETITIONS):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            first, sweep = swept(root, SMALL)
            firsts.append(first)
            sweeps.append(sweep)
            plains.append(plain(root, root / "results"))
    sweep, optuna = median(sweeps), median(plains)
    cost = (sweep - optuna) / 24 * WORKERS
    print(f"{'first':>8}{'sweep':>8}{'optuna':>8}{'ratio':>8}{'a trial':>9}")
    print(f"{median(firsts):>8.1f}{sweep:>8.1f}{optuna:>8.1f}{sweep / optuna:>8.2f}{cost:>9.3f}")


def trivial(trials: int) -> None:
    """Memory of the driver and cost of a trial while a long sweep of single steps goes on."""
    text = SWEEP.format(height=1, width=8, epochs=1, batches=1, trials=trials)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "s.yaml").write_text(text)
        log = root / "results" / "decisions.jsonl"
        command = [sys.executable, "-m", "seqtune", "sweep", str(root / "s.yaml")]
        process = subprocess.Popen(
            [*command, "--out", str(root / "results")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        driver = psutil.Process(process.pid)
        rows, before = [], (time.time(), 0)
        while process.poll() is None:
            time.sleep(0.2)
            ended = log.read_text().count('"ended"') if log.exists() else 0
            if ended - before[1] >= trials / 10:
                now = time.time()
                seconds = (now - before[0]) / (ended - before[1])
                rows.append((ended, seconds, driver.memory_info().rss / 2**20))
                before = (now, ended)
                print(f"{ended:>8}{seconds:>12.3f}{rows[-1][2]:>12.0f}", flush=True)
        assert process.returncode == 0
        csv.writer(sys.stdout).writerow(["trials", "seconds a trial", "MiB of the driver"])
        csv.writer(sys.stdout).writerows(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trivial", type=int, metavar="N")
    asked = parser.parse_args()
    print(f"{cpu_name()}, {WORKERS} workers")
    trivial(asked.trivial) if asked.trivial else compare()
