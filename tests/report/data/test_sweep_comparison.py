import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seqtune.cli import app
from seqtune.report.data.sweep_comparison import Difference, compare_sweeps
from tests.report.made import make_cell, make_run


@pytest.fixture
def sweeps(tmp_path: Path) -> tuple[Path, Path]:
    """Two sweeps that share one cell, of another dropout and version of torch in the second."""
    left, right = tmp_path / "left", tmp_path / "right"
    make_cell(left, compared={"model.layers": 1}, values=(0.3, 0.4, 0.5))
    make_cell(left, compared={"model.layers": 2}, values=(0.1,))
    make_cell(right, compared={"model.layers": 3}, values=(0.2,))
    for trial, value in enumerate((0.2, 0.35)):
        make_run(
            right,
            f"other-{trial}",
            excess=(1.0, value),
            compared={"model.layers": 1},
            seed=1000 + trial,
            info={
                "spec": {"model": {"layers": 1, "dropout": 0.5}, "seed": 1000 + trial},
                "versions": {"torch": "3.0"},
            },
        )
    return left, right


def test_shared_cells_are_compared_by_seed(sweeps: tuple[Path, Path]):
    found = compare_sweeps(*sweeps)
    [cell] = found.cells
    assert (cell.cell, cell.left.n, cell.right.n) == ("layers=1", 3, 2)
    assert cell.left.mean == pytest.approx(0.4)
    assert cell.pair is not None
    assert cell.pair.n == 2
    assert cell.pair.difference.mean == pytest.approx((0.1 + 0.05) / 2)
    assert cell.pair.improvement == pytest.approx((1 + 0 + 0) / 6)
    assert found.only == (("layers=2",), ("layers=3",))


def test_what_else_differs_is_named_once(sweeps: tuple[Path, Path]):
    differences = compare_sweeps(*sweeps).differences
    assert Difference("model.dropout", "0.0", "0.5") in differences
    assert "seed" not in {each.what for each in differences}
    assert "optimizer.lr" not in {each.what for each in differences}
    [versions] = [each for each in differences if each.what == "versions"]
    assert "torch 3.0" in versions.right
    assert "torch 3.0" not in versions.left


def test_a_sweep_is_the_same_as_itself(sweeps: tuple[Path, Path]):
    found = compare_sweeps(sweeps[0], sweeps[0])
    assert not found.differences
    assert [each.pair.p for each in found.cells if each.pair] == [1.0, 1.0]


def test_the_command_prints_and_gives_json(sweeps: tuple[Path, Path]):
    words = ["compare", *map(str, sweeps)]
    out = CliRunner().invoke(app, words).stdout
    assert "layers=1" in out
    assert "only in A: layers=2" in out
    assert "model.dropout: 0.0 in A, 0.5 in B" in out
    data = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert data["cells"][0]["difference"]["mean"] == pytest.approx(0.075)
    assert data["only_right"] == ["layers=3"]


def test_sweeps_of_other_metrics_and_folders_without_runs_are_told(
    sweeps: tuple[Path, Path], tmp_path: Path
):
    make_run(
        tmp_path / "loss", "one", excess=(1.0,), compared={"model.layers": 1}, metric="valid/loss"
    )
    for other, words in (
        (tmp_path / "loss", "has the metric valid/loss"),
        (tmp_path / "none", "no such directory"),
    ):
        result = CliRunner().invoke(app, ["compare", str(sweeps[0]), str(other)])
        assert result.exit_code == 2
        assert words in result.stderr
