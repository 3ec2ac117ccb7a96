"""A sweep whose driver is killed again and again, against the same sweep left alone.

Each driver is ended by SIGKILL at a random moment, every other one after its start (Ray starts, runs are taken
up) and the rest after the first epoch that is measured under it, and the same command goes on. Nothing in the sweep depends on what is faster: it has no pruner, and
its proposals look at no results. It prints

- the seed that the moments come from (`--seed` takes it again), and each kill: its moment, the runs and the
  epochs that were there after it;
- the runs and the epochs that are missing or too many at the end, the epochs that were measured twice, and
  the runs whose scores differ from those of the sweep that was left alone (there must be none of any);
- the seconds of both sweeps.
"""

import argparse
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seqtune.runs.directory import run_directories
from seqtune.training.measurement import Measurement

SWEEP = """
name: kills
metric: valid/excess
base:
  task:       {kind: cfg, grammar: cfg3b, height: 1}
  model:      {kind: lstm, width: 8, embedding: 8}
  training:   {epochs: 6, batches_per_epoch: 400, batch_size: 16}
  evaluation: {strings: 64, generate: 16}
compare:
  model.layers: [1, 2]
tune:
  optimizer.lr: {log: [3.0e-3, 1.0e-1]}
search:  {trials: 6, sampler: random, pruner: none}
confirm: {seeds: 2}
"""
RUNS, EPOCHS = 2 * (6 + 2), 6
STARTING = (1.0, 14.0)
"""Seconds after its start between which every other driver is killed."""
MIDST = (0.0, 4.0)
"""Seconds after the first epoch under it between which the rest are."""
LOOK_SECONDS = 0.05
TIMED = ("data_wait", "tokens_per_second", "peak_memory_bytes")
"""Metrics that depend on the machine."""
Rows = Mapping[str, list[Measurement]]
"""What each run has measured, by its name."""


@dataclass(frozen=True)
class Sweep:
    """One sweep's file and results."""

    file: Path
    root: Path

    def start(self) -> subprocess.Popen[str]:
        """A driver of it."""
        words = ["sweep", str(self.file), "--out", str(self.root)]
        return subprocess.Popen(
            [sys.executable, "-m", "seqtune", *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self) -> None:
        """Goes on to the end."""
        driver = self.start()
        _, said = driver.communicate()
        if driver.returncode != 0:
            raise RuntimeError(said)

    def rows(self) -> Rows:
        """What is there now."""
        return {run.name: run.measurements() for run in run_directories(self.root / "runs")}

    def states(self) -> dict[str, str]:
        """How each run is, by its name."""
        return {run.name: run.info()["state"] for run in run_directories(self.root / "runs")}


def main(kills: int, *, seed: int) -> None:
    """Runs both sweeps and prints how they compare."""
    print(f"{kills} kills, seed {seed}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kills.yaml"
        file.write_text(SWEEP)
        alone, killed = (Sweep(file, Path(folder) / name) for name in ("alone", "killed"))
        began = time.monotonic()
        alone.finish()
        seconds = time.monotonic() - began
        began = time.monotonic()
        seen = kill(killed, kills=kills, moments=random.Random(seed))
        killed.finish()
        print(f"{time.monotonic() - began:.0f} s with the kills, {seconds:.0f} s without")
        compare(killed, alone=alone, seen=seen)


def kill(sweep: Sweep, *, kills: int, moments: random.Random) -> list[Rows]:
    """Begins and kills so many drivers, or as many as the sweep lasts; returns what each left."""
    left: list[Rows] = []
    for number in range(kills):
        driver = sweep.start()
        midst = number % 2 == 1
        seconds = moments.uniform(*(MIDST if midst else STARTING))
        if midst:
            before = epochs(left[-1])
            while driver.poll() is None and epochs(sweep.rows()) <= before:
                time.sleep(LOOK_SECONDS)
        try:
            _, said = driver.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            driver.kill()
            driver.communicate()
        else:
            if driver.returncode != 0:
                raise RuntimeError(said)
            print(f"the sweep had ended before kill {number + 1}")
            break
        left.append(sweep.rows())
        ended = sum(state != "running" for state in sweep.states().values())
        since = "its first epoch" if midst else "its start"
        print(
            f"{number + 1:>4}{seconds:>7.1f} s after {since:<16}{ended:>5} runs ended"
            f"{epochs(left[-1]):>5} epochs",
            flush=True,
        )
    return left


def epochs(rows: Rows) -> int:
    """Of all runs together."""
    return sum(map(len, rows.values()))


def compare(sweep: Sweep, *, alone: Sweep, seen: list[Rows]) -> None:
    """Prints what is not as in the sweep that was left alone, and how many epochs were measured twice."""
    found, expected = sweep.rows(), alone.rows()
    assert len(expected) == RUNS
    # Rows hold wall times: one that is the same was not measured again.
    again = {
        (run, row.epoch)
        for rows in seen
        for run, before in rows.items()
        for row in before
        if row not in found.get(run, [])
    }
    states = sweep.states()
    print(f"runs missing or too many: {len(found.keys() ^ expected.keys())} of {RUNS}")
    print(f"runs that did not finish: {sum(each != 'finished' for each in states.values())}")
    wrong = [
        run for run, rows in found.items() if [row.epoch for row in rows] != [*range(1, EPOCHS + 1)]
    ]
    print(f"runs with epochs missing or too many: {len(wrong)}")
    print(f"epochs measured twice: {len(again)} of {sum(map(len, found.values()))}")
    common = found.keys() & expected.keys()
    other = [run for run in common if scores(found[run]) != scores(expected[run])]
    print(f"runs with other scores: {len(other)}")


def scores(rows: list[Measurement]) -> list[dict[str, float]]:
    """What was measured, but for what depends on the machine."""
    return [{n: value for n, value in row.metrics.items() if n not in TIMED} for row in rows]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    asked = parser.parse_args()
    main(asked.kills, seed=asked.seed)
