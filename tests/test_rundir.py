import math
from pathlib import Path

import pytest

from seqtune.rundir import COLUMNS, RunDirectory, RunInUseError, run_directories
from seqtune.training.measurement import Measurement


def measurement(epoch: int, **metrics: float) -> Measurement:
    named = {"valid/loss": 1 / 3, "lr": 1e-17, **metrics}
    return Measurement(epoch=epoch, step=epoch * 10, tokens=epoch * 100, seconds=0.5, metrics=named)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(tmp_path / "run-abc")
    directory.create({"hash": "abc"})
    return directory


def test_measurements_come_back_exactly(run: RunDirectory):
    rows = [measurement(1), measurement(2, forcing=math.pi)]
    for row in rows:
        run.append(row)
    assert run.measurements() == rows
    header = (run.path / "measurements.csv").read_text().splitlines()[0]
    assert tuple(header.split(",")) == COLUMNS


def test_a_line_that_a_kill_cut_short_is_left_out(run: RunDirectory):
    run.append(measurement(1))
    run.append(measurement(2))
    path = run.path / "measurements.csv"
    path.write_text(path.read_text()[:-7])
    assert [m.epoch for m in run.measurements()] == [1]
    run.rewind(measurement(2))
    assert [m.epoch for m in run.measurements()] == [1, 2]


def test_rewinding_drops_what_came_after(run: RunDirectory):
    for epoch in (1, 2, 3):
        run.append(measurement(epoch))
    run.rewind(measurement(2, forcing=0.25))
    assert [m.epoch for m in run.measurements()] == [1, 2]
    assert run.measurements()[1].metrics["forcing"] == 0.25
    run.rewind(None)
    assert run.measurements() == []


def test_a_run_tells_how_it_ended(run: RunDirectory):
    assert run.info()["state"] == "running"
    run.checkpoint.write_bytes(b"x")
    run.end("failed", reason="error: ValueError: no", error="Traceback ...")
    assert (run.info()["state"], run.info()["reason"]) == ("failed", "error: ValueError: no")
    assert run.error.read_text() == "Traceback ..."
    assert run.checkpoint.exists()
    run.end("finished")
    assert not run.checkpoint.exists()


def test_only_one_process_may_write(run: RunDirectory, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("seqtune.rundir.LOCK_SECONDS", 0.1)
    with (
        run.lock(),
        pytest.raises(RunInUseError, match="another process"),
        RunDirectory(run.path).lock(),
    ):
        pass
    with run.lock():
        pass


def test_runs_are_found_by_their_run_json(run: RunDirectory):
    (run.path.parent / "other").mkdir()
    assert [found.name for found in run_directories(run.path.parent)] == ["run-abc"]
    assert run_directories(run.path.parent / "missing") == []
