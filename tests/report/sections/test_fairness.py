import math
from pathlib import Path

import pandas as pd
import pytest

from seqtune.report import load
from seqtune.report.data.costs import rank_at_equal_budgets, score_at
from seqtune.report.sections import fairness
from tests.report.made import make_run


def two_cells(root: Path) -> None:
    """Two layers are better as trained, and cost twice the FLOPs a token; six seeds each."""
    for layers, end in ((1, 0.3), (2, 0.1)):
        for seed in range(6):
            make_run(
                root, f"{layers}-{seed}", excess=(1.0, end + 0.01 * seed), seed=seed,
                compared={"model.layers": layers}, info={"flops_per_token": 6000 * layers},
            )  # fmt: skip


def test_a_score_is_read_off_between_two_evaluations():
    points = pd.DataFrame({"tokens": [100, 200], "value": [1.0, 0.5]})
    assert score_at(points, cost="tokens", amount=150) == 0.75
    assert score_at(points, cost="tokens", amount=200) == 0.5
    assert math.isnan(score_at(points, cost="tokens", amount=99))


def test_the_budget_is_what_every_ranked_run_has_reached(tmp_path: Path):
    two_cells(tmp_path)
    found = {budget.cost: budget for budget in rank_at_equal_budgets(load(tmp_path))}
    assert found["tokens"].amounts == {"": 200}
    assert found["seconds"].amounts == {"": 20}
    # The cheap one has spent 6,000 x 200; by then the dear one has seen 100 tokens.
    assert found["flops"].amounts == {"": pytest.approx(1_200_000)}
    means = {row.cell: row.estimate.mean for row in found["flops"].ranking.rows}
    assert means == {"layers=1": pytest.approx(0.325), "layers=2": pytest.approx(1.0)}
    assert [row.cell for row in found["flops"].ranking.rows] == ["layers=1", "layers=2"]
    assert [row.rank for row in found["flops"].ranking.rows] == [1, 2]


def test_a_sentence_says_whether_the_best_cell_changes(tmp_path: Path):
    two_cells(tmp_path)
    section = fairness.section(load(tmp_path))
    assert section is not None
    assert section.paragraphs == (
        "layers=2 has the best mean as the cells were trained, and also with 200 tokens or 20.0 "
        "seconds a run; with 1,200,000 FLOPs a run it is layers=1, significantly better.",
    )
    costs, ranks = section.tables
    assert costs.data["run_flops"].tolist() == [1_200_000, 2_400_000]
    assert costs.data["all_tokens"].tolist() == [1200, 1200]
    assert costs.data["all_seconds"].tolist() == [120, 120]
    assert ranks.frame["rank at equal FLOPs"].tolist() == ["2", "1"]
    assert ranks.frame["rank as trained"].tolist() == ["1", "2"]


def test_tasks_have_budgets_of_their_own(tmp_path: Path):
    for height, excess in ((2, (1.0, 0.5)), (3, (1.0, 0.5, 0.2))):
        for layers in (1, 2):
            compared = {"task.height": height, "model.layers": layers}
            make_run(tmp_path, f"{height}-{layers}", excess=excess, compared=compared)
    [tokens] = [
        budget for budget in rank_at_equal_budgets(load(tmp_path)) if budget.cost == "tokens"
    ]
    assert tokens.amounts == {"task.height=2": 200, "task.height=3": 300}


def test_a_cost_that_a_run_does_not_record_is_no_budget(tmp_path: Path):
    for layers, flops in ((1, None), (2, 6000)):
        make_run(
            tmp_path, f"run-{layers}", excess=(0.3,), compared={"model.layers": layers},
            info={"flops_per_token": flops},
        )  # fmt: skip
    assert [budget.cost for budget in rank_at_equal_budgets(load(tmp_path))] == [
        "tokens",
        "seconds",
    ]
    section = fairness.section(load(tmp_path))
    assert section is not None
    assert section.tables[0].data["all_flops"].isna().tolist() == [True, False]


def test_one_cell_alone_is_fair(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.3,), compared={"model.layers": 1})
    assert fairness.section(load(tmp_path)) is None
