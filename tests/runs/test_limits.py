"""When a run is ended, and how it goes on: real runs, real memory."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seqtune.runs.directory import RunDirectory, cause
from seqtune.runs.record import record
from seqtune.runs.spec import Limits, RunSpec
from tests.training.runs import tiny
from tests.waiting import HANG_SECONDS


def recorded(spec: RunSpec, path: Path, **limits: Any) -> RunDirectory:
    directory = RunDirectory(path)
    list(record(spec, directory=directory, limits=Limits.parse(limits)))
    return directory


def scores(run: RunDirectory) -> list[dict[str, float]]:
    timed = ("data_wait", "tokens_per_second", "peak_memory_bytes")
    return [
        {name: value for name, value in each.metrics.items() if name not in timed}
        for each in run.measurements()
    ]


def test_a_run_that_takes_too_long_fails_and_goes_on_once_it_may(tmp_path: Path):
    spec = tiny()
    run = recorded(spec, tmp_path / "run", seconds=1e-3)
    assert run.info()["reason"] == "timeout: took longer than limits.seconds, 0.001 s"
    assert cause(run.info()) == "timeout"
    assert [each.epoch for each in run.measurements()] == [1]
    run.reopen()
    assert run.info()["state"] == "running"
    run = recorded(spec, tmp_path / "run")
    assert run.info()["state"] == "finished"
    assert scores(run) == scores(recorded(spec, tmp_path / "whole"))


def test_time_is_noticed_within_an_epoch(tmp_path: Path):
    spec = tiny(training__batches_per_epoch=100_000)
    run = recorded(spec, tmp_path / "run", seconds=0.5)
    assert cause(run.info()) == "timeout"
    assert run.measurements() == []


@pytest.mark.parametrize(("limit", "state"), [(10.0, "diverged"), (None, "finished")])
def test_a_loss_far_above_guessing_has_diverged(tmp_path: Path, limit: float | None, state: str):
    spec = tiny(optimizer={"kind": "sgd", "lr": 300.0}, training__clip_norm=None)
    run = recorded(spec, tmp_path / "run", loss=limit)
    assert run.info()["state"] == state
    if state == "diverged":
        # Five tokens: guessing costs log 5.
        assert "after epoch 1, above 16.09: 10 times the loss of guessing" in run.info()["reason"]
        assert [each.epoch for each in run.measurements()] == [1]


def test_a_run_that_diverged_begins_anew_when_it_is_opened_again(tmp_path: Path):
    spec = tiny(optimizer={"kind": "sgd", "lr": 300.0}, training__clip_norm=None)
    run = recorded(spec, tmp_path / "run")
    before = scores(run)
    run.reopen()
    assert not run.checkpoint.exists()
    assert scores(recorded(spec, tmp_path / "run")) == before


def test_an_error_says_its_kind_and_a_retry_takes_its_trace_away(tmp_path: Path):
    spec = tiny()
    run = RunDirectory(tmp_path / "run")
    recording = record(spec, directory=run)
    next(recording)
    recording.close()
    whole = run.checkpoint.read_bytes()
    run.checkpoint.write_bytes(b"torn")
    recorded(spec, tmp_path / "run")
    assert run.info()["reason"].startswith("error: CheckpointError: ")
    run.checkpoint.write_bytes(whole)
    run.reopen()
    assert not run.error.exists()
    assert recorded(spec, tmp_path / "run").info()["state"] == "finished"


LIMITED = """
import resource, sys
import torch
from seqtune.runs.record import record
from seqtune.runs.directory import RunDirectory
from tests.training.runs import tiny

torch.set_num_threads(1)
spec = tiny(
    task__height=4, model__width=256, training__batch_size=512, training__epochs=2,
    training__batches_per_epoch=1, evaluation__strings=16, evaluation__generate=0,
)
directory = RunDirectory(sys.argv[1])
recording = record(spec, directory=directory)
next(recording)
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (int(sys.argv[2]) << 20), resource.RLIM_INFINITY))
list(recording)
"""


@pytest.mark.slow
def test_out_of_memory_a_run_goes_on_in_smaller_parts_and_then_fails(tmp_path: Path):
    """Real memory: a limit on what the process may have makes torch's allocations fail."""

    def run(name: str, *, mebibytes: int) -> RunDirectory:
        path = tmp_path / name
        words = [sys.executable, "-c", LIMITED, str(path), str(mebibytes)]
        subprocess.run(words, check=True, timeout=HANG_SECONDS)
        return RunDirectory(path)

    ample, tight, none = (
        run("ample", mebibytes=16_384),
        run("tight", mebibytes=600),
        run("none", mebibytes=60),
    )
    assert ample.info().get("micro_batch") is None
    assert tight.info()["state"] == "finished"
    assert tight.info()["micro_batch"] == 256
    for one, other in zip(ample.measurements(), tight.measurements(), strict=True):
        assert one.metrics["train/loss"] == pytest.approx(other.metrics["train/loss"], rel=1e-4)
    assert none.info()["state"] == "failed"
    assert cause(none.info()) == "oom"
    assert none.info()["micro_batch"] == 256
    assert "Traceback" in none.error.read_text()


def test_a_run_whose_worker_was_ended_for_memory_goes_on_in_smaller_parts(tmp_path: Path):
    spec = tiny(training__batch_size=9, training__epochs=2)
    whole, halved = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "halved")
    list(record(spec, directory=whole))
    sitting = record(spec, directory=halved)
    next(sitting)
    sitting.close()
    # What the driver of a sweep notes.
    halved.update({"low_on_memory": True})
    list(record(spec, directory=halved))
    assert halved.info()["micro_batch"] == 5
    assert whole.info().get("micro_batch") is None
    for one, other in zip(whole.measurements(), halved.measurements(), strict=True):
        assert one.metrics["train/loss"] == pytest.approx(other.metrics["train/loss"], rel=1e-4)
