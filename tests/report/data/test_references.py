"""Floors and references on the learning curves, and in the provenance."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from seqtune.report import build, load
from seqtune.report.data import references
from seqtune.report.figures import drawing, reference_lines
from seqtune.report.sections import curves, provenance
from tests.report.made import FACTS, make_run

NAMED = {"order-0 Kneser-Ney": 3.1, "order-4 Kneser-Ney": 1.681, "order-5 Kneser-Ney": 1.68}


def text_run(root: Path, name: str, *, named: Mapping[str, float] = NAMED, **compared: int) -> None:
    make_run(
        root,
        name,
        excess=(2.0, 1.0),
        compared={path.replace("__", "."): value for path, value in compared.items()},
        metric="valid/loss",
        info={"floor": None, "references": named, "data_hash": "0123456789abcdef" * 4},
    )


def horizontal(figure: Figure) -> list[float]:
    """Heights of the lines that go through a whole panel."""
    return [
        float(line.get_ydata()[0])  # pyright: ignore[reportIndexIssue, reportArgumentType]
        for axes in figure.axes
        for line in axes.get_lines()
        if list(line.get_xdata()) == [0, 1]  # pyright: ignore[reportArgumentType]
    ]


def name_boxes(figure: Figure) -> list[Bbox]:
    """Where the names are, in pixels, without the lines that lead to them."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    [axes] = figure.axes
    names = [text for text in axes.texts if isinstance(text, Annotation)]
    for name in names:
        name.update_positions(canvas.get_renderer())
    return [Text.get_window_extent(name) for name in names]


def named_in(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_references_are_lines_with_names_and_no_floor(tmp_path: Path):
    text_run(tmp_path, "a", model__layers=1)
    [chart] = curves.section(load(tmp_path)).charts
    assert sorted(horizontal(chart.figure)) == sorted(NAMED.values())
    assert set(NAMED) <= set(named_in(chart.figure))
    assert "references, scores of named predictors" in chart.caption
    assert "the exact floor" not in chart.caption
    assert chart.data["reference.order-0 Kneser-Ney"].tolist() == [3.1, 3.1]


def test_names_of_references_do_not_collide(tmp_path: Path):
    many = {f"order-{order} Kneser-Ney": 1.6 + 0.001 * order for order in range(8)}
    for layers in range(1, 10):
        text_run(tmp_path, f"run-{layers}", named=many, model__layers=layers, task__length=64)
    [chart] = curves.section(load(tmp_path)).charts
    boxes = sorted(name_boxes(chart.figure), key=lambda box: box.y0)
    assert len(boxes) == 8 + 9
    for below, above in itertools.pairwise(boxes):
        assert above.y0 >= below.y1 - 1
    assert boxes[-1].y1 <= chart.figure.bbox.y1
    assert max(box.x1 for box in boxes) <= chart.figure.bbox.x1 + 1


def test_greys_of_references_are_told_apart_and_dark_enough_to_read(tmp_path: Path):
    text_run(tmp_path, "a", model__layers=1)
    [chart] = curves.section(load(tmp_path)).charts
    ends = reference_lines.ends(chart.figure.axes[0], NAMED)
    lightness = [drawing.luminance(end.colour) for end in ends]
    assert lightness == sorted(lightness, reverse=True)
    assert len(set(lightness)) == 3
    assert [end.text for end in ends] == list(NAMED)  # from the worst to the best


def test_lines_of_a_panel_with_other_references_are_drawn_without(tmp_path: Path):
    for length in (64, 128):
        named = {name: value + length / 1000 for name, value in NAMED.items()}
        text_run(tmp_path, f"run-{length}", named=named, task__kind=1, task__length=length)
    [chart] = curves.section(load(tmp_path)).charts
    assert horizontal(chart.figure) == []
    assert "whose lines have different references shows none" in chart.caption


def test_panels_have_their_own_references(tmp_path: Path):
    for length in (64, 128):
        named = {"lzma": 1.9 + length / 1000}
        text_run(tmp_path, f"run-{length}", named=named, task__length=length, model__layers=1)
    [chart] = curves.section(load(tmp_path)).charts
    assert horizontal(chart.figure) == [1.964, 2.028]
    assert "shows none" not in chart.caption


def test_references_differ_by_more_than_the_last_digit():
    assert references.alike({"lzma": 1.9}, {"lzma": 1.9 + 1e-12})
    assert not references.alike({"lzma": 1.9}, {"lzma": 1.91})
    assert not references.alike({"lzma": 1.9}, {"other": 1.9})


@pytest.mark.parametrize("metric", ["valid/loss", "valid/accuracy"])
def test_a_floor_of_all_tokens_is_a_line(tmp_path: Path, metric: str):
    make_run(tmp_path, "a", excess=(0.2, 0.1), compared={}, metric=metric)
    charts = {chart.name: chart for chart in curves.section(load(tmp_path)).charts}
    chart = charts["curves-" + metric.replace("/", "-")]
    assert horizontal(chart.figure) == [FACTS["floor"][metric.partition("/")[2]]]
    assert "the exact floor" in chart.caption


@pytest.mark.parametrize("metric", ["valid/loss", "valid/accuracy"])
def test_a_floor_of_a_part_of_the_tokens_is_no_line(tmp_path: Path, metric: str):
    info = {"floor": {**FACTS["floor"], "share": 0.47}}
    make_run(tmp_path, "a", excess=(0.2, 0.1), compared={}, metric=metric, info=info)
    for chart in curves.section(load(tmp_path)).charts:
        assert horizontal(chart.figure) == []
        assert "A floor is known for only 47 % of the scored tokens" in chart.caption
        assert "valid/excess covers these" in chart.caption
        assert "Dashed" not in chart.caption


@pytest.mark.parametrize("metric", ["valid/excess", "valid/kl"])
def test_a_comparison_over_a_part_of_the_tokens_says_so(tmp_path: Path, metric: str):
    for height, share in ((2, 1.0), (3, 0.47)):
        make_run(
            tmp_path, f"run-{height}", excess=(0.2,), compared={"task.height": height},
            metric=metric, metrics={"valid/kl": 0.2},
            info={"floor": {**FACTS["floor"], "share": share}},
        )  # fmt: skip
    told = f"A floor is known of 47 % of the scored tokens in 1 of 2 cells; {metric} is over these."
    text = build(tmp_path).read_text(encoding="utf-8")
    assert text.count(told) == 2  # where it is said what was measured, and below its curves


def test_the_provenance_tells_data_and_references(tmp_path: Path):
    text_run(tmp_path, "a", model__layers=1)
    text_run(tmp_path, "b", model__layers=2)
    text = build(tmp_path).read_text(encoding="utf-8")
    assert "| data (SHA-256) | 0123456789ab |" in text
    assert "| order-4 Kneser-Ney | 1.681 |" in text
    trials = pd.read_csv(tmp_path / "report" / "trials.csv")
    assert trials["reference.order-5 Kneser-Ney"].tolist() == [1.68, 1.68]


def test_references_of_other_strings_have_columns_of_their_own(tmp_path: Path):
    for length in (64, 128):
        for layers in (1, 2):
            text_run(
                tmp_path, f"run-{length}-{layers}", named={"lzma": length / 100},
                task__length=length, model__layers=layers,
            )  # fmt: skip
    table = provenance.section(load(tmp_path)).tables[-1]
    assert table.frame.to_dict("list") == {
        "reference": ["lzma"],
        "nats a token, length=64": [0.64],
        "nats a token, length=128": [1.28],
    }


def test_distinct_data_is_counted(tmp_path: Path):
    for name, data in (("a", "a" * 64), ("b", "b" * 64), ("c", "b" * 64), ("d", None)):
        make_run(tmp_path, name, compared={}, info={"data_hash": data})
    data = load(tmp_path).provenance.data
    assert data == {"b" * 12: 2, "a" * 12: 1, "none": 1}


def test_no_data_and_no_references_are_not_mentioned(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.1,), compared={})
    text = build(tmp_path).read_text(encoding="utf-8")
    assert "SHA-256" not in text
    assert "eference" not in text
