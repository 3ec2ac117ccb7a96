import json
import math
from pathlib import Path

import pytest

from seqtune.config.yaml_file import FileError
from seqtune.runs.directory import COLUMNS, RunDirectory, run_directories
from seqtune.storage.files import check_writable, replace_text
from seqtune.storage.mirror import RunInUseError
from seqtune.training.measurement import Measurement
from tests.storage.disk import no_room


def measurement(epoch: int, **metrics: float) -> Measurement:
    named = {"valid/loss": 1 / 3, "lr": 1e-17, **metrics}
    return Measurement(epoch=epoch, step=epoch * 10, tokens=epoch * 100, seconds=0.5, metrics=named)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(tmp_path / "run-abc")
    directory.create({"hash": "abc", "spec": {}})
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
    monkeypatch.setattr("seqtune.runs.directory.LOCK_SECONDS", 0.1)
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "run.json: is not valid JSON: "),
        ('{"state": ', "run.json: is not valid JSON: "),
        ("[" * 100_000, "run.json: is not valid JSON: it is nested too deeply"),
        ("null", "run.json: must hold a JSON object, but got None"),
        (json.dumps("x" * 999), "run.json: must hold a JSON object, but got 'xxx"),
        ("{}", "run.json: state must be one of running, finished, .* but is missing"),
        ('{"state": 3}', "run.json: state must be one of .*, but got 3"),
        ('{"state": "done"}', "run.json: state must be one of .*, but got 'done'"),
        ('{"state": "failed"}', "run.json: reason must be text or null, but is missing"),
        ('{"state": "failed", "reason": [1]}', r"reason must be text or null, but got \[1\]"),
        ('{"state": "failed", "reason": "x"}', "run.json: hash must be text, but is missing"),
        (
            '{"state": "failed", "reason": "x", "hash": "a", "spec": [1]}',
            r"run.json: spec must be a JSON object, but got \[1\]",
        ),
    ],
)
def test_a_run_json_that_is_none_is_told_in_a_line(run: RunDirectory, text: str, message: str):
    (run.path / "run.json").write_text(text)
    with pytest.raises(FileError, match=message) as raised:
        run.info()
    line = str(raised.value)
    assert line.startswith(str(run.path / "run.json"))
    assert "\n" not in line
    assert len(line) < len(str(run.path)) + 250


def test_what_cannot_be_written_leaves_what_was_there_and_has_its_name(tmp_path: Path):
    path = tmp_path / "file"
    replace_text(path, "old")
    with no_room(2), pytest.raises(OSError, match=f"{path}") as raised:
        replace_text(path, "longer than there is room for")
    assert raised.value.filename == str(path)
    assert [each.read_text() for each in tmp_path.iterdir()] == ["old"]


def test_what_may_be_written_is_told_without_touching_it(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("old")
    check_writable(path)
    assert [each.read_text() for each in tmp_path.iterdir()] == ["old"]
    (tmp_path / "folder").mkdir()
    for wrong in (tmp_path / "folder", path / "below", tmp_path / "none" / "below"):
        with pytest.raises(OSError, match=wrong.name) as raised:
            check_writable(wrong)
        assert str(raised.value.filename).startswith(str(wrong))
