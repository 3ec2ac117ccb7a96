import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import seqtune
from seqtune.report.data.ranking import MOST_CELLS, Ranking, compare, ranking
from seqtune.report.sections import answer
from seqtune.report.sections import ranking as section
from seqtune.stats.estimates import Estimate, mean_of, middle_of
from tests.report.made import make_cell, make_run

METRIC = "valid/excess"


def ranked(
    scores: dict[str, list[float]], *, heights: dict[str, int] | None = None, metric: str = METRIC
) -> Ranking:
    """The ranking of cells whose k-th confirm run has seed k."""
    runs = [
        {"cell": cell, "seed": seed, "ranked": True, f"{metric}.last": score}
        for cell, values in scores.items()
        for seed, score in enumerate(values)
    ]
    cells = [{"cell": cell, "task.height": (heights or {}).get(cell, 1)} for cell in scores]
    frame = pd.DataFrame(runs, columns=["cell", "seed", "ranked", f"{metric}.last"])
    return ranking(frame, pd.DataFrame(cells), compared=("task.height",), metric=metric)


def ranks(found: Ranking) -> dict[str, int | None]:
    return {row.cell: row.rank for row in found.rows}


def test_cells_that_do_not_differ_significantly_share_a_rank():
    noise = [0.0, 0.1, -0.1, 0.05, -0.05, 0.02, -0.02, 0.01, -0.03]
    scores = {
        "slow": [3 + each for each in noise],
        "one": [1 + each for each in noise],
        "two": [1.0 - each for each in noise],
    }
    assert ranks(ranked(scores)) == {"one": 1, "two": 1, "slow": 3}
    assert [row.cell for row in ranked(scores).best("task.height=1")] == ["one", "two"]
    higher = ranked(scores, metric="valid/accuracy")
    assert ranks(higher) == {"slow": 1, "one": 2, "two": 2}


def test_a_design_that_is_too_small_says_so_and_how_large_it_must_be():
    found = ranked({"a": [1.0, 1.1, 1.2, 1.0, 1.3], "b": [9.0, 9.1, 9.2, 9.0, 9.4]})
    assert ranks(found) == {"a": 1, "b": 1}
    assert found.underpowered.startswith("5 paired seeds cannot reach p < 0.05")
    assert "confirm: {seeds: 6} can" in found.underpowered
    assert not ranked({"a": [1.0 + i for i in range(6)], "b": [9.0] * 6}).underpowered


def test_cells_of_different_tasks_are_not_compared():
    scores = {
        "a": [1.0] * 8,
        "b": [2.0 + 0.1 * i for i in range(8)],
        "c": [9.0] * 8,
        "d": [8.0] * 8,
    }
    found = ranked(scores, heights={"a": 1, "b": 1, "c": 2, "d": 2})
    assert found.groups == ("task.height=1", "task.height=2")
    assert ranks(found) == {"a": 1, "b": 2, "c": 2, "d": 1}
    assert len(found.pairs) == 2
    # Where nothing but the task differs, its values are what is asked about.
    only = ranked(scores, heights={"a": 1, "b": 2, "c": 3, "d": 4})
    assert only.groups == ("",)
    assert len(only.pairs) == 6


def test_cells_without_a_value_come_last_and_have_no_rank():
    found = ranked({"none": [], "one": [1.0]})
    assert ranks(found) == {"one": 1, "none": None}
    assert [row.cell for row in found.rows] == ["one", "none"]
    assert math.isnan(found.rows[1].estimate.mean)


def test_of_many_cells_the_best_have_a_rank_and_the_rest_an_order():
    cells = MOST_CELLS + 2
    found = ranked({str(cell): [float(cell)] for cell in reversed(range(cells))})
    assert [row.cell for row in found.rows] == [str(cell) for cell in range(cells)]
    assert [row.rank for row in found.rows] == [1] * MOST_CELLS + [None, None]
    assert found.counted == math.comb(cells, 2)


def test_the_answer_names_but_a_few_of_many_cells(tmp_path: Path):
    rng = np.random.default_rng(0)
    for width in range(13):
        worse = 50.0 if width == 12 else 0.0
        for seed, noise in enumerate(rng.normal(size=12)):
            excess = (1.0, 1.0 + worse + noise)
            name, compared = f"r{width}-{seed}", {"model.width": width}
            make_run(tmp_path, name, compared=compared, excess=excess, seed=seed)
    first = answer.section(seqtune.load(tmp_path)).paragraphs[0]
    assert first.startswith("undecided among 12 cells: width=")
    assert first.endswith(" and 1 more; 1 other is significantly worse.")
    assert first.count("width=") == 11


@pytest.mark.slow
def test_the_answer_says_how_many_cells_are_compared(tmp_path: Path):
    cells = MOST_CELLS + 1
    for width in range(cells):
        make_run(tmp_path, f"r{width}", compared={"model.width": width}, excess=(1.0, 1.0 + width))
    results = seqtune.load(tmp_path)
    made = section.section(results)
    assert made is not None
    [first, design, *_] = answer.section(results).paragraphs
    assert first.startswith("undecided, because no cell differs significantly from")
    assert first.endswith(f"Of {cells} cells the {MOST_CELLS} with the best means are compared.")
    assert design.startswith("This design is too small to decide: 1 paired seed")
    assert f"after Holm over all {math.comb(cells, 2):,} pairs" in made.tables[1].caption


@pytest.mark.slow
def test_a_sweep_of_identical_cells_names_no_winner_but_rarely():
    """The probability of any wrong decision is below .05: 2,000 sweeps, four standard errors."""
    rng = np.random.default_rng(0)
    sweeps, cells, seeds = 2000, 4, 9
    wrong = 0
    for _ in range(sweeps):
        shared = rng.normal(size=seeds)  # what the seed does to every cell
        scores = {str(cell): list(shared + rng.normal(size=seeds)) for cell in range(cells)}
        wrong += any(pair.significant for pair in ranked(scores).pairs)
    assert wrong / sweeps < 0.05 + 4 * math.sqrt(0.05 * 0.95 / sweeps)
    assert wrong > 0  # it can decide


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "n", "interval"),
    [
        *((mean_of, n, "t") for n in (2, 3, 5, 10, 19)),
        *((mean_of, n, "bootstrap") for n in (20, 30, 50)),
        *((middle_of, n, "t") for n in (4, 5, 8, 12, 19)),
        *((middle_of, n, "bootstrap") for n in (20, 30, 50)),
    ],
)
def test_the_intervals_cover_the_truth_in_95_of_100_sweeps(
    by: Callable[[list[float]], Estimate], n: int, interval: str
):
    rng = np.random.default_rng(n)
    sweeps = 2000
    covered = 0
    for values in rng.normal(3.0, 0.7, size=(sweeps, n)):
        estimate = by(list(values))
        assert estimate.interval == interval
        covered += estimate.low <= 3.0 <= estimate.high
    assert 0.93 < covered / sweeps < 0.97


def test_a_notebook_ranks_by_any_metric(tmp_path: Path):
    for layers, scores in ((1, (0.3, 0.4)), (2, (0.1, 0.2))):
        make_cell(tmp_path, compared={"model.layers": layers}, values=scores)
    results = seqtune.load(tmp_path)
    assert results.rank("valid/excess")["cell"].tolist() == ["layers=2", "layers=1"]
    # Accuracy is made to fall as the excess rises, so that the order is the same.
    assert results.rank("valid/accuracy")["mean"].tolist() == pytest.approx([0.65, 0.45])
    with pytest.raises(ValueError, match="no run has valid/kl; they have valid/loss"):
        results.rank("valid/kl")


@pytest.mark.slow
def test_of_many_cells_the_best_are_compared_and_all_pairs_are_counted():
    cells = MOST_CELLS + 5
    values = {str(cell): {seed: cell + seed / 10 for seed in range(20)} for cell in range(cells)}
    for higher, best in ((False, range(MOST_CELLS)), (True, range(5, cells))):
        pairs = compare(values, groups=dict.fromkeys(values, ""), higher_is_better=higher)
        assert len(pairs) == math.comb(MOST_CELLS, 2)
        assert {name for pair in pairs for name in (pair.left, pair.right)} == set(map(str, best))
        # All differences are of one sign, so that all p are the same.
        assert pairs[0].adjusted == pytest.approx(min(1.0, math.comb(cells, 2) * pairs[0].p))


def test_cells_are_compared_seed_by_seed_within_their_group():
    values = {
        "a": {0: 1.0, 1: 2.0, 2: 3.0},
        "b": {2: 13.5, 1: 12.0, 7: 99.0},
        "c": {0: 5.0},
    }
    [pair] = compare(values, groups={"a": 1, "b": 1, "c": 2}, higher_is_better=False)
    assert (pair.left, pair.right, pair.n) == ("a", "b", 2)
    assert pair.difference.mean == pytest.approx(-10.25)
    assert pair.improvement == 1.0
    assert pair.p == pair.adjusted == 0.5
    assert not pair.significant
