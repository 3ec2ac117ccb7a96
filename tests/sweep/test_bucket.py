"""Whole sweeps whose results are in a bucket: a real S3 server, started by the tests."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from seqtune.runs.directory import run_directories
from seqtune.storage.location import parse_location
from tests.sweep.commands import command, ended
from tests.sweep.servers import free_port
from tests.sweep.sweeps import UNDISTURBED, write
from tests.sweep.test_kills import scores
from tests.waiting import HANG_SECONDS, wait_until

# Of the session's cluster they need only what was done there: the same sweep, left alone.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_address")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[bytes]]:
    """An S3 server on loopback that keeps everything in memory."""
    port = free_port()
    log = tmp_path_factory.mktemp("moto") / "log"
    with log.open("wb") as out, pytest.MonkeyPatch.context() as patch:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=out,
            stderr=out,
        )
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "anybody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        wait_until(lambda: b"Running on" in log.read_bytes() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        boto3.client("s3").create_bucket(Bucket="results")
        yield process
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def file(server: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sweep") / "s.yaml", UNDISTURBED)


@pytest.fixture(scope="module")
def killed(file: Path) -> str:
    """The sweep in a bucket, with a driver that was killed; where it is."""
    where = "s3://results/folder/killed"
    process = command("sweep", file, "--out", where, address=None)
    time.sleep(random.Random(time.time_ns()).uniform(8, 16))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    process = command("sweep", file, "--out", where, address=None)
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, err
    return where


def test_a_sweep_in_a_bucket_whose_driver_is_killed_ends_as_one_in_a_directory(
    alone: Path, killed: str
):
    expected, found = ended(alone), ended(parse_location(killed))
    assert sorted(found) == sorted(expected)
    for name, run in found.items():
        assert run.info()["state"] == "finished"
        assert scores(run) == scores(expected[name])
        assert run.weights.stat().st_size == expected[name].weights.stat().st_size
        assert not run.checkpoint.exists()
    names = {path.name for path in parse_location(killed).iterdir()}
    assert names == {path.name for path in alone.iterdir() if path.suffix != ".lock"} - {".lock"}


def test_its_report_and_its_runs_are_read_and_kept_there(killed: str):
    place = parse_location(killed)
    text = (place / "report" / "report.md").read_text()
    assert "in /tmp" not in text
    (place / "report" / "report.md").unlink()
    process = command("report", killed, address=None)
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert (process.returncode, out) == (0, f"report: {killed}/report/report.md\n"), err
    assert (place / "report" / "report.md").read_text() == text
    run = run_directories(place / "runs")[0]
    process = command("evaluate", str(run.path), "--set", "task.height=2", address=None)
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, err
    assert json.loads(run.evaluation.read_text())


def test_a_bucket_that_is_not_there_and_a_run_that_is_not_are_told(file: Path):
    for words, line in (
        (("sweep", file, "--out", "s3://nobody/x"), "s3://nobody/x: cannot be reached: "),
        (("report", "s3://results/nothing"), "s3://results/nothing: "),
        (("evaluate", "s3://results/nothing"), "s3://results/nothing"),
    ):
        process = command(*words, address=None)
        _, err = process.communicate(timeout=HANG_SECONDS)
        assert process.returncode == 2
        assert err.splitlines()[-1].startswith(line)
        assert "Traceback" not in err


def test_one_run_is_trained_into_a_bucket(server: object, tmp_path: Path):
    file = write(
        tmp_path / "train.yaml",
        "task: {kind: cfg, grammar: cfg3b, height: 1}\nmodel: {kind: lstm, width: 8}\n"
        "training: {epochs: 2, batches_per_epoch: 3, batch_size: 4}\n"
        "evaluation: {strings: 16, generate: 4}\n",
    )
    for _ in range(2):
        process = command("train", file, "--out", "s3://results/one", address=None)
        out, err = process.communicate(timeout=HANG_SECONDS)
        assert (process.returncode, out) == (0, "finished: s3://results/one\n"), err
    assert parse_location("s3://results/one/model.safetensors").exists()


def test_a_store_that_goes_in_mid_sweep_is_told_in_a_line(
    server: subprocess.Popen[bytes], file: Path
):
    process = command("sweep", file, "--out", "s3://results/gone", address=None)
    runs = parse_location("s3://results/gone/runs")
    wait_until(lambda: bool(run_directories(runs)), process=process)
    server.kill()
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 2, err
    assert err.splitlines()[-1].startswith("s3://results/gone: cannot be reached: ")
    assert "Traceback" not in err
