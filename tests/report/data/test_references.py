"""Floors and references on the learning curves, and in the provenance."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from seqtune.report import build, load
from seqtune.report.data import references
from seqtune.report.figures.theme import Spec
from seqtune.report.sections import curves, provenance
from tests.report.charts import rows, texts
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


def levels(spec: Spec, kind: str) -> list[float]:
    return [row["value"] for row in rows(spec, kind=kind)]


def test_references_are_lines_with_names_and_no_floor(tmp_path: Path):
    text_run(tmp_path, "a", model__layers=1)
    [figure] = curves.section(load(tmp_path)).figures
    assert sorted(levels(figure.chart, "reference")) == sorted(NAMED.values())
    assert set(NAMED) <= texts(figure.chart)
    assert "references, which are named predictors" in figure.caption
    assert "the exact floor" not in figure.caption
    assert figure.data["reference.order-0 Kneser-Ney"].tolist() == [3.1, 3.1]


def test_lines_of_a_panel_with_other_references_are_drawn_without(tmp_path: Path):
    for length in (64, 128):
        named = {name: value + length / 1000 for name, value in NAMED.items()}
        text_run(tmp_path, f"run-{length}", named=named, task__kind=1, task__length=length)
    [figure] = curves.section(load(tmp_path)).figures
    assert levels(figure.chart, "reference") == []
    assert "have different references are drawn without any" in figure.caption


def test_panels_have_their_own_references(tmp_path: Path):
    for length in (64, 128):
        named = {"lzma": 1.9 + length / 1000}
        text_run(tmp_path, f"run-{length}", named=named, task__length=length, model__layers=1)
    [figure] = curves.section(load(tmp_path)).figures
    assert levels(figure.chart, "reference") == [1.964, 2.028]
    assert "drawn without" not in figure.caption


def test_references_differ_by_more_than_the_last_digit():
    assert references.alike({"lzma": 1.9}, {"lzma": 1.9 + 1e-12})
    assert not references.alike({"lzma": 1.9}, {"lzma": 1.91})
    assert not references.alike({"lzma": 1.9}, {"other": 1.9})


@pytest.mark.parametrize("metric", ["valid/loss", "valid/accuracy"])
def test_a_floor_of_all_tokens_is_a_line(tmp_path: Path, metric: str):
    make_run(tmp_path, "a", excess=(0.2, 0.1), compared={}, metric=metric)
    figures = {figure.name: figure for figure in curves.section(load(tmp_path)).figures}
    figure = figures["curves-" + metric.replace("/", "-")]
    assert levels(figure.chart, "floor") == [FACTS["floor"][metric.partition("/")[2]]]
    assert "the exact floor" in figure.caption


@pytest.mark.parametrize("metric", ["valid/loss", "valid/accuracy"])
def test_a_floor_of_a_part_of_the_tokens_is_no_line(tmp_path: Path, metric: str):
    info = {"floor": {**FACTS["floor"], "share": 0.47}}
    make_run(tmp_path, "a", excess=(0.2, 0.1), compared={}, metric=metric, info=info)
    for figure in curves.section(load(tmp_path)).figures:
        assert levels(figure.chart, "floor") == []
        assert "47 % of the scored tokens" in figure.caption
        assert "valid/excess covers these" in figure.caption
        assert "Dashed" not in figure.caption


@pytest.mark.parametrize("metric", ["valid/excess", "valid/kl"])
def test_a_comparison_over_a_part_of_the_tokens_says_so(tmp_path: Path, metric: str):
    for height, share in ((2, 1.0), (3, 0.47)):
        make_run(
            tmp_path, f"run-{height}", excess=(0.2,), compared={"task.height": height},
            metric=metric, metrics={"valid/kl": 0.2},
            info={"floor": {**FACTS["floor"], "share": share}},
        )  # fmt: skip
    told = f"47 % of the scored tokens in 1 of 2 cells; {metric} covers these."
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
