"""`seqtune` through `ray job submit`: real Ray, with its job server on loopback."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seqtune.runs.directory import run_directories
from tests.sweep.execution.test_cluster import check_all_ended, started
from tests.sweep.loopback import ROOT
from tests.sweep.servers import free_port
from tests.sweep.sweeps import SMALL, write
from tests.waiting import HANG_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


def test_a_sweep_that_is_submitted_as_a_job_runs_in_the_cluster(tmp_path: Path):
    """With its file in the job's working directory; what it says comes back, and its exit status."""
    folder, root, port = tmp_path / "job", tmp_path / "results", free_port()
    folder.mkdir()
    write(folder / "s.yaml", SMALL.replace("[1, 2]", "[1]"))
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    words = ["--address", f"http://127.0.0.1:{port}", "--working-dir", str(folder)]
    words += ["--runtime-env-json", json.dumps({"env_vars": {"PYTHONPATH": str(ROOT)}})]
    sweep = [sys.executable, "-m", "seqtune", "sweep", "s.yaml", "--out", str(root)]

    def submitted(*more: str) -> subprocess.CompletedProcess[str]:
        ray = Path(sys.executable).with_name("ray")
        command = [ray, "job", "submit", *words, "--", *sweep, *more]
        deadline = time.monotonic() + HANG_SECONDS
        while True:
            done = subprocess.run(
                command,
                env=environment,
                capture_output=True,
                text=True,
                timeout=HANG_SECONDS,
                check=False,
            )
            # The head's agent, which takes jobs, may come up later than the port that they are sent to.
            if "No available agent" not in done.stdout + done.stderr or time.monotonic() > deadline:
                return done
            time.sleep(1)

    with started(f"127.0.0.9:{free_port()}", environment=environment, dashboard=port):
        done = submitted()
        wrong = submitted("--set", "metric=x")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6/6" in done.stdout
    check_all_ended(root, runs=6)
    assert {run.info()["node"] for run in run_directories(root / "runs")} == {"127.0.0.9"}
    assert (root / "report" / "report.md").exists()
    assert wrong.returncode == 1
    assert "no run has the metric x" in wrong.stdout
