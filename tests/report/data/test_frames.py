import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seqtune.report.data import frames
from seqtune.report.data.runs import read
from seqtune.report.naming.labels import is_missing
from tests.report.made import make_run


def runs_of(root: Path) -> pd.DataFrame:
    return frames.runs_frame(read(root)).set_index("run")


def rows_of(root: Path) -> dict[str, dict[Hashable, Any]]:
    return {row["run"]: row for row in runs_of(root).reset_index().to_dict("records")}


def test_a_run_is_a_row(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.3, 0.1, 0.2), compared={"task.height": 2}, seed=7)
    row = rows_of(tmp_path)["a"]
    assert row["cell"] == "height=2"
    assert (row["phase"], row["trial"], row["state"], row["seed"]) == ("confirm", 0, "finished", 7)
    assert (row["epoch"], row["seconds"], row["parameters"]) == (3, 30.0, 1000)
    assert row["flops"] == 6000 * 300
    assert row["directory"] == "runs/a"
    assert row["floor.loss"] == 0.5


def test_best_is_the_smallest_loss_and_the_largest_accuracy(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.3, 0.1, 0.2), compared={})
    row = rows_of(tmp_path)["a"]
    assert (row["valid/excess.last"], row["valid/excess.best"]) == (0.2, 0.1)
    assert (row["valid/accuracy.last"], row["valid/accuracy.best"]) == (0.8 - 0.2, 0.8 - 0.1)


def test_a_value_that_is_no_number_is_last_but_never_best(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.3, math.nan), compared={})
    row = rows_of(tmp_path)["a"]
    assert math.isnan(row["valid/excess.last"])
    assert row["valid/excess.best"] == 0.3


def test_only_what_varies_is_compared_or_tuned_has_a_column(tmp_path: Path):
    make_run(tmp_path, "a", compared={"task.height": 2}, tuned={"optimizer.lr": 0.01})
    make_run(
        tmp_path, "b", compared={"task.height": 2}, tuned={"optimizer.lr": 0.01},
        info={"spec": {"model": {"kind": "transformer", "heads": 4}, "seed": 0}},
    )  # fmt: skip
    columns = list(runs_of(tmp_path).columns)
    settings = columns[columns.index("directory") + 1 : columns.index("floor.loss")]
    assert settings[:2] == ["task.height", "optimizer.lr"]
    assert {"model.kind", "model.heads", "model.layers"} <= set(settings)
    assert "optimizer.kind" in settings  # one run has it, the other does not
    assert "seed" not in settings


def test_null_is_a_value_and_missing_is_none(tmp_path: Path):
    make_run(tmp_path, "a", compared={"training.clip_norm": None})
    make_run(tmp_path, "b", compared={"training.clip_norm": 1.0})
    make_run(tmp_path, "c", compared={}, info={"spec": {"seed": 0}})
    column = runs_of(tmp_path)["training.clip_norm"]
    assert column["a"] == "null"
    assert column["b"] == 1.0
    assert is_missing(column["c"])


def test_a_compared_block_is_its_json(tmp_path: Path):
    make_run(tmp_path, "a", compared={"optimizer": {"kind": "sgd", "lr": 0.1}})
    make_run(tmp_path, "b", compared={"task.height": 3})
    column = runs_of(tmp_path)["optimizer"]
    assert column["a"] == '{"kind":"sgd","lr":0.1}'
    assert column["b"] == '{"kind":"adamw","lr":0.003}'


def test_whole_numbers_stay_whole_beside_missing_ones(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.1,), compared={})
    make_run(tmp_path, "b", compared={}, state="failed", info={"parameters": None})
    runs = runs_of(tmp_path)
    assert runs["parameters"].dtype == "Int64"
    assert runs["epoch"].isna().tolist() == [False, True]


def test_a_seed_beyond_64_bits_is_kept(tmp_path: Path):
    make_run(tmp_path, "a", compared={}, seed=2**70)
    assert rows_of(tmp_path)["a"]["seed"] == 2**70


def test_references_have_columns_of_their_own(tmp_path: Path):
    references = {"order-0 Kneser-Ney": 3.1, "lzma": 1.9}
    make_run(tmp_path, "a", compared={}, info={"floor": None, "references": references})
    make_run(tmp_path, "b", compared={})
    runs = runs_of(tmp_path)
    assert runs.loc["a", "reference.order-0 Kneser-Ney"] == 3.1
    assert runs["reference.lzma"].isna().tolist() == [False, True]


def test_a_floor_that_says_no_share_covers_all_tokens(tmp_path: Path):
    floor = {"loss": 0.5, "loss_string": 5.0, "accuracy": 0.8}
    make_run(tmp_path, "a", compared={}, info={"floor": floor})
    make_run(tmp_path, "b", compared={}, info={"floor": {**floor, "share": 0.47}})
    make_run(tmp_path, "c", compared={}, info={"floor": None})
    shares = runs_of(tmp_path)["floor.share"]
    assert (shares["a"], shares["b"]) == (1.0, 0.47)
    assert is_missing(shares["c"])


def test_a_run_outside_any_sweep_is_a_cell_of_its_own(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.1,))
    row = rows_of(tmp_path)["a"]
    assert row["cell"] == "a"
    assert is_missing(row["phase"])


def test_cells_are_in_the_order_of_their_numbers_not_of_their_names(tmp_path: Path):
    for height in (10, 9, 2):
        make_run(tmp_path, f"run-{height}", compared={"task.height": height})
    assert runs_of(tmp_path)["task.height"].tolist() == [2, 9, 10]


def test_a_curve_is_a_row_a_value(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.3, 0.1), compared={})
    curves = frames.curves_frame(read(tmp_path))
    mine = curves[curves["metric"] == "valid/excess"]
    assert mine["value"].tolist() == [0.3, 0.1]
    assert mine["tokens"].tolist() == [100, 200]
    assert len(curves) == 2 * 3


def test_runs_directly_below_the_root_are_found(tmp_path: Path):
    make_run(tmp_path, "a", compared={})
    [run] = read(tmp_path / "runs")
    assert run.directory == "a"


def test_a_missing_directory_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match="nowhere: no such directory"):
        read(tmp_path / "nowhere")


def test_a_directory_without_runs_is_named(tmp_path: Path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(ValueError, match="holds no runs"):
        read(tmp_path)
