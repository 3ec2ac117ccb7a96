"""TensorBoard, started as a user starts it and queried over the network."""

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from seqtune.cli import app
from seqtune.report import load
from seqtune.report.render import tensorboard
from tests.report.made import make_cell, make_run
from tests.waiting import HANG_SECONDS, wait_until

ROOT = Path(__file__).parents[1]


@contextmanager
def served(*words: str | Path) -> Iterator[str]:
    """The URL that a command says it listens at; ended as Ctrl-C ends it."""
    command = [sys.executable, "-m", "seqtune", *map(str, words), "--port", "0"]
    # What a shell starts in the background is deaf to Ctrl-C, and so would be what these tests start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        signal.signal(signal.SIGINT, before)
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            yield json.loads(said)["url"] if "--json" in words else said.split()[-1]
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=HANG_SECONDS) == 0


def asked(url: str, *, body: Any = None, method: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=HANG_SECONDS) as answer:
        return json.load(answer)


def until(ask: Callable[[], Any], *, holds: Callable[[Any], bool]) -> Any:
    """What is answered once something holds; TensorBoard reads its files beside answering."""
    wait_until(lambda: holds(ask()))
    return ask()


def test_tensorboard_shows_runs_cells_and_a_row_for_every_run(tmp_path: Path):
    make_cell(tmp_path, compared={"model.layers": 1}, values=(0.1, 0.2))
    make_run(tmp_path, "early", compared={"model.layers": 1}, tuned={}, state="failed")
    tensorboard.write(load(tmp_path), root=tmp_path)
    rows = {f"runs/-1-{phase}-{trial}" for phase in ("search", "confirm") for trial in (0, 1)}
    rows |= {"runs/early"}
    with served("tensorboard", tmp_path) as url:
        assert url.startswith("http://127.0.0.1:")
        wanted = rows | {"tensorboard/layers=1"}
        until(lambda: set(asked(f"{url}data/runs")), holds=lambda runs: runs == wanted)
        hparams = f"{url}data/plugin/hparams"
        experiment = asked(f"{hparams}/experiment", body={"experimentName": ""})
        names = {each["name"] for each in experiment["hparamInfos"]}
        assert names == {"cell", "phase", "model.layers", "optimizer.lr", "seed"}
        table = asked(
            f"{hparams}/session_groups",
            body={
                "experimentName": "",
                "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE"],
                "colParams": [{"hparam": "model.layers"}, {"hparam": "optimizer.lr"}],
                "startIndex": 0,
                "sliceSize": 99,
            },
        )
    found = {group["sessions"][0]["name"]: group for group in table["sessionGroups"]}
    assert set(found) == rows
    assert found["runs/-1-search-1"]["hparams"]["optimizer.lr"] == 0.02
    assert "optimizer.lr" not in found["runs/early"]["hparams"]
    assert found["runs/early"]["sessions"][0]["status"] == "STATUS_FAILURE"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["tensorboard", "missing"], "missing: no such directory"),
        (["tensorboard", "."], ": holds no curves; give the directory of a sweep, of runs or of"),
    ],
)
def test_what_cannot_be_shown_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], line: str
):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [*words, "--port", "0"], prog_name="seqtune")
    assert done.exit_code == 2, done.output
    assert line in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_reported(tmp_path: Path):
    make_run(tmp_path, "a", compared={"model.layers": 1})
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        # In a process of its own, where TensorBoard's own imports may warn.
        words = [sys.executable, "-m", "seqtune", "tensorboard", str(tmp_path), "--port", port]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "write --port 0 for any free port" in done.stderr
    assert port in done.stderr
