"""Whole reports, on sweeps of every shape."""

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from seqtune.report import build, load
from seqtune.runs.directory import RunDirectory
from seqtune.runs.record import record
from tests.report.made import boards, make_cell, make_run, texts
from tests.training.runs import tiny


def a_grid(root: Path) -> None:
    for height in (2, 3):
        for layers in (1, 2):
            values = [0.01 * height * layers + 0.001 * seed for seed in range(3)]
            make_cell(root, compared={"task.height": height, "model.layers": layers}, values=values)


def one_run(root: Path) -> None:
    make_run(root, "a", excess=(0.1,), compared={"task.height": 2})


def runs_outside_any_sweep(root: Path) -> None:
    make_run(root, "a", excess=(0.4, 0.1))
    make_run(root, "b", excess=(0.4, 0.2))


def no_confirm_runs(root: Path) -> None:
    for height in (2, 3):
        make_cell(root, compared={"task.height": height, "model.layers": 1}, values=())


def all_failed(root: Path) -> None:
    nothing = {"parameters": None, "flops_per_token": None, "floor": None, "versions": None}
    for height in (2, 3):
        compared = {"task.height": height, "model.layers": 1}
        make_run(root, f"run-{height}", compared=compared, state="failed", info=nothing)


def nothing_measured_yet(root: Path) -> None:
    make_run(root, "a", compared={"task.height": 2}, state="running")


def no_floor(root: Path) -> None:
    make_run(
        root,
        "a",
        excess=(0.2, 0.1),
        compared={},
        cell="a",
        metric="valid/loss",
        info={"floor": None},
    )


def one_path(root: Path) -> None:
    for height in (2, 3, 4):
        make_cell(root, compared={"task.height": height}, values=(0.1, 0.2))


def one_path_two_arms(root: Path) -> None:
    for arm in ("lstm", "transformer"):
        for height in (2, 3):
            cell = f"{arm}, height={height}"
            make_cell(
                root, compared={"task.height": height}, values=(0.001, 0.2), arm=arm, cell=cell
            )


def arms_alone(root: Path) -> None:
    for arm in ("lstm", "transformer"):
        make_cell(root, compared={}, values=(0.1, 0.2), arm=arm, cell=arm)


def arms_with_paths_of_their_own(root: Path) -> None:
    make_cell(root, compared={"task.height": 2, "model.layers": 1}, values=(0.1,), arm="lstm")
    make_cell(root, compared={"task.height": 2, "model.heads": 4}, values=(0.2,), arm="other")
    make_cell(root, compared={"task.height": 2}, values=(0.2,), arm="third", cell="third")


def four_paths(root: Path) -> None:
    for layers in (1, 2):
        for kind in ("fresh", "fixed"):
            for clip_norm in (None, 1.0):
                compared = {
                    "task.height": 2,
                    "model.layers": layers,
                    "data.kind": kind,
                    "training.clip_norm": clip_norm,
                }
                make_cell(root, compared=compared, values=(0.1, 0.2))


def a_hole_and_an_empty_cell(root: Path) -> None:
    make_cell(root, compared={"task.height": 2, "model.layers": 1}, values=(0.001, 0.002))
    make_cell(root, compared={"task.height": 3, "model.layers": 2}, values=(0.1, 0.5))
    make_cell(root, compared={"task.height": 2, "model.layers": 2}, values=())


def values_at_and_below_the_floor(root: Path) -> None:
    make_cell(root, compared={"task.height": 2, "model.layers": 1}, values=(-0.001, 0.0))
    make_run(root, "below", excess=(-0.1, -0.2), compared={"task.height": 3, "model.layers": 1})


def unfriendly_names(root: Path) -> None:
    name = "a|b\n<i> `c` $x$ $y_ _z_ [l](m)"
    make_cell(
        root, compared={"task.grammar": name, "model.layers": 1}, values=(0.1,), question=name
    )
    make_run(
        root, "failed", compared={"task.grammar": name, "model.layers": 1}, state="failed",
        cell=name, arm="$a$ $b$",
    )  # fmt: skip


def many_cells_in_a_panel(root: Path) -> None:
    for layers in range(1, 22):
        make_run(
            root,
            f"run-{layers}",
            excess=(1.0, 0.1),
            compared={"model.layers": layers, "task.height": 2},
        )


def an_infinite_loss(root: Path) -> None:
    make_run(root, "a", excess=(0.1, math.inf), compared={"task.height": 2}, trial=0)
    make_run(root, "b", excess=(0.1, 0.1), compared={"task.height": 2}, trial=1)
    make_run(root, "c", excess=(math.nan, math.nan), compared={"task.height": 3})


def boards_of_two_sizes(root: Path) -> None:
    for size in (2, 3):
        for arm in ("lstm", "transformer"):
            make_run(
                root, f"{arm}-{size}", excess=(0.2, 0.1), compared={"task.rows": size}, arm=arm,
                cell=f"{arm}, rows={size}", metric="rollout/first_wrong",
                metrics={"rollout/first_wrong": size, "valid/seen": 1.0 / size},
                generated=boards(size=size, wrong=size, titles=("$a$ <b>", "a long title of it")),
                info={"floor": {"loss": 0.1, "loss_string": 1, "accuracy": 1, "share": 0.5}},
            )  # fmt: skip


def texts_with_references(root: Path) -> None:
    for layers in (1, 2):
        make_run(
            root, f"run-{layers}", excess=(2.0, 1.0), compared={"model.layers": layers},
            metric="valid/loss", generated=texts(["a\n| b", "```"]),
            info={
                "floor": None, "references": {"lzma": 1.9, "$a$ | b": 0.0}, "data_hash": "0" * 64,
            },
        )  # fmt: skip


def generated_by_some(root: Path) -> None:
    make_run(root, "a", excess=(0.1,), compared={"model.layers": 1})
    make_run(root, "b", excess=(), compared={"model.layers": 2}, generated=texts(["a"]))
    make_run(root, "c", compared={"model.layers": 3}, state="failed", generated=texts(["a"]))


SHAPES = (
    *(a_grid, one_run, runs_outside_any_sweep, no_confirm_runs, all_failed, nothing_measured_yet),
    *(no_floor, one_path, one_path_two_arms, arms_alone, arms_with_paths_of_their_own, four_paths),
    *(a_hole_and_an_empty_cell, values_at_and_below_the_floor, unfriendly_names),
    *(many_cells_in_a_panel, an_infinite_loss),
    *(boards_of_two_sizes, texts_with_references, generated_by_some),
)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_every_shape_of_sweep_has_a_report(tmp_path: Path, shape: Callable[[Path], None]):
    shape(tmp_path)
    report = build(tmp_path)
    assert report == tmp_path / "report" / "report.md"
    text = report.read_text(encoding="utf-8")
    for figure in (tmp_path / "report" / "figures").glob("*.png"):
        assert figure.with_suffix(".svg").exists()
        assert figure.with_suffix(".csv").exists()
        assert json.loads(figure.with_suffix(".vl.json").read_text())["config"]
        assert f"](figures/{figure.name})" in text
    trials = pd.read_csv(tmp_path / "report" / "trials.csv")
    cells = pd.read_csv(tmp_path / "report" / "cells.csv")
    assert len(trials) == len(list((tmp_path / "runs").iterdir()))
    assert cells[["running", "finished", "stopped", "diverged", "failed"]].sum().sum() == len(
        trials
    )


def test_the_same_runs_give_the_same_files(tmp_path: Path):
    a_grid(tmp_path)
    first, second = (
        {
            path.name: path.read_bytes()
            for path in build(tmp_path).parent.rglob("*")
            if path.is_file()
        }
        for _ in range(2)
    )
    assert first == second


def test_numbers_in_csv_files_read_back_the_same(tmp_path: Path):
    make_run(
        tmp_path, "a", excess=(0.1 + 0.2, 1 / 3), compared={}, tuned={"optimizer.lr": 1e-3 / 7}
    )
    build(tmp_path)
    with (tmp_path / "report" / "trials.csv").open(newline="") as file:
        [row] = csv.DictReader(file)
    assert float(row["valid/excess.last"]) == 1 / 3
    assert float(row["optimizer.lr"]) == 1e-3 / 7
    assert row["parameters"] == "1000"
    assert row["reason"] == ""


def test_the_report_says_what_was_measured_and_how_it_went(tmp_path: Path):
    a_grid(tmp_path)
    compared = {"task.height": 2, "model.layers": 1}
    make_run(tmp_path, "lost", compared=compared, state="failed")
    make_run(tmp_path, "gone", excess=(9.0,), compared=compared, state="diverged")
    make_run(tmp_path, "open", excess=(0.5,), compared=compared, state="running")
    text = build(tmp_path).read_text(encoding="utf-8")
    assert text.startswith("# made\n\n**How deep?**\n")
    assert "valid/loss minus the floor of the same strings, in nats per token" in text
    assert "(n = 3)" in text
    assert "| 2 | 1 | 3 | 0.02100 | [0.0185, 0.0235] | 0.2000 | 0.0200 | 1,000 |" in text
    assert "| failed | why it failed |  | runs/lost |" in text
    assert "| diverged | why it diverged | 1 | runs/gone |" in text
    assert "1 run is still in state running" in text
    assert "| total | 1 | 20 | 0 | 1 | 1 | 23 |" in text
    assert "seqtune 0.1.0, torch 2.9.0" in text


def test_search_trials_never_pass_for_confirm_runs(tmp_path: Path):
    no_confirm_runs(tmp_path)
    text = build(tmp_path).read_text(encoding="utf-8")
    assert "no confirm run has finished" in text
    assert "95 %" not in text


def test_a_cell_without_a_finished_confirm_run_is_drawn_as_such(tmp_path: Path):
    a_hole_and_an_empty_cell(tmp_path)
    text = build(tmp_path).read_text(encoding="utf-8")
    assert "1 of 3 cells has no finished confirm run" in text
    assert "The colour scale is logarithmic." in text


def test_names_cannot_break_the_tables(tmp_path: Path):
    unfriendly_names(tmp_path)
    lines = build(tmp_path).read_text(encoding="utf-8").splitlines()
    tables = [line.replace("\\|", "") for line in lines if line.startswith("|")]
    header = next(line for line in tables if line.startswith("| arm | task.grammar"))
    row = tables[tables.index(header) + 2]
    assert row.count("|") == header.count("|")
    assert not any("<i>" in line or "`c`" in line.replace("\\`", "") for line in lines)


def test_a_recorded_run_has_a_report(tmp_path: Path):
    list(record(tiny(), directory=RunDirectory(tmp_path / "runs" / "lstm")))
    results = load(tmp_path)
    assert results.metric == "valid/excess"
    [run] = results.runs.to_dict("records")
    assert (run["state"], run["epoch"]) == ("finished", 3)
    assert run["valid/loss.last"] - run["floor.loss"] == pytest.approx(run["valid/excess.last"])
    assert "## Learning curves" in build(tmp_path).read_text(encoding="utf-8")


def test_a_recorded_run_shows_what_it_generated(tmp_path: Path):
    list(record(tiny(), directory=RunDirectory(tmp_path / "runs" / "lstm")))
    text = build(tmp_path).read_text(encoding="utf-8")
    assert "## Samples" in text
    assert "Run: lstm, after epoch 3. generate/valid " in text


def test_building_needs_neither_torch_nor_ray(tmp_path: Path):
    import subprocess
    import sys

    one_run(tmp_path)
    code = (
        "import sys, pathlib, seqtune.report as report; report.build(pathlib.Path(sys.argv[1]));"
        "print(*sorted({'torch', 'ray'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_values_at_or_below_the_floor_are_marked_not_dropped(tmp_path: Path):
    values_at_and_below_the_floor(tmp_path)
    text = build(tmp_path).read_text(encoding="utf-8")
    assert "Triangles at the lower edge: 3 values at or below 0" in text
