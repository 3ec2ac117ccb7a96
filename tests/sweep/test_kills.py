"""A driver that is killed at random moments: nothing is lost, nothing is done twice, nothing is different."""

import random
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from seqtune.runs.directory import RunDirectory
from tests.sweep.commands import command, ended
from tests.sweep.sweeps import UNDISTURBED, write
from tests.waiting import HANG_SECONDS

KILLS = 5


def scores(run: RunDirectory) -> list[dict[str, float]]:
    """What a run measured, but for what depends on the machine."""
    timed = ("data_wait", "tokens_per_second", "peak_memory_bytes")
    return [
        {name: value for name, value in each.metrics.items() if name not in timed}
        for each in run.measurements()
    ]


def check_same(found: Mapping[str, RunDirectory], expected: Mapping[str, RunDirectory]) -> None:
    """Holds the runs of a sweep that was disturbed against those of one that was not."""
    assert sorted(found) == sorted(expected)
    for name, run in found.items():
        assert run.info()["state"] == "finished"
        assert [each.epoch for each in run.measurements()] == [1, 2, 3, 4]
        assert scores(run) == scores(expected[name])


@pytest.mark.slow
def test_a_driver_killed_at_random_moments_ends_with_the_runs_of_one_left_alone(
    ray_address: str, tmp_path: Path, alone: Path
):
    file, killed = write(tmp_path / "s.yaml", UNDISTURBED), tmp_path / "killed"
    moments = random.Random(time.time_ns())
    for _ in range(KILLS):
        process = command("sweep", file, "--out", killed, address=ray_address)
        seconds = moments.uniform(4, 10)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process = command("sweep", file, "--out", killed, address=ray_address)
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, err
    assert len(ended(killed)) == 2 * (6 + 2)
    check_same(ended(killed), ended(alone))
