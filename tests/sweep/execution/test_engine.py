"""Whole sweeps on real Ray workers."""

import gc
import json
import re
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from rich.console import Console

from seqtune.config.yaml_file import FileError, parse_yaml
from seqtune.runs.directory import run_directories
from seqtune.sweep.execution.driver import SweepSummary, read_plan, run_sweep
from seqtune.sweep.execution.open_runs import Events
from seqtune.sweep.search.cell_search import Proposal
from seqtune.sweep.search.studies import Studies
from seqtune.training.measurement import Measurement
from tests.sweep.commands import command, ended, wait_for
from tests.sweep.sweeps import SMALL, plan_of, write
from tests.waiting import HANG_SECONDS, wait_until

ROOT = Path(__file__).parents[3]


def sweep(text: str, root: Path) -> SweepSummary:
    source = parse_yaml(text, name="s.yaml")
    console = Console(stderr=True, force_terminal=False)
    return run_sweep(read_plan(source), source=source, root=root, address=None, console=console)


@pytest.fixture(scope="module")
def smoke(ray_address: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped smoke sweep, run once."""
    root = tmp_path_factory.mktemp("smoke") / "results"
    text = (ROOT / "sweeps" / "smoke.yaml").read_text()
    assert sweep(text, root) == SweepSummary(
        done=True, failed=0, unconfirmed={}, runs=24, halted=False
    )
    return root


def test_the_smoke_sweep_ends_with_every_cell_confirmed(smoke: Path):
    runs = [run.info() for run in run_directories(smoke / "runs")]
    assert len(runs) == 4 * (4 + 2)
    confirmed = [info["sweep"]["cell"] for info in runs if info["sweep"]["phase"] == "confirm"]
    assert sorted(confirmed) == sorted(
        2 * [f"height={height}, width={width}" for height in (1, 2) for width in (8, 16)]
    )
    assert {info["state"] for info in runs} <= {"finished", "stopped"}
    assert all(info["state"] == "finished" for info in runs if info["sweep"]["phase"] == "confirm")
    assert {path.name for path in smoke.iterdir()} >= {
        "sweep.yaml",
        "plan.json",
        "studies.journal",
        "decisions.jsonl",
    }


def test_trials_that_ended_leave_nothing_in_the_driver(ray_address: str, tmp_path: Path):
    """Tune keeps every trial that it ever had, 40 kB of each, were it not told to forget them."""
    from ray.tune.experiment import Trial

    from seqtune.sweep.execution.engine import execute

    trivial = SMALL.replace("epochs: 4, batches_per_epoch: 5", "epochs: 1, batches_per_epoch: 1")
    plan = plan_of(trivial.replace("trials: 4", "trials: 8"))
    kept: list[int] = []

    def ended(proposal: Proposal, state: str) -> None:
        kept.append(sum(type(each) is Trial for each in gc.get_objects()))

    studies = Studies(plan, root=tmp_path)
    execute(studies, events=Events(on_end=ended, on_tick=lambda: None))
    assert studies.done
    assert len(kept) == 2 * (8 + 2)
    # Two run, and two are between the end of their run and that of their trial.
    assert max(kept) <= 5


def test_all_runs_of_a_task_are_measured_on_the_same_strings(smoke: Path):
    floors: dict[int, set[float]] = {}
    for run in run_directories(smoke / "runs"):
        info = run.info()
        floors.setdefault(info["spec"]["task"]["height"], set()).add(info["floor"]["loss"])
    assert {height: len(found) for height, found in floors.items()} == {1: 1, 2: 1}


def test_ray_leaves_nothing_of_its_own_in_the_results(smoke: Path):
    names = {
        path.name.split(".out.")[0] for run in (smoke / "runs").iterdir() for path in run.iterdir()
    }
    assert names <= {
        "run.json",
        "measurements.csv",
        "generated.json",
        "model_card.md",
        "model.safetensors",
        "events",
        ".lock",
    }


def test_the_same_command_again_runs_nothing(smoke: Path):
    before = {
        run.name: (run.path / "run.json").stat().st_mtime_ns
        for run in run_directories(smoke / "runs")
    }
    assert sweep((ROOT / "sweeps" / "smoke.yaml").read_text(), smoke).done
    after = {
        run.name: (run.path / "run.json").stat().st_mtime_ns
        for run in run_directories(smoke / "runs")
    }
    assert before == after


@pytest.mark.slow
def test_more_seeds_and_more_cells_are_added_to_what_is_there(ray_address: str, tmp_path: Path):
    root = tmp_path / "results"
    sweep(SMALL, root)
    before = {name: run.info() for name, run in ended(root).items()}
    larger = SMALL.replace("confirm: {seeds: 2}", "confirm: {seeds: 3}").replace(
        "[1, 2]", "[1, 2, 3]"
    )
    assert sweep(larger, root).done
    after = {name: run.info() for name, run in ended(root).items()}
    assert len(after) == 3 * (4 + 3)
    assert {name: after[name] for name in before} == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs: 4", "epochs: 5", "training.epochs: is 5, but 4 in the runs of cell"),
        ("height: 1", "height: 2", "task.height: is 2, but 1 in the runs of cell"),
        ("seeds: 2", "seeds: 1", "confirm.seeds: is 1, but 2 were asked for before"),
        ("trials: 4", "trials: 3", "search.trials: is 3, but 4 were asked for before"),
        ("[1, 2]", "[2]", "compare: no longer holds the cell (layers=1)"),
        (
            "1.0e-1]",
            "2.0e-1]",
            "tune: differs from what its runs were searched over",
        ),
        ("metric: valid/excess", "metric: valid/loss", "metric: is valid/loss"),
        ("name: small", "name: other", "belongs to the sweep small, not to other"),
    ],
)
def test_a_file_that_no_longer_fits_is_refused_and_nothing_is_written(
    ray_address: str, tmp_path_factory: pytest.TempPathFactory, old: str, new: str, message: str
):
    root = tmp_path_factory.getbasetemp() / "small"
    if not root.exists():
        sweep(SMALL, root)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.name != ".lock"}
    with pytest.raises(FileError) as caught:
        sweep(SMALL.replace(old, new), root)
    assert message in str(caught.value)
    assert {
        path: path.stat().st_mtime_ns for path in root.rglob("*") if path.name != ".lock"
    } == before


def test_a_directory_of_something_else_is_refused(ray_address: str, tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(
        FileError,
        match=r"is not the directory of a sweep and is not empty \(it holds thesis\.tex\)",
    ):
        sweep(SMALL, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "precious"
    assert not (tmp_path / "plan.json").exists()


def test_resources_that_no_node_has_are_told_at_once(ray_address: str, tmp_path: Path):
    message = r"^s.yaml:16: resources.gpu: no node can hold a run of \(cpu=1, gpu=3\); the most .* has is CPU 2; GPU 1"
    with pytest.raises(FileError, match=message):
        sweep(SMALL + "resources: {cpu: 1, gpu: 3}\n", tmp_path / "results")


@pytest.mark.slow
def test_a_worker_that_is_killed_goes_on_from_its_last_epoch(ray_address: str, tmp_path: Path):
    text = SMALL.replace("epochs: 4, batches_per_epoch: 5", "epochs: 8, batches_per_epoch: 400")
    text = text.replace("[1, 2]", "[1]").replace("trials: 4", "trials: 2")
    file, root = write(tmp_path / "s.yaml", text), tmp_path / "results"
    process = command("sweep", file, "--out", root, address=ray_address)
    wait_until(lambda: bool(list((root / "runs").glob("*/checkpoint.pt"))), process=process)
    # Those of this session's cluster alone: other sweeps may be running on the machine.
    ours = psutil.Process().children(recursive=True)
    workers = [each for each in ours if "ImplicitFunc" in " ".join(each.cmdline())]
    assert workers
    for worker in workers:
        worker.kill()
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, err
    runs = ended(root)
    assert len(runs) == 2 + 2
    for run in runs.values():
        epochs = [m.epoch for m in run.measurements()]
        assert epochs == list(range(1, len(epochs) + 1))
        assert run.info()["state"] in ("finished", "stopped")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("resources", "at_once"), [("{cpu: 0.5}", 4), ("{cpu: 0.5, gpu: 0.5}", 2), ("{cpu: 2}", 1)]
)
def test_fractions_of_cores_and_gpus_are_shared(
    ray_address: str, tmp_path: Path, resources: str, at_once: int
):
    root = tmp_path / "results"
    assert sweep(f"{SMALL}resources: {resources}\n", root).done
    events = [json.loads(line) for line in (root / "decisions.jsonl").read_text().splitlines()]
    open_runs = most = 0
    for event in events:
        open_runs += {"proposed": 1, "ended": -1}.get(event["event"], 0)
        most = max(most, open_runs)
    assert most == at_once


@pytest.mark.slow
@pytest.mark.parametrize("own_cluster", [False, True])
def test_a_killed_driver_loses_nothing_and_repeats_nothing(
    ray_address: str, tmp_path: Path, own_cluster: bool
):
    address = None if own_cluster else ray_address
    file, root = write(tmp_path / "s.yaml", SMALL), tmp_path / "results"
    before: dict[str, tuple[dict[str, Any], list[Measurement]]] = {}
    for runs in (5,) if own_cluster else (3, 8):
        process = command("sweep", file, "--out", root, address=address)
        wait_for(root, runs=runs, process=process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        before = {name: (run.info(), run.measurements()) for name, run in ended(root).items()}
    process = command("sweep", file, "--out", root, address=address)
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, err
    for line in err.splitlines():  # nothing of Ray's or Optuna's own
        assert re.match(
            r"small: 2 cells, 12 runs, in |\d+/12 layers=\d (search|confirm) \d: ", line
        )
    after = ended(root)
    assert len(after) == 12
    assert {name: (after[name].info(), after[name].measurements()) for name in before} == before
    for run in after.values():
        epochs = [m.epoch for m in run.measurements()]
        assert epochs == list(range(1, len(epochs) + 1))
        assert run.info()["state"] == "stopped" or len(epochs) == 4
    trials = pd.read_csv(root / "report" / "trials.csv")
    assert sorted(trials["run"]) == sorted(after)
    assert pd.read_csv(root / "report" / "cells.csv")["n"].tolist() == [2, 2]
    assert str(root / "report" / "report.md") in out


@pytest.mark.slow
def test_a_second_driver_is_refused_while_the_first_runs(ray_address: str, tmp_path: Path):
    file, root = (
        write(tmp_path / "s.yaml", SMALL.replace("epochs: 4", "epochs: 40")),
        tmp_path / "results",
    )
    first = command("sweep", file, "--out", root, address=ray_address)
    wait_for(root, runs=1, process=first)
    second = command("sweep", file, "--out", root, address=ray_address)
    _, err = second.communicate(timeout=HANG_SECONDS)
    assert second.returncode == 2
    assert f"a sweep is still running in it (process {first.pid} on" in err
    first.send_signal(signal.SIGKILL)
    first.communicate()


@pytest.mark.slow
def test_an_interrupted_sweep_ends_in_order_and_goes_on(ray_address: str, tmp_path: Path):
    file, root = write(tmp_path / "s.yaml", SMALL), tmp_path / "results"
    for number, runs in ((signal.SIGINT, 2), (signal.SIGTERM, 6)):
        process = command("sweep", file, "--out", root, address=ray_address)
        wait_for(root, runs=runs, process=process)
        process.send_signal(number)
        _, err = process.communicate(timeout=HANG_SECONDS)
        assert process.returncode == 130, err
        assert f"interrupted; to resume: seqtune sweep {file} --out {root}" in err
        assert "Traceback" not in err
    process = command("sweep", file, "--out", root, address=ray_address)
    process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0
    assert len(ended(root)) == 12
