"""Teacher-forced and free-running scores side by side, over the confirm runs."""

import math
from pathlib import Path

import pandas as pd
import pytest

from seqtune.report import build, load
from seqtune.report.sections import free_running
from seqtune.report.sections.section import Table
from tests.report.made import make_run

CELLS = {1: (0.1, 0.3), 2: (0.5, 0.7)}
"""By layers: excess of two confirm runs; free/loss is twice it, valid/loss .5 more."""


def scored(root: Path, *, free: bool = True) -> None:
    for layers, values in CELLS.items():
        for trial, value in enumerate((0.01, *values)):
            metrics = {"generate/valid": value / 2}
            if free:
                metrics |= {"free/loss": 2 * value, "free/gap": value}
            make_run(
                root, f"run-{layers}-{trial}", excess=(1.0, value),
                compared={"model.layers": layers},
                phase="confirm" if trial else "search", trial=trial, metrics=metrics,
            )  # fmt: skip


def table_of(root: Path) -> Table:
    found = free_running.section(load(root))
    assert found is not None
    [table] = found.tables
    return table


def test_a_row_a_cell_has_mean_interval_and_n_over_the_confirm_runs(tmp_path: Path):
    scored(tmp_path)
    table = table_of(tmp_path)
    assert table.frame.to_dict("records") == [
        {
            "model.layers": "1",
            "n": 2,
            "valid/loss (nats per token)": "0.700 [-0.6, 2.0]",
            "free/loss (nats per token)": "0.400 [-2.1, 2.9]",
            "free/gap (nats per token)": "0.200 [-1.1, 1.5]",
            "generate/valid (share of samples)": "0.100 [-0.54, 0.74]",
        },
        {
            "model.layers": "2",
            "n": 2,
            "valid/loss (nats per token)": "1.10 [-0.2, 2.4]",
            "free/loss (nats per token)": "1.20 [-1.3, 3.7]",
            "free/gap (nats per token)": "0.600 [-0.7, 1.9]",
            "generate/valid (share of samples)": "0.300 [-0.34, 0.94]",
        },
    ]
    assert "over a cell's finished confirm runs (n = 2)" in table.caption
    assert "Lower is better, except for generate/valid." in table.caption


def test_the_table_has_its_numbers_in_a_file(tmp_path: Path):
    scored(tmp_path)
    report = build(tmp_path)
    assert "([data](tables/forced-and-free.csv))" in report.read_text(encoding="utf-8")
    rows = pd.read_csv(report.parent / "tables" / "forced-and-free.csv")
    assert list(rows.columns) == [
        "arm",
        "cell",
        "model.layers",
        "metric",
        "n",
        "mean",
        "ci_low",
        "ci_high",
    ]
    mine = rows[rows["model.layers"] == 2].set_index("metric")
    assert list(mine.index) == ["valid/loss", "free/loss", "free/gap", "generate/valid"]
    assert mine["mean"].tolist() == pytest.approx([1.1, 1.2, 0.6, 0.3])
    # Student's t with one degree of freedom, whose 97.5 % point is 12.7062.
    assert mine["ci_high"].tolist() == pytest.approx(
        [1.1 + 1.27062, 1.2 + 2.54124, 0.6 + 1.27062, 0.3 + 0.63531], rel=1e-5
    )


def test_cells_hold_what_the_confirm_runs_score_free_running(tmp_path: Path):
    scored(tmp_path)
    build(tmp_path)
    [row, _] = pd.read_csv(tmp_path / "report" / "cells.csv").to_dict("records")
    assert (row["free/loss.n"], row["free/gap.mean"]) == (2, pytest.approx(0.2))
    assert row["free/loss.ci_low"] == pytest.approx(0.4 - 2.54124, rel=1e-5)
    assert row["generate/valid.ci_high"] == pytest.approx(0.1 + 0.63531, rel=1e-5)
    assert "free/accuracy.mean" not in row


def test_what_no_run_has_is_left_out(tmp_path: Path):
    scored(tmp_path, free=False)
    assert [str(name).partition(" ")[0] for name in table_of(tmp_path).frame] == [
        *("model.layers", "n", "valid/loss", "generate/valid"),
    ]
    assert not [name for name in load(tmp_path).cells if str(name).startswith("free/")]


def test_without_any_such_score_there_is_no_table(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.1,), compared={"model.layers": 1})
    assert free_running.section(load(tmp_path)) is None


def test_search_trials_alone_have_no_table(tmp_path: Path):
    make_run(
        tmp_path, "a", excess=(0.1,), compared={"model.layers": 1}, phase="search",
        metrics={"free/loss": 1.0},
    )  # fmt: skip
    assert free_running.section(load(tmp_path)) is None


def test_a_score_that_some_runs_lack_says_over_how_many_it_is(tmp_path: Path):
    scored(tmp_path)
    make_run(
        tmp_path, "more", excess=(0.3,), compared={"model.layers": 1}, trial=3,
        metrics={"free/loss": math.nan},
    )  # fmt: skip
    row = table_of(tmp_path).frame.iloc[0]
    assert row["n"] == 3
    assert row["free/loss (nats per token)"] == "0.400 [-2.1, 2.9] (n 2)"
    assert "(n = 2 to 3)" in table_of(tmp_path).caption
