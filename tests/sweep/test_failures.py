"""What goes wrong in a run is data: whole sweeps whose runs fail, on real Ray workers."""

import signal
from pathlib import Path

import pandas as pd
import pytest

from seqtune.runs.directory import run_directories
from tests.sweep.commands import command, ended, wait_for
from tests.sweep.sweeps import SMALL, write
from tests.waiting import HANG_SECONDS

BLOWN_UP = (
    SMALL.replace("batch_size: 16", "batch_size: 16, clip_norm: null")
    .replace("evaluation:", "optimizer: {kind: sgd}\n  evaluation:")
    .replace("{log: [3.0e-3, 1.0e-1]}", "{choice: [1.0e+37, 0.1]}")
    .replace("trials: 4, ", "sampler: grid, ")
)
"""Half of its search trials diverge."""


@pytest.mark.slow
def test_the_first_failure_ends_the_sweep_if_asked_and_another_command_goes_on(
    ray_address: str, tmp_path: Path
):
    file, root = write(tmp_path / "s.yaml", BLOWN_UP), tmp_path / "results"
    process = command("sweep", file, "--out", root, "--fail-fast", address=ray_address)
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 1
    assert "stopped at the first run that failed (--fail-fast)" in err
    assert f"interrupted; to resume: seqtune sweep {file} --out {root}" in err
    assert "Traceback" not in err
    assert "diverged" in [run.info()["state"] for run in ended(root).values()]
    assert len(ended(root)) < 4
    process = command("sweep", file, "--out", root, address=ray_address)
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 1
    assert "2 of 8 runs failed; the report lists them, and --retry repeats them" in err
    assert len(ended(root)) == 8


@pytest.mark.slow
def test_runs_that_take_too_long_are_done_again_with_more_time(ray_address: str, tmp_path: Path):
    limited = SMALL.replace("[1, 2]", "[1]") + "limits: {seconds: 0.001}\n"
    file, root = write(tmp_path / "s.yaml", limited), tmp_path / "results"
    process = command("sweep", file, "--out", root, address=ray_address)
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 1
    reason = "its first 3 runs all failed in the same way (timeout)"
    assert f"layers=1: no more runs are started: {reason}" in err
    assert f"layers=1: {reason}, so there is nothing to confirm" in err
    write(file, limited.replace("0.001", "100"))
    process = command("sweep", file, "--out", root, "--retry", "timeout", address=ray_address)
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, err
    trials = pd.read_csv(root / "report" / "trials.csv")
    assert set(trials["state"]) <= {"finished", "stopped"}
    assert len(trials) == 6


@pytest.mark.slow
def test_a_killed_driver_of_a_search_by_promotion_repeats_no_epoch(
    ray_address: str, tmp_path: Path
):
    text = SMALL.replace("kind: asha, grace_period", "kind: asha, type: promotion, grace_period")
    file, root = write(tmp_path / "s.yaml", text), tmp_path / "results"
    process = command("sweep", file, "--out", root, address=ray_address)
    wait_for(root, runs=3, process=process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    process = command("sweep", file, "--out", root, address=ray_address)
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, err
    assert len(ended(root)) == len(run_directories(root / "runs")) == 12
    for run in ended(root).values():
        epochs = [each.epoch for each in run.measurements()]
        assert epochs == list(range(1, len(epochs) + 1))
        assert run.info()["state"] == ("finished" if len(epochs) == 4 else "stopped")
