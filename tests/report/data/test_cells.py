import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pytest

from seqtune.report import load
from seqtune.report.naming.labels import is_missing
from seqtune.stats.estimates import bootstrap_interval, middle_of, t_interval
from tests.report.made import make_cell, make_run


def cells_of(root: Path) -> dict[str, dict[Hashable, Any]]:
    return {row["cell"]: row for row in load(root).cells.to_dict("records")}


def test_a_cell_is_the_mean_of_its_confirm_runs_and_what_its_search_chose(tmp_path: Path):
    make_cell(tmp_path, compared={"task.height": 2}, values=(0.1, 0.2, 0.3))
    row = cells_of(tmp_path)["height=2"]
    assert row["task.height"] == 2
    assert (row["n"], row["search_trials"], row["finished"]) == (3, 2, 5)
    assert row["mean"] == pytest.approx(0.2)
    assert row["std"] == pytest.approx(0.1)
    assert row["ci_high"] == pytest.approx(0.2 + 0.2484138, abs=1e-6)
    assert row["best_trial_value"] == 0.2
    assert row["best.optimizer.lr"] == 0.02
    assert (row["parameters"], row["flops"], row["seconds"]) == (1000, 6000 * 200, 5 * 20.0)
    assert row["floor.loss"] == 0.5


def test_only_finished_runs_are_ranked_and_every_state_is_counted(tmp_path: Path):
    cell = {"task.height": 2}
    make_cell(tmp_path, compared=cell, values=(0.1,))
    make_run(tmp_path, "x", excess=(0.001,), compared=cell, phase="search", state="stopped")
    make_run(tmp_path, "y", excess=(0.001,), compared=cell, state="diverged")
    make_run(tmp_path, "z", compared=cell, state="failed")
    make_run(tmp_path, "w", excess=(0.001,), compared=cell, state="running")
    row = cells_of(tmp_path)["height=2"]
    assert (row["n"], row["mean"], row["best_trial_value"]) == (1, 0.1, 0.2)
    states = [row[state] for state in ("running", "finished", "stopped", "diverged", "failed")]
    assert states == [1, 3, 1, 1, 1]
    assert math.isnan(row["ci_low"])
    shares = [row[f"share_{state}"] for state in ("running", "finished", "stopped", "diverged")]
    assert shares == [1 / 7, 3 / 7, 1 / 7, 1 / 7]
    assert row["share_failed"] == 1 / 7


def test_the_best_trial_has_the_highest_value_where_higher_is_better(tmp_path: Path):
    for trial, excess in enumerate((0.3, 0.1)):
        make_run(
            tmp_path, f"run-{trial}", excess=(excess,), compared={}, phase="search",
            cell="only", trial=trial, tuned={"optimizer.lr": excess}, metric="valid/accuracy",
        )  # fmt: skip
    row = cells_of(tmp_path)["only"]
    assert row["best_trial_value"] == pytest.approx(0.7)
    assert row["best.optimizer.lr"] == 0.1


def test_of_equal_trials_the_earlier_one_is_chosen(tmp_path: Path):
    for trial in (0, 1, 2):
        make_run(
            tmp_path, f"run-{2 - trial}", excess=(0.1,), compared={}, phase="search",
            cell="only", trial=trial, tuned={"optimizer.lr": 0.01 + trial},
        )  # fmt: skip
    assert cells_of(tmp_path)["only"]["best.optimizer.lr"] == 0.01


def test_a_cell_without_a_confirm_run_has_no_mean(tmp_path: Path):
    make_cell(tmp_path, compared={"task.height": 2}, values=())
    row = cells_of(tmp_path)["height=2"]
    assert row["n"] == 0
    assert math.isnan(row["mean"])
    assert row["best_trial_value"] == 0.2


def test_arms_may_compare_different_paths(tmp_path: Path):
    make_cell(tmp_path, compared={"task.height": 2, "model.layers": 1}, values=(0.1,), arm="lstm")
    make_cell(tmp_path, compared={"task.height": 2, "model.heads": 4}, values=(0.1,), arm="other")
    cells = load(tmp_path).cells
    assert list(cells.columns[:5]) == ["arm", "cell", "task.height", "model.layers", "model.heads"]
    assert cells["model.heads"].isna().tolist() == [True, False]


def test_a_run_outside_any_sweep_stands_for_its_cell(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.3,))
    results = load(tmp_path)
    assert (results.name, results.question, results.metric) == (tmp_path.name, "", "valid/excess")
    assert results.cells["mean"].tolist() == [0.3]


def test_a_finished_run_without_the_metric_is_not_counted_in_n(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.3,), compared={})
    make_run(tmp_path, "b", excess=(), compared={})
    [row] = load(tmp_path).cells.to_dict("records")
    assert (row["n"], row["mean"], row["finished"]) == (1, 0.3, 2)


def test_runs_that_confirmed_an_earlier_winner_are_counted_and_not_ranked(tmp_path: Path):
    cell = {"task.height": 2}
    make_cell(tmp_path, compared=cell, values=(0.1, 0.2))
    new = {"optimizer.lr": 0.05}  # more trials were asked for, and one of them is better
    make_run(tmp_path, "new", excess=(0.05,), compared=cell, tuned=new, phase="search", trial=2)
    make_run(tmp_path, "again", excess=(0.06,), compared=cell, tuned=new, seed=1000)
    row = cells_of(tmp_path)["height=2"]
    assert (row["n"], row["mean"], row["finished"], row["best.optimizer.lr"]) == (1, 0.06, 6, 0.05)
    runs = load(tmp_path).runs.set_index("run")
    assert runs.index[runs["ranked"]].tolist() == ["again"]


def test_a_cell_says_by_which_method_its_intervals_are(tmp_path: Path):
    values = [0.1 + 0.01 * (seed % 7) for seed in range(20)]
    make_cell(tmp_path, compared={"task.height": 2}, values=values)
    make_cell(tmp_path, compared={"task.height": 3}, values=values[:5])
    make_cell(tmp_path, compared={"task.height": 4}, values=values[:1])
    many, few, one = cells_of(tmp_path).values()
    assert (many["interval"], few["interval"]) == ("bootstrap", "t")
    assert is_missing(one["interval"])
    assert many["ci_low"] == bootstrap_interval(values).low
    assert few["ci_low"] == t_interval(values[:5]).low
    assert many["interquartile_mean"] == middle_of(values).mean
    assert (few["iqm_low"], few["iqm_high"]) == (
        middle_of(values[:5]).low,
        middle_of(values[:5]).high,
    )
    assert math.isnan(one["interquartile_mean"])
