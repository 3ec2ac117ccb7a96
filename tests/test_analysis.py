"""The scripts in analysis/: what they draw is what the runs say, as a script and cell by cell."""

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.report.charts import marks, rows
from tests.report.made import make_cell, make_run

ANALYSIS = Path(__file__).parents[1] / "analysis"
SCRIPTS = ("excess_by_height.py", "curves_of_winners.py")
VALUES = {
    (2, 1): (0.1, 0.2, 0.3),
    (2, 2): (0.02, 0.02, 0.02),
    (3, 1): (0.5, 0.6),
    (3, 2): (0.1, 0.3, 0.5),
}
"""By height and layers, the excess of every confirm run after its second epoch; after the first it is 1."""
HALF_WIDTHS = {(2, 1): 0.248414, (2, 2): 0.0, (3, 1): 0.635310, (3, 2): 0.496828}
"""Of the 95 % t intervals: 4.302653 s / sqrt(3), and 12.706205 s / sqrt(2) for the cell of two."""


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    root = tmp_path / "heights"
    for (height, layers), values in VALUES.items():
        compared = {"task.height": height, "model.layers": layers}
        floor = {"floor": {"loss": height / 4, "loss_string": 5.0, "accuracy": 0.8}}
        make_cell(root, compared=compared, values=values, info=floor)
    return root


def run(name: str, *words: str | Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a script leaves behind, by name."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
    return runpy.run_path(str(ANALYSIS / name), run_name="__main__")


def test_the_excess_of_every_cell_is_drawn_with_its_interval(
    sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "figures"
    left = run("excess_by_height.py", sweep, "--out", out, monkeypatch=monkeypatch)
    spec = left["figure"].to_dict()
    drawn = [row for row in rows(spec) if "layers" in row]
    for (height, layers), values in VALUES.items():
        [row] = [row for row in drawn if (row["height"], row["layers"]) == (height, layers)]
        mean = sum(values) / len(values)
        half = HALF_WIDTHS[height, layers]
        assert row["mean"] == pytest.approx(mean)
        assert [row["ci_low"], row["ci_high"]] == pytest.approx(
            [mean - half, mean + half], abs=1e-6
        )
    encoding = next(each["encoding"] for each in marks(spec) if "xOffset" in each["encoding"])
    # Beside the tick of its height.
    assert (encoding["x"]["field"], encoding["xOffset"]["field"]) == ("height", "layers")
    assert "n = 2 or 3" in next(
        part["title"] for part in (spec, *spec["layer"]) if part.get("title")
    )
    table = pd.read_csv(out / "made_excess_by_height.csv")
    assert table["n"].tolist() == [3, 2, 3, 3]
    assert table["mean"].tolist() == pytest.approx([0.2, 0.55, 0.02, 0.3])
    assert table["ci_low"].tolist()[:2] == pytest.approx([-0.048414, -0.085310], abs=1e-6)
    assert sorted(each.suffix for each in out.iterdir()) == [".csv", ".json", ".png", ".svg"]
    assert f"saved: {out / 'made_excess_by_height'}.png" in capsys.readouterr().out


def test_the_curves_of_confirm_runs_are_drawn_with_their_range_and_the_floor(
    sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "figures"
    left = run("curves_of_winners.py", sweep, "--out", out, monkeypatch=monkeypatch)
    spec = left["figure"].to_dict()
    assert spec["facet"]["field"] == "language"
    for (height, layers), values in VALUES.items():
        language, cell = f"task.height={height}", f"height={height}, layers={layers}"
        first, last = rows(spec, language=language, cell=cell)
        # valid/loss is .5 more than the excess; search trials, at .9 and .7, are left out.
        assert (first["mean"], last["mean"]) == pytest.approx(
            (1.5, 0.5 + sum(values) / len(values))
        )
        assert (first["tokens"], last["tokens"]) == (100, 200)
        assert last["low"] == pytest.approx(0.5 + min(values))
        assert last["high"] == pytest.approx(0.5 + max(values))
        assert last["floor"] == pytest.approx(height / 4)
    table = pd.read_csv(out / "made_curves_of_winners.csv")
    assert table["cell"].tolist()[4:6] == ["height=3, layers=1"] * 2
    assert table["n"].tolist() == [3, 3, 3, 3, 2, 2, 3, 3]
    assert table["mean"].tolist()[4:6] == pytest.approx([1.5, 1.05])
    assert table["floor"].tolist() == [0.5] * 4 + [0.75] * 4
    assert sorted(each.suffix for each in out.iterdir()) == [".csv", ".json", ".png", ".svg"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_notebook_runs_the_cells_without_arguments(
    sweep: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    """What the arguments of a notebook's own process are, the script does not look at."""
    monkeypatch.setattr(sys, "argv", ["kernel", "-f", "kernel.json"])
    monkeypatch.setattr(sys, "ps1", "In : ", raising=False)
    text = (ANALYSIS / name).read_text(encoding="utf-8")
    title, *cells = re.split(r"^# %%.*$", text, flags=re.MULTILINE)
    assert title.startswith('"""')
    assert len(cells) >= 4
    names: dict[str, Any] = {}
    exec(cells[0], names)
    assert names["options"].directory == ANALYSIS.parent / "results" / "lstm_vs_tree"
    names["options"].directory, names["options"].out = sweep, sweep.parent / "figures"
    for cell in cells[1:]:
        exec(cell, names)
    assert list((sweep.parent / "figures").glob("made_*.csv"))


def test_a_sweep_that_compares_something_else_says_which_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make_cell(tmp_path, compared={"task.height": 2, "model.width": 8}, values=(0.1, 0.2))
    with pytest.raises(SystemExit) as refused:
        run("excess_by_height.py", tmp_path, monkeypatch=monkeypatch)
    assert "compares task.height, model.width; write --x PATH --by PATH" in str(refused.value)
    by = ("--by", "model.width", "--out", tmp_path)
    assert run("excess_by_height.py", tmp_path, *by, monkeypatch=monkeypatch)["table"]["n"].all()


def test_arms_are_not_mixed_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for arm in ("wide", "narrow"):
        compared = {"task.height": 2, "model.layers": 1}
        make_cell(tmp_path, compared=compared, values=(0.1, 0.2), arm=arm, cell=arm)
    with pytest.raises(SystemExit, match="has several arms"):
        run("excess_by_height.py", tmp_path, monkeypatch=monkeypatch)


def test_a_sweep_without_confirm_runs_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_run(tmp_path, "one", excess=(1.0, 0.5), compared={"model.layers": 1}, phase="search")
    with pytest.raises(SystemExit, match="no confirm run has finished"):
        run("curves_of_winners.py", tmp_path, monkeypatch=monkeypatch)
