"""Commands in processes of their own, and what becomes of the runs of their sweeps."""

import os
import subprocess
import sys
from pathlib import Path

from seqtune.runs.directory import RunDirectory, run_directories
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


def command(*words: str | Path, address: str | None) -> subprocess.Popen[str]:
    """`seqtune` in a process of its own, on the tests' cluster, or with None on one of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if address is not None:
        environment["RAY_ADDRESS"] = address
    return subprocess.Popen(
        [sys.executable, "-m", "seqtune", *map(str, words)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(root: Path) -> dict[str, RunDirectory]:
    return {
        run.name: run for run in run_directories(root / "runs") if run.info()["state"] != "running"
    }


def wait_for(root: Path, *, runs: int, process: subprocess.Popen[str]) -> None:
    wait_until(lambda: len(ended(root)) >= runs, process=process)
