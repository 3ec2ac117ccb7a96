"""Heat maps and points over compared paths."""

from pathlib import Path

import pytest

from seqtune.report import load
from seqtune.report.figures import theme
from seqtune.report.sections import comparison
from seqtune.report.sections.section import Figure
from tests.report.charts import channel, options, parameters, rows, texts
from tests.report.made import make_cell, make_run


def compared(root: Path) -> Figure:
    [figure] = comparison.section(load(root)).figures
    return figure


def test_a_tile_has_its_interval_and_n_and_a_gap_says_why(tmp_path: Path):
    for height, layers, value in ((2, 1, 0.1), (2, 2, 0.2), (3, 1, 0.3)):
        cell = {"task.height": height, "model.layers": layers}
        make_cell(tmp_path, compared=cell, values=(value - 0.01, value, value + 0.01))
    make_run(tmp_path, "bad", compared={"task.height": 3, "model.layers": 2}, state="failed")
    spec = compared(tmp_path).chart
    [tile] = rows(spec, p0="3", p1="1")
    assert tile["value"] == pytest.approx(0.3)
    assert (tile["mean"], tile["note"]) == ("0.300", "n 3")
    assert tile["interval"].startswith("[0.27")
    [gap] = rows(spec, p0="3", p1="2")
    assert gap["value"] is None
    assert "no finished" in gap["note"]
    # Nothing can be chosen of two paths.
    assert "bind" not in parameters(spec)["across"]
    assert ">task.height<" in theme.svg(spec)


def test_any_two_of_three_paths_can_be_chosen(tmp_path: Path):
    for height in (2, 3):
        for layers in (1, 2):
            for dropout in (0.0, 0.5):
                cell = {
                    **{"task.height": height, "model.layers": layers},
                    "model.dropout": dropout,
                }
                value = 10.0**height * layers + dropout
                make_cell(tmp_path, compared=cell, values=(value, value + 0.01))
    figure = compared(tmp_path)
    assert "any two of the paths can be chosen" in figure.caption
    paths = ["task.height", "model.layers", "model.dropout"]
    assert sorted(options(figure.chart, "across")) == sorted(paths)
    assert sorted(options(figure.chart, "down")) == sorted(paths)
    # The values span more than a linear scale can show.
    assert channel(figure.chart, "color")["scale"]["type"] == "log"
    assert len(rows(figure.chart)) == 8
    svg = theme.svg(figure.chart)
    assert all(f">{text}<" in svg for text in ("dropout 0", "dropout 0.5", "model.layers"))
    swapped = {**figure.chart, "params": [dict(each) for each in figure.chart["params"]]}
    next(each for each in swapped["params"] if each["name"] == "across")["value"] = "p2"
    svg = theme.svg(swapped)
    assert all(f">{text}<" in svg for text in ("height 2", "height 3", "model.dropout"))


def test_points_have_an_interval_and_their_seeds(tmp_path: Path):
    make_cell(tmp_path, compared={"task.height": 2}, values=(0.1, 0.2, 0.3))
    make_run(tmp_path, "bad", compared={"task.height": 3}, state="failed")
    spec = compared(tmp_path).chart
    point, gap = rows(spec)
    assert (point["row"], point["text"]) == ("2", "0.200")
    assert sorted(point["seeds"]) == pytest.approx([0.1, 0.2, 0.3])
    assert point["low"] < 0.1
    assert point["high"] > 0.3
    assert (gap["value"], gap["row"]) == (None, "3")
    assert gap["note"]


def test_an_interval_that_leaves_a_logarithmic_scale_ends_at_its_edge(tmp_path: Path):
    make_cell(tmp_path, compared={"task.height": 2}, values=(0.001, 0.1, 0.2))
    make_cell(tmp_path, compared={"task.height": 3}, values=(5.0, 6.0, 7.0))
    spec = compared(tmp_path).chart
    assert channel(spec, "x")["scale"]["type"] == "log"
    assert all(row["low"] > 0 for row in rows(spec))


def test_arms_stand_side_by_side_at_a_value(tmp_path: Path):
    for arm in ("gru", "lstm"):
        make_cell(
            tmp_path,
            arm=arm,
            compared={"task.height": 2},
            values=(0.1, 0.2),
            cell=f"{arm}: height=2",
        )
    spec = compared(tmp_path).chart
    assert texts(spec) >= {"gru", "lstm", "2"}
    assert channel(spec, "color")["scale"]["domain"] == ["gru", "lstm"]
    assert ">gru<" in theme.svg(spec)
