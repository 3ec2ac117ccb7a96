"""What was probed on one machine, planned with on another."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from seqtune.cli import app
from seqtune.cli.tables.plan import duration
from tests.sweep.sweeps import SMALL, write

RUN = """
task:       {kind: cfg, grammar: cfg3b, height: 1}
model:      {kind: lstm, width: 8, embedding: 8}
training:   {epochs: 3, batches_per_epoch: 4, batch_size: 16}
evaluation: {strings: 32, generate: 8}
"""


def plan(*words: str | Path) -> Result:
    runner = CliRunner()
    return runner.invoke(app, ["plan", *map(str, words)], prog_name="seqtune")


def data_of(done: Result) -> Any:
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep, a run, what was probed of each here, and the sweep's as another machine would have it."""
    root = tmp_path_factory.mktemp("probes")
    for name, text in (("sweep", SMALL), ("run", RUN)):
        done = plan(write(root / f"{name}.yaml", text), "--save-probe", root / f"{name}.json")
        assert done.exit_code == 0, done.output
        assert done.stderr.endswith(
            f"written: {root / name}.json; elsewhere: seqtune plan {root / name}.yaml "
            f"--add-probe {name}.json\n"
        )
    found = json.loads((root / "sweep.json").read_text())
    found |= {"name": "Abacus", "machine": "Abacus with 16 cores", "cores": 16}
    found["versions"]["torch"] = "9.9"
    for cell in found["cells"].values():
        cell["speed"] = {
            "step_seconds": 60.0,
            "mixed_step_seconds": None,
            "evaluation_seconds": 300.0,
        }
    (root / "abacus.json").write_text(json.dumps(found))
    return root


def test_what_was_found_here_is_saved_by_cell(folder: Path):
    found = json.loads((folder / "sweep.json").read_text())
    here = data_of(plan(folder / "sweep.yaml", "--json"))
    assert found["machine"] == here["machine"] == here["machines"][0]["machine"]
    assert found["versions"] == here["machines"][0]["versions"]
    assert here["machines"][0]["file"] is None
    assert list(found["cells"]) == ["layers=1", "layers=2"]
    assert found["cells"]["layers=2"]["run"]["model"]["layers"] == 2
    assert "seed" not in found["cells"]["layers=2"]["run"]
    assert all(cell["speed"]["step_seconds"] > 0 for cell in found["cells"].values())


def test_another_machines_times_stand_beside_those_of_this_one(folder: Path):
    found = data_of(plan(folder / "sweep.yaml", "--add-probe", folder / "abacus.json", "--json"))
    mine, others = found["machines"]
    assert [mine["file"], others["file"]] == [None, str(folder / "abacus.json")]
    assert [each["seconds"] for each in mine["cells"]] == [
        each["seconds"] for each in found["cells"]
    ]
    # 4 epochs with 5 steps each, and 4 evaluations; 4 trials and 2 confirm runs of two cells, a core each.
    run = 20 * 60 + 4 * 300
    assert [each["run_seconds"] for each in others["cells"]] == [run, run]
    assert others["totals"]["seconds"] == 12 * run
    assert others["totals"]["elapsed_seconds"] == 12 * run / 16
    shown = plan(folder / "sweep.yaml", "--add-probe", folder / "abacus.json")
    assert "Abacus:" in shown.stdout
    first = [line for line in shown.stdout.splitlines() if line.startswith(" layers=1")]
    assert first[1].endswith(f"{duration(run)}, {duration(6 * run)} ")
    assert "on Abacus with 16 cores, torch 9.9" in shown.stdout
    assert f"on {found['machine']}, torch " in shown.stdout


def test_without_a_probe_here_the_other_machine_stands_alone(folder: Path):
    words = (folder / "sweep.yaml", "--no-probe", "--add-probe", folder / "abacus.json")
    found = data_of(plan(*words, "--json"))
    assert [each["name"] for each in found["machines"]] == ["Abacus"]
    assert found["totals"]["seconds"] is None
    shown = plan(*words).stdout
    assert re.search(r"40 min +4 h", shown)
    assert shown.count("one after the other") == 1
    twice = data_of(plan(*words, "--add-probe", folder / "sweep.json", "--json"))
    assert len(twice["machines"]) == 2


def test_a_probe_of_a_run_is_used_whatever_its_file_is_called(folder: Path):
    other = write(folder / "other.yaml", RUN + "seed: 7\n")
    found = data_of(plan(other, "--no-probe", "--add-probe", folder / "run.json", "--json"))
    assert found["machines"][0]["cells"][0]["cell"] == "other"
    assert found["machines"][0]["cells"][0]["run_seconds"] > 0


def test_what_was_not_timed_there_says_why(folder: Path, tmp_path: Path):
    found = json.loads((folder / "abacus.json").read_text())
    found["cells"]["layers=2"] |= {"speed": None, "untimed": "it was asleep"}
    path = write(tmp_path / "asleep.json", json.dumps(found))
    words = (folder / "sweep.yaml", "--no-probe", "--add-probe", path)
    assert "not timed: it was asleep" in plan(*words).stdout
    data = data_of(plan(*words, "--json"))["machines"][0]
    assert [cell["untimed"] for cell in data["cells"]] == [None, "it was asleep"]
    assert data["totals"]["seconds"] is None


ANEW = "make it anew there: seqtune plan {folder}/sweep.yaml --save-probe abacus.json"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ["base.training.batch_size=32"],
            "is of another run than (layers=1): training.batch_size is 16 there and 32 here; "
            + ANEW,
        ),
        (
            ["resources.cpu=2"],
            "is of another run than (layers=1): resources.cpu is 1 there and 2 here; " + ANEW,
        ),
        (["compare.model.layers=[1, 3]"], "knows nothing of the cell (layers=3); " + ANEW),
    ],
)
def test_a_probe_of_other_runs_is_refused_and_what_differs_is_named(
    folder: Path, changes: list[str], message: str
):
    path = folder / "abacus.json"
    settings = [word for change in changes for word in ("--set", change)]
    done = plan(folder / "sweep.yaml", "--no-probe", "--add-probe", path, *settings)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr == f"{path}: {message.format(folder=folder)}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON: "),
        ("[]", "must hold a JSON object, but got []"),
        ("{}", "is no saved probe: name: is required, and is not given; --save-probe writes one"),
        (None, "No such file or directory"),
    ],
)
def test_what_is_no_probe_is_told_in_one_line(
    folder: Path, tmp_path: Path, text: str | None, message: str
):
    path = tmp_path / "probe.json"
    if text is not None:
        path.write_text(text)
    done = plan(folder / "sweep.yaml", "--no-probe", "--add-probe", path)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"{path}: {message}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("step_seconds", -1.0, "step_seconds: must be at least 0, but got -1.0"),
        ("evaluation_seconds", "1", "evaluation_seconds: must be a number, but got '1'"),
    ],
)
def test_a_speed_that_is_none_is_told(
    folder: Path, tmp_path: Path, field: str, value: object, message: str
):
    found = json.loads((folder / "abacus.json").read_text())
    found["cells"]["layers=1"]["speed"][field] = value
    path = write(tmp_path / "wrong.json", json.dumps(found))
    done = plan(folder / "sweep.yaml", "--no-probe", "--add-probe", path)
    assert done.exit_code == 2
    assert f"is no saved probe: cells.layers=1.speed.{message}" in done.stderr


def test_saving_needs_a_probe_and_spares_what_is_none(folder: Path):
    sweep = folder / "sweep.yaml"
    done = plan(sweep, "--no-probe", "--save-probe", folder / "new.json")
    assert done.exit_code == 2
    assert done.stderr.startswith("--save-probe: there is nothing to save with --no-probe")
    done = plan(sweep, "--save-probe", sweep)
    assert done.exit_code == 2
    assert done.stderr.endswith("to save a probe, give another name\n")
    assert sweep.read_text() == SMALL
    assert plan(sweep, "--save-probe", folder / "sweep.json").exit_code == 0


@pytest.mark.parametrize("columns", [160, 80, 60])
def test_a_narrow_terminal_has_every_figure_whole(folder: Path, columns: int):
    from rich.console import Console

    from seqtune.cli.tables import plan
    from seqtune.config.yaml_file import read_yaml
    from seqtune.sweep.execution.driver import read_plan
    from seqtune.sweep.planning.forecast import forecast_sweep
    from seqtune.sweep.planning.saved_probe import there

    rows = forecast_sweep(read_plan(read_yaml(folder / "sweep.yaml")), probe=None, gpus=0)
    machines = [
        there(rows, path=folder / f"{name}.json", file=folder / "sweep.yaml")
        for name in ("abacus", "sweep")
    ]
    console = Console(width=columns, color_system=None)
    with console.capture() as captured:
        plan.show(rows, machines=machines, console=console)
    table, _, _ = captured.get().partition("12 runs: ")
    assert max(map(len, table.splitlines())) <= columns
    assert "…" not in table
    for figure in ("parameters", f"{rows[1].size.parameters:,}", "40 min, 4 h", "Abacus:"):
        assert figure in table
