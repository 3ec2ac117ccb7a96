"""Figures that a page's script draws, as it reads them: shaded curves, and heat maps of any two paths."""

import json
from pathlib import Path
from typing import Any

import pytest

from seqtune.report import load
from seqtune.report.data.bands import Band
from seqtune.report.figures.growth_curves import Curve, Part
from seqtune.report.figures.moving_curves import moving_curves
from seqtune.report.figures.moving_growth import moving_growth
from seqtune.report.naming.names import Naming
from seqtune.report.sections import comparison
from seqtune.report.sections.section import Chart
from tests.report.made import make_cell, make_run

TRUTHS = [1.0, 0.5, 0.5, 0.0]


def band(cell: str, truths: list[float], *, seconds: float = 10.0) -> Band:
    steps = [1.0, 2.0, 3.0, 4.0]
    return Band(
        cell=cell,
        runs=("a", "b"),
        searched=False,
        epochs=[1, 2, 3, 4],
        places={
            "tokens": [100 * step for step in steps],
            "step": steps,
            "flops": [float("nan")] * 4,
            "seconds": [seconds * step for step in steps],
        },
        mean=[0.8, 0.7, 0.6, 0.5],
        low=[0.7, 0.6, 0.5, 0.4],
        high=[0.9, 0.8, 0.7, 0.6],
        truths=truths,
        floor=0.3,
    )


def drawn(*bands: Band) -> dict[str, Any]:
    names = {each.cell: each.cell for each in bands}
    naming = Naming(values={}, cells=names, brief=names)
    return json.loads(moving_curves(bands, metric="valid/loss", naming=naming))


def buttons(figure: dict[str, Any]) -> dict[str, Any]:
    """By the label of the axis: new data by attribute, and the changes of the layout."""
    menu = figure["layout"]["updatemenus"][0]["buttons"]
    return {each["label"]: each["args"] for each in menu}


def rows(figure: dict[str, Any]) -> list[dict[str, Any]]:
    return [trace for trace in figure["data"] if trace["type"] == "bar"]


def rectangles(shapes: list[dict[str, Any]]) -> list[tuple[float, float]]:
    return [(each["x0"], each["x1"]) for each in shapes if each["type"] == "rect"]


def test_cells_that_read_the_same_share_a_background_that_moves_with_the_axis():
    figure = drawn(band("p", TRUTHS), band("q", TRUTHS))
    shapes = figure["layout"]["shapes"]
    assert rectangles(shapes) == [(0, 100), (100, 300), (300, 400)]
    assert [each["x0"] for each in shapes if each["type"] == "line"] == [100, 300]
    assert shapes[0]["fillcolor"] == "#ffffff"
    assert [trace["x"] for trace in rows(figure)] == [[], []]
    _, changed = buttons(figure)["optimizer steps"]
    assert rectangles(changed["shapes"]) == [(0, 1), (1, 3), (3, 4)]
    assert list(buttons(figure)) == ["tokens trained on", "optimizer steps", "seconds"]


def test_cells_that_take_different_times_have_rows_over_seconds_alone():
    figure = drawn(band("p", TRUTHS), band("q", TRUTHS, seconds=20.0))
    assert not figure["layout"]["yaxis2"]["visible"]
    data, changed = buttons(figure)["seconds"]
    assert changed["shapes"] == []
    assert changed["yaxis2.visible"]
    assert changed["yaxis.domain"][1] < changed["yaxis2.domain"][0]
    bars = [place for place, trace in enumerate(figure["data"]) if trace["type"] == "bar"]
    assert [data["base"][place] for place in bars] == [[0, 10, 30], [0, 20, 60]]
    assert [data["x"][place] for place in bars] == [[10, 20, 10], [20, 40, 20]]
    assert all(len(values) == len(figure["data"]) for values in data.values())


def test_a_row_goes_with_its_curve_and_tells_what_was_read():
    figure = drawn(band("p", TRUTHS), band("q", [1.0] * 4))
    first, second = rows(figure)
    assert (first["legendgroup"], second["legendgroup"]) == ("p", "q")
    assert first["y"] == [0, 0, 0]
    assert first["hovertext"][1] == "<b>p</b><br>epoch: 2 to 3<br>forcing: 0.5"
    assert second["marker"]["color"] == ["#ffffff"]
    names = [trace["name"] for trace in figure["data"] if trace.get("showlegend", True)]
    assert names == ["p", "q", "own tokens read: none", "half", "all"]


@pytest.mark.parametrize("truths", [[1.0] * 4, [float("nan")] * 4])
def test_plain_teacher_forcing_is_not_shaded(truths: list[float]):
    figure = drawn(band("p", truths), band("q", truths))
    assert "shapes" not in figure["layout"]
    assert "yaxis2" not in figure["layout"]
    assert rows(figure) == []


def compared(root: Path) -> Chart:
    [chart] = comparison.section(load(root)).charts
    return chart


def heat_map(chart: Chart) -> dict[str, Any]:
    assert chart.interactive is not None
    return json.loads(chart.interactive)


def test_a_tile_has_its_interval_and_n_and_a_gap_says_why(tmp_path: Path):
    for height, layers, value in ((2, 1, 0.1), (2, 2, 0.2), (3, 1, 0.3)):
        cell = {"task.height": height, "model.layers": layers}
        make_cell(tmp_path, compared=cell, values=(value - 0.01, value, value + 0.01))
    make_run(tmp_path, "bad", compared={"task.height": 3, "model.layers": 2}, state="failed")
    figure = heat_map(compared(tmp_path))
    tiles, dark, gaps = figure["data"]
    # The darkest has white letters, and so is a trace of its own.
    assert tiles["z"] == [[pytest.approx(0.1), None], [pytest.approx(0.2), None]]
    assert dark["z"] == [[None, pytest.approx(0.3)], [None, None]]
    assert (tiles["textfont"]["color"], dark["textfont"]["color"]) == ("black", "white")
    assert (tiles["zmin"], tiles["zmax"]) == (dark["zmin"], dark["zmax"])
    assert tiles["text"][0][0] == "<b>0.100</b><br>[0.075, 0.125]<br>n 3"
    assert tiles["hovertext"][0][0] == (
        "<b>height=2, layers=1</b><br>valid/excess: 0.1000<br>95 % interval: [0.075, 0.125]<br>n 3"
    )
    assert (gaps["x"], gaps["y"]) == ([1], [1])
    assert gaps["text"] == ["no finished<br>confirm run"]
    assert figure["layout"]["xaxis"]["ticktext"] == ["2", "3"]
    assert "updatemenus" not in figure["layout"]


def test_any_two_of_three_paths_can_be_chosen(tmp_path: Path):
    for height in (2, 3):
        for layers in (1, 2):
            for dropout in (0.0, 0.5):
                cell = {
                    "task.height": height,
                    "model.layers": layers,
                    "model.dropout": dropout,
                }
                value = 10.0**height * layers + dropout
                make_cell(tmp_path, compared=cell, values=(value, value + 0.01))
    chart = compared(tmp_path)
    figure = heat_map(chart)
    menu = figure["layout"]["updatemenus"][0]["buttons"]
    assert [each["label"] for each in menu] == [
        "model.layers over task.height: dropout 0",
        "model.layers over task.height: dropout 0.5",
        "model.dropout over task.height: layers 1",
        "model.dropout over task.height: layers 2",
        "model.dropout over model.layers: height 2",
        "model.dropout over model.layers: height 3",
    ]
    assert "the axes and the values of the other paths can be selected" in chart.caption
    data, changed = menu[5]["args"]
    assert data["visible"] == [False] * 15 + [True] * 3
    assert changed["xaxis.title"] == {"text": "model.layers"}
    # The values span more than a linear scale can show.
    found = [value for each in figure["data"][15:17] for value in each["z"][0]]
    assert sorted(value for value in found if value is not None) == [
        pytest.approx(3.0, abs=1e-4),
        pytest.approx(3.3, abs=1e-2),
    ]
    assert figure["data"][0]["colorbar"]["ticktext"][:2] == ["200", "500"]


def grown(panel: str, name: str, *, mean: float = 0.2, best: float = 0.1) -> Curve:
    nan = float("nan")
    part = Part("", x=[1, 100], mean=[mean, 0.4], low=[0.1, nan], high=[0.5, nan], best=[best, nan])
    return Curve(panel=panel, name=name, rank=None, parts=(part,))


def beyond(*curves: Curve) -> dict[str, Any]:
    borders = {"trained on 2": 10.0}
    made = moving_growth(curves, borders=borders, metric="valid/loss", x="tokens", few=False)
    return json.loads(made)


def test_every_training_has_a_panel_with_its_cells_intervals_floors_and_border():
    figure = beyond(grown("trained on 2", "p"), grown("trained on 2", "q"), grown("other", "p"))
    lines = [trace for trace in figure["data"] if trace["mode"] == "lines+markers"]
    assert [(trace["name"], trace["xaxis"]) for trace in lines] == [
        ("p", "x"),
        ("q", "x"),
        ("p", "x2"),
    ]
    assert [trace["showlegend"] for trace in lines] == [True, True, False]
    assert lines[0]["line"]["color"] == lines[2]["line"]["color"]
    assert lines[0]["error_y"]["array"] == pytest.approx([0.3, 0.0])
    assert lines[0]["error_y"]["arrayminus"] == pytest.approx([0.1, 0.0])
    assert "95 % interval: 0.1 to 0.5" in lines[0]["hovertext"][0]
    assert "95 %" not in lines[0]["hovertext"][1]
    # A floor that both cells of a panel share is one line.
    floors = [trace for trace in figure["data"] if trace["mode"] == "lines"]
    assert [(trace["name"], trace["xaxis"]) for trace in floors] == [
        ("best possible", "x"),
        ("best possible", "x2"),
    ]
    [border] = figure["layout"]["shapes"]
    assert (border["x0"], border["x1"], border["xref"]) == (10, 10, "x")
    [word] = [each for each in figure["layout"]["annotations"] if each["text"] == "trained"]
    # Plotly takes the power of ten here, and the value itself above.
    assert word["x"] == 1


def test_what_a_logarithmic_scale_has_no_place_for_stands_at_its_edge():
    figure = beyond(grown("trained on 2", "p", mean=-0.25))
    [mark] = [each for each in figure["layout"]["annotations"] if "hovertext" in each]
    assert (mark["x"], mark["y"], mark["yref"], mark["hovertext"]) == (0, 0, "y domain", "p: -0.25")
