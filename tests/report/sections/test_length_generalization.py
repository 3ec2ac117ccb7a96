"""Length generalization: evaluation.json is read, averaged, drawn and reported."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seqtune.config.yaml_file import FileError
from seqtune.report import build, load
from seqtune.report.data import length_generalization
from seqtune.report.data.results import Results
from seqtune.report.sections import length_generalization as section
from seqtune.runs.directory import RunDirectory
from seqtune.stats.estimates import t_interval
from tests.report.charts import rows
from tests.report.made import make_cell, make_run

TASK = {"kind": "cfg", "height": 2}


def score(value: float | None, *, count: int = 64) -> dict[str, Any]:
    return {"value": value, "count": count, "standard_error": 0.01, "bound": None}


def entry(
    height: int, *, excess: float, strings: int = 64, lengths: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """An evaluation after epoch 2 on trees of some height; accuracy is .7 less the excess."""
    rows = [
        {
            "length": length,
            "strings": 32,
            "accuracy": score(0.7 - value),
            "excess": score(value),
            "loss": score(0.5 + value),
        }
        for length, value in (lengths or {}).items()
    ]
    return {
        "set": {"task.height": height, "evaluation.strings": strings},
        "task": {**TASK, "height": height},
        "epoch": 2,
        "floor": {"loss": 0.5, "loss_string": 5.0, "accuracy": 0.8 - height / 100, "share": 1.0},
        "scores": {
            "valid/loss": score(0.5 + excess, count=strings),
            "valid/excess": score(excess, count=strings),
            "valid/accuracy": score(0.7 - excess, count=strings),
        },
        "tables": {"by length": rows} if rows else {},
    }


def evaluated(root: Path, name: str, entries: Sequence[Mapping[str, Any]]) -> None:
    path = RunDirectory(root / "runs" / name).evaluation
    path.write_text(json.dumps({"evaluations": [*entries]}))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two cells with three confirm runs on height 2; two runs of the first were evaluated."""
    for layers in (1, 2):
        make_cell(tmp_path, compared={"model.layers": layers}, values=(0.1, 0.2, 0.3))
    for trial, excess in enumerate((0.4, 0.6)):
        lengths = {"20-24": excess, "25": excess + 0.1}
        entries = [entry(3, excess=excess, lengths=lengths), entry(4, excess=2 * excess)]
        evaluated(tmp_path, f"-1-confirm-{trial}", entries)
    return tmp_path


def by_height(results: Results, metric: str = "valid/excess") -> pd.DataFrame:
    return length_generalization.by_field(results, field="height", metric=metric)


def test_a_value_is_the_mean_over_the_evaluated_runs_of_a_cell(root: Path):
    frame = by_height(load(root))
    assert frame["cell"].unique().tolist() == ["layers=1"]
    assert frame["trained"].tolist() == [2, 2, 2]
    assert frame["value"].tolist() == [2, 3, 4]
    assert frame["n"].tolist() == [2, 2, 2]
    higher = t_interval([0.4, 0.6])
    assert frame.iloc[1][["mean", "low", "high"]].tolist() == pytest.approx(
        [0.5, higher.low, higher.high]
    )


def test_the_value_in_training_is_the_score_of_the_evaluated_weights(root: Path):
    results = load(root)
    assert by_height(results)["mean"].iloc[0] == pytest.approx(0.15)
    accuracy = by_height(results, "valid/accuracy")
    assert accuracy["mean"].iloc[0] == pytest.approx(0.8 - 0.15)
    assert accuracy["best"].tolist() == pytest.approx([0.8, 0.77, 0.76])
    own = [entry(2, excess=0.05), entry(3, excess=0.4)]
    evaluated(root, "-1-confirm-0", own)
    assert by_height(load(root))["mean"].iloc[0] == pytest.approx((0.05 + 0.2) / 2)


def test_of_two_evaluations_on_one_task_that_on_more_strings_counts(root: Path):
    entries = [entry(3, excess=0.9, strings=512), entry(3, excess=0.4, strings=64)]
    evaluated(root, "-1-confirm-0", entries)
    frame = by_height(load(root))
    assert frame[frame["value"] == 3]["mean"].tolist() == [pytest.approx((0.9 + 0.6) / 2)]


def test_lengths_are_groups_of_each_task(root: Path):
    frame = length_generalization.by_length(load(root), metric="valid/excess")
    assert frame[["first", "last"]].to_numpy().tolist() == [[20, 24], [25, 25]]
    assert frame["evaluated"].tolist() == ["height 3"] * 2
    assert frame["trained"].tolist() == ["height 2"] * 2
    assert not frame["own"].any()
    assert frame["mean"].tolist() == pytest.approx([0.5, 0.6])
    # Who knows a string's length knows more than its prefix tells: accuracy has no floor there.
    assert length_generalization.by_length(load(root), metric="valid/accuracy")["best"].isna().all()


def test_the_section_draws_and_tabulates_both_metrics(root: Path):
    found = section.section(load(root))
    assert found is not None
    assert [chart.name for chart in found.figures] == [
        *("beyond-height-excess", "beyond-height-accuracy"),
        *("beyond-length-excess", "beyond-length-accuracy"),
    ]
    assert "scored 2 runs of 1 cell beyond their training" in found.paragraphs[0]
    assert "1 cell without an evaluated run: not shown." in found.paragraphs[0]
    for chart in found.figures:
        assert "95 % t interval" in chart.caption
        assert "(n = 2)" in chart.caption
    heights = found.figures[0]
    assert {row["panel"] for row in rows(heights.chart)} == {"trained on height 2"}
    assert {row["border"] for row in rows(heights.chart)} == {2}
    table = found.tables[0].frame
    assert table["height 3"].tolist() == ["0.500 [-0.8, 1.8]"]
    assert [each.name for each in found.tables] == [
        *("beyond-height-excess", "beyond-height-accuracy", "beyond-length"),
    ]


def test_a_report_is_built_with_a_file_of_every_figure_and_table(root: Path):
    report = build(root).parent
    frame = pd.read_csv(report / "figures" / "beyond-height-excess.csv")
    assert frame["model.layers"].tolist() == [1, 1, 1]
    assert frame["mean"].tolist() == pytest.approx([0.15, 0.5, 1.0])
    lengths = pd.read_csv(report / "tables" / "beyond-length.csv")
    assert lengths["metric"].tolist() == ["valid/excess"] * 2 + ["valid/accuracy"] * 2


def test_without_an_evaluation_a_sentence_gives_the_command(tmp_path: Path):
    make_cell(tmp_path, compared={"task.height": 2}, values=(0.1,))
    make_cell(tmp_path, compared={"task.height": 3}, values=(0.1,))
    found = section.section(load(tmp_path))
    assert found is not None
    assert found.figures == found.tables == ()
    assert "seqtune evaluate SWEEP --set 'task.height=[2,3,4]'" in found.paragraphs[0]


def test_a_task_that_does_not_grow_has_no_section(tmp_path: Path):
    spec = {"task": {"kind": "text", "length": 20}, "seed": 0}
    make_run(tmp_path, "text", excess=(0.1,), info={"spec": spec})
    assert section.section(load(tmp_path)) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"evaluations": 1}', "must hold a list of evaluations"),
        ('{"evaluations": [{"set": {}}]}', "contains an evaluation that cannot be read"),
        ("{", "is not valid JSON"),
    ],
)
def test_a_file_that_cannot_be_read_raises_an_error(root: Path, text: str, message: str):
    path = root / "runs" / "-1-confirm-0" / "evaluation.json"
    path.write_text(text)
    with pytest.raises(FileError, match=message) as raised:
        load(root)
    assert str(path) in str(raised.value)


def test_only_representative_runs_are_evaluated_and_shown(tmp_path: Path):
    make_cell(tmp_path, compared={"model.layers": 1}, values=(0.1, 0.2))
    make_cell(tmp_path, compared={"model.layers": 2}, values=())
    evaluated(tmp_path, "-1-search-0", [entry(3, excess=0.4)])
    results = load(tmp_path)
    assert [each.run for each in results.representatives] == [
        *("-1-confirm-0", "-1-confirm-1", "-2-search-1"),
    ]
    assert results.evaluations == ()
