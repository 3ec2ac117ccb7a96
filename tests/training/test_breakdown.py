"""Scores broken down, against plain sums; tree levels against tables worked by hand."""

import itertools

import numpy as np
import pytest
import torch

from seqtune.models import LSTMSpec
from seqtune.models.base import SequenceModel
from seqtune.models.build import build_network
from seqtune.tasks import TaskSpec
from seqtune.tasks.base import Batch, Strings, Task, WithTrees
from seqtune.tasks.build import build_task
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.cfg.task import CfgTask
from seqtune.tasks.life.spec import LifeSpec
from seqtune.tasks.life.task import LifeTask
from seqtune.tasks.score import Score
from seqtune.tasks.text.spec import TextSpec
from seqtune.training.breakdown import Row, levels, make_tables
from seqtune.training.evaluation import Evaluator
from seqtune.training.spec import EvaluationSpec
from tests.models.oracle import Oracle

SPECS: list[TaskSpec] = [
    CfgSpec(grammar="cfg3b", height=4),
    CfgSpec(grammar="cfg3b", height=3, format="padded"),
    CfgSpec(grammar="cfg3b", height=3, format="packed", length=50),
    CfgSpec(grammar="dyck"),
    LifeSpec.parse({"kind": "life", "loss": "whole", "vocabulary": "compact"}),
    LifeSpec.parse({"kind": "life", "vocabulary": "compact"}),
    TextSpec(length=20),
]


def evaluator_of(task: Task, *, strings: int = 50) -> Evaluator:
    return Evaluator(EvaluationSpec(strings=strings, free=0, generate=0), task=task)


def small(task: Task) -> SequenceModel:
    torch.manual_seed(0)
    model = build_network(
        LSTMSpec(width=8),
        vocab_size=task.vocab_size,
        outputs=task.outputs,
        max_length=task.max_length,
    )
    return model.eval()


def score(row: Row, name: str) -> Score:
    value = row[name]
    assert isinstance(value, Score)
    return value


def total(rows: tuple[Row, ...], name: str) -> int:
    counts = [row[name] for row in rows]
    assert all(isinstance(count, int) for count in counts)
    return sum(count for count in counts if isinstance(count, int))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.kind}-{spec.hash()}")
def test_the_rows_of_a_table_add_up_to_the_score_of_all(spec: TaskSpec):
    task = build_task(spec)
    evaluator, model = evaluator_of(task), small(task)
    whole = evaluator.evaluate(model, epoch=1).scores
    rows = make_tables(evaluator, model)["by position"]
    assert len(rows) <= 32
    assert total(rows, "tokens") == evaluator.scored
    for name, metric in (("loss", "valid/loss"), ("accuracy", "valid/accuracy")):
        weighted = sum(score(row, name).value * total((row,), "tokens") for row in rows)
        assert weighted / evaluator.scored == pytest.approx(whole[metric].value, rel=1e-9)
    assert ("excess" in rows[0]) == ("valid/excess" in whole)
    assert ("kl" in rows[0]) == ("valid/kl" in whole)


def test_positions_count_from_1_and_have_a_row_each_while_they_are_few():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=2))
    evaluator, model = evaluator_of(task), small(task)
    rows = make_tables(evaluator, model)["by position"]
    assert [row["position"] for row in rows] == [str(number) for number in range(1, 11)]
    lengths = evaluator.strings.lengths
    assert [row["tokens"] for row in rows] == [int((lengths >= step).sum()) for step in range(10)]
    assert score(rows[9], "loss").count == int((lengths == 9).sum())


def test_many_positions_share_32_rows():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=4))
    rows = make_tables(evaluator_of(task, strings=300), small(task))["by position"]
    names = [str(row["position"]) for row in rows]
    assert len(names) == 32
    ends = [[int(part) for part in name.split("-")] for name in names]
    assert ends[0][0] == 1
    assert all(below[-1] + 1 == above[0] for below, above in itertools.pairwise(ends))
    assert {end[-1] - end[0] for end in ends} <= {1, 2}


def test_a_prompt_has_no_row():
    task = LifeTask(LifeSpec.parse({"kind": "life", "vocabulary": "compact"}))
    rows = make_tables(evaluator_of(task), small(task))["by position"]
    # 35 characters are given, so the first that is predicted, the blank, is target number 35.
    assert [row["position"] for row in rows] == [str(number) for number in range(35, 55)]
    assert score(rows[0], "excess") == score(rows[0], "loss")


def test_lengths_are_those_of_the_strings_themselves():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=2))
    evaluator = evaluator_of(task)
    rows = make_tables(evaluator, Oracle(task.grammar))["by length"]
    assert [row["length"] for row in rows] == ["6", "7", "8", "9"]
    lengths = evaluator.strings.lengths
    assert [row["strings"] for row in rows] == [
        int((lengths == each).sum()) for each in range(6, 10)
    ]
    for row in rows:
        assert score(row, "excess_string").value == pytest.approx(0, abs=1e-5)
        assert score(row, "exact").count == score(row, "loss").count == row["strings"]


def test_many_lengths_share_8_rows_whose_scores_add_up():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=4))
    evaluator, model = evaluator_of(task, strings=200), small(task)
    rows = make_tables(evaluator, model)["by length"]
    whole = evaluator.evaluate(model, epoch=1).scores
    for name in ("accuracy", "loss", "excess"):
        values = [score(row, name).value for row in rows]
        low, high = min(values), max(values)
        assert low <= whole[f"valid/{name}"].value <= high
        assert low < high
    assert 4 < len(rows) <= 8
    assert total(rows, "strings") == 200


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        (CfgSpec(grammar="cfg3b", height=2), ["by position", "by length", "by level"]),
        (CfgSpec(grammar="cfg3b", height=2, format="packed"), ["by position", "by level"]),
        (LifeSpec(), ["by position"]),
        (TextSpec(length=20), ["by position"]),
    ],
)
def test_a_task_has_the_tables_that_mean_something_there(spec: TaskSpec, names: list[str]):
    task = build_task(spec)
    assert list(make_tables(evaluator_of(task, strings=8), small(task))) == names


def test_a_target_is_of_the_highest_level_that_ends_before_it():
    """The string a b c d: two nodes of the lower level, a b and c d, below one of the higher.

    Read are BOS a b c d; what follows BOS begins a string, what follows b a node of the lower
    level."""
    boundaries = np.array([[[-1, 0, 1, 0, 1]], [[-1, 0, 0, 0, 1]]])
    row = np.array([[0, 1, 2, 3, 4]])
    strings = Strings(np.array([1, 2, 3, 4]), np.array([0, 4]))
    labelled = WithTrees(
        batch=Batch(row, row, np.ones((1, 5), dtype=bool), strings),
        levels=("low", "high"),
        symbols=("X",),
        ancestors=np.minimum(boundaries, 0),
        boundaries=boundaries,
    )
    groups, names = levels(labelled)
    assert [names[group] for group in groups[0]] == [
        "after no node",
        "inside a node",
        "low",
        "inside a node",
        "high",
    ]


def test_levels_of_a_tree_count_the_nodes_that_end():
    """Height 2 has three nodes of height 1 and is one of height 2: two end below it alone."""
    task = CfgTask(CfgSpec(grammar="cfg3b", height=2))
    evaluator = evaluator_of(task, strings=40)
    rows = make_tables(evaluator, Oracle(task.grammar))["by level"]
    counts = {row["level"]: row["tokens"] for row in rows}
    assert counts["after no node"] == counts["height 2"] == 40
    assert counts["height 1"] == 80
    assert 3 * 40 <= total(rows, "tokens") - 40 - 120 <= 6 * 40
    # After the root's end comes EOS, which is certain; after BOS one of two strings' beginnings.
    by_level = {row["level"]: row for row in rows}
    assert score(by_level["height 2"], "loss").value == pytest.approx(0, abs=1e-6)
    assert score(by_level["after no node"], "loss").value > 0.3
    for row in rows:
        assert score(row, "excess").value == pytest.approx(0, abs=1e-5)
        assert score(row, "kl").value == pytest.approx(0, abs=1e-12)


def test_batches_of_any_size_give_the_same_tables(monkeypatch: pytest.MonkeyPatch):
    task = CfgTask(CfgSpec(grammar="cfg3b", height=3))
    model = small(task)
    whole = make_tables(evaluator_of(task), model)
    monkeypatch.setattr("seqtune.training.evaluation.TOKENS_PER_BATCH", 100)
    monkeypatch.setattr("seqtune.training.breakdown.TOKENS_PER_BATCH", 100)
    parts = make_tables(evaluator_of(task), model)
    for name, rows in whole.items():
        for row, other in zip(rows, parts[name], strict=True):
            for column, value in row.items():
                if isinstance(value, Score):
                    assert score(other, column).value == pytest.approx(value.value, abs=1e-5)
                else:
                    assert other[column] == value
