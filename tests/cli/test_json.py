"""What commands say to machines: one JSON value on standard output, whatever happens."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from seqtune.cli import app
from seqtune.runs.directory import RunDirectory
from tests.cli.test_cli import COMMANDS, RUN
from tests.report.made import make_cell
from tests.sweep.sweeps import SMALL, write


def asked(*words: str | Path, status: int = 0) -> Any:
    done = CliRunner().invoke(app, [*map(str, words), "--json"], prog_name="seqtune")
    assert done.exit_code == status, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", [each for each in COMMANDS if each != "schema"])
def test_every_command_that_answers_can_do_so_for_a_machine(command: str):
    done = CliRunner().invoke(app, [command, "--help"], prog_name="seqtune")
    assert "--json" in done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    asked("train", write(root / "run.yaml", RUN), "--out", root / "run")
    return root / "run"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["describe", "dyck"], {"title"}),
        (["plan", "{run}.yaml", "--no-measure"], {"cells", "totals", "machine", "notes"}),
        (["evaluate", "{run}"], {"set", "task", "evaluation"}),
        (["generate", "{run}", "--count", "2"], {"samples", "summary"}),
        (["probe", "{run}", "--strings", "16", "--set", "task.height=2"], {"readings"}),
    ],
)
def test_what_is_answered_of_a_language_a_file_or_a_run_is_one_value(
    trained: Path, words: list[str], names: set[str]
):
    found = asked(*(word.format(run=trained) for word in words))
    assert names <= set(found), list(found)


def test_train_says_how_the_run_ended_and_what_was_measured_last(tmp_path: Path):
    found = asked("train", write(tmp_path / "run.yaml", RUN), "--out", tmp_path / "run")
    last = RunDirectory(tmp_path / "run").measurements()[-1]
    assert found == {
        "state": "finished",
        "reason": None,
        "directory": str(tmp_path / "run"),
        "epoch": 3,
        "metrics": dict(last.metrics),
    }


def test_a_run_that_diverges_is_told_with_its_reason(tmp_path: Path):
    file = write(tmp_path / "run.yaml", RUN + "optimizer: {kind: sgd, lr: 1.0e+38}\n")
    change = ("--set", "training.clip_norm=null")
    found = asked("train", file, "--out", tmp_path / "run", *change, status=1)
    assert found["state"] == "diverged"
    assert found["reason"].startswith("train/loss is")


def test_report_says_where_it_is_and_how_the_cells_rank(tmp_path: Path):
    make_cell(tmp_path, compared={"model.layers": 1}, values=(0.1, 0.11, 0.12))
    make_cell(tmp_path, compared={"model.layers": 2}, values=(0.5,))
    found = asked("report", tmp_path)
    assert [row["cell"] for row in found["ranking"]] == ["layers=1", "layers=2"]
    assert found["ranking"][0]["n"] == 3
    assert found["ranking"][0]["mean"] == pytest.approx(0.11)
    assert found["ranking"][1]["ci_low"] is None
    for name in ("report", "page", "tensorboard"):
        assert Path(found[name]).exists()


@pytest.mark.slow
def test_sweep_says_how_it_ended_and_where_its_report_is(tmp_path: Path, ray_address: str):
    file = write(tmp_path / "sweep.yaml", SMALL)
    words = ("sweep", file, "--out", tmp_path / "out", "--address", ray_address)
    found = asked(*words)
    assert Path(found["report"]["report"]).exists()
    assert len(found["report"]["ranking"]) == 2
    del found["report"]
    assert found == {
        "name": "small",
        "directory": str(tmp_path / "out"),
        "done": True,
        "failed": 0,
        "unconfirmed": {},
        "runs": 12,
        "halted": False,
    }
    rows = {path.parent.name for path in (tmp_path / "out" / "runs").glob("*/events*~ended")}
    assert len(rows) == 12
