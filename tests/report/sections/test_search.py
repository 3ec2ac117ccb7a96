from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqtune.report import load
from seqtune.report.data.search_trials import SearchTrial, importance, search_trials
from seqtune.report.figures.coordinates import MISSING, axis
from seqtune.report.figures.search import crossings, ranked
from seqtune.report.sections import search
from tests.report.charts import options, rows
from tests.report.made import make_run


def trial(number: int, values: Mapping[str, Any], *, score: float, cell: str = "a") -> SearchTrial:
    return SearchTrial(run=str(number), cell=cell, values=values, score=score)


def random_trials(count: int) -> list[SearchTrial]:
    """Scores that lr decides alone; momentum is given to half of the trials."""
    rng = np.random.default_rng(0)
    found: list[SearchTrial] = []
    for number in range(count):
        values: dict[str, Any] = {"lr": float(10 ** rng.uniform(-4, -1)), "dropout": rng.uniform()}
        values["kind"] = ["adamw", "sgd"][number % 2]
        if values["kind"] == "sgd":
            values["momentum"] = float(rng.uniform())
        score = abs(np.log10(values["lr"]) + 2.5)
        found.append(trial(number, values, score=float(score)))
    return found


@pytest.mark.parametrize("metric", ["valid/excess", "valid/accuracy"])
def test_the_value_that_decides_is_the_most_important(metric: str):
    given = random_trials(100)
    if metric == "valid/accuracy":
        given = [trial(int(each.run), each.values, score=-each.score) for each in given]
    found = importance(given, logs={"lr"}, metric=metric)
    assert (found.n, found.top) == (100, 10)
    assert set(found.shares) == {"lr", "dropout", "kind", "momentum"}
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.shares["lr"] > 0.6


def test_nothing_is_called_important_on_few_trials_or_where_nothing_differs():
    few = random_trials(19)
    assert importance(few, logs={"lr"}, metric="valid/excess").shares == {}
    same = [trial(number, {"lr": 0.1}, score=float(number)) for number in range(30)]
    assert importance(same, logs={"lr"}, metric="valid/excess").shares == {}
    equal = [trial(number, {"lr": 0.1 + number}, score=1.0) for number in range(30)]
    assert importance(equal, logs={"lr"}, metric="valid/excess").shares == {}


def test_numbers_lie_by_their_logarithm_where_that_spreads_them_evenly():
    rates = axis([0.001, 0.01, 0.1], title="lr")
    assert rates.log
    assert [rates.place(each) for each in (0.001, 0.01, 0.1)] == pytest.approx([0, 0.5, 1])
    assert rates.ticks()[0] == (0.0, "0.001")
    # Evenly drawn from 0 to 1, though one of them is tiny.
    shares = axis([0.001, 0.25, 0.5, 0.75, 1.0], title="dropout")
    assert not shares.log
    assert shares.place(0.5) == pytest.approx(0.4995, abs=1e-4)
    assert axis([3], title="layers").place(3) == 0.5


def test_words_lie_side_by_side_in_order():
    kinds = axis(["sgd", "adamw", "lion", "sgd"], title="kind")
    assert kinds.ticks() == [(0.0, "adamw"), (0.5, "lion"), (1.0, "sgd")]
    assert kinds.place("sgd") == 1


def test_a_line_goes_below_the_axis_of_a_value_that_was_not_given():
    axes = {"kind": axis(["adamw", "sgd"], title="kind"), "momentum": axis([0, 1], title="m")}
    score = axis([0.0, 2.0], title="excess")
    given = trial(0, {"kind": "adamw"}, score=1.0)
    crossed = crossings(given, axes=axes, score=score)
    assert [place for place, _ in crossed] == [0, MISSING, 0.5]


def test_trials_are_ranked_by_the_share_that_is_better():
    found = [trial(number, {}, score=float(number)) for number in range(5)]
    better = {int(each.run): share for each, share in ranked(found, higher=False)}
    assert (better[0], better[1], better[4]) == (0, 0.25, 1)
    assert [int(each.run) for each, _ in ranked(found, higher=True)] == [0, 1, 2, 3, 4]


def searched(root: Path) -> None:
    """Two cells of three trials, one of which was stopped, and a confirm run."""
    for layers in (1, 2):
        for number, state in enumerate(("finished", "finished", "stopped")):
            make_run(
                root, f"{layers}-{number}", excess=(0.1 * (number + layers),), trial=number,
                compared={"model.layers": layers}, phase="search", state=state,
                tuned={"optimizer.lr": 0.01 * (number + 1), "model.dropout": 0.1 * number},
            )  # fmt: skip
        make_run(root, f"{layers}-c", excess=(0.5,), compared={"model.layers": layers})


def test_only_trials_that_finished_are_shown(tmp_path: Path):
    searched(tmp_path)
    assert [each.run for each in search_trials(load(tmp_path))] == ["1-0", "1-1", "2-0", "2-1"]
    section = search.section(load(tmp_path))
    assert section is not None
    assert "4 search trials finished. 2 search trials" in section.paragraphs[0]
    slices, parallel = section.figures
    assert slices.data["score"].tolist() == pytest.approx([0.1, 0.2, 0.2, 0.3])
    assert slices.data["optimizer.lr"].tolist() == [0.01, 0.02, 0.01, 0.02]
    assert section.tables == ()
    mine = rows(slices.chart, name="layers=1")
    assert [(row["x0"], row["x1"]) for row in mine] == [(0.01, 0.0), (0.02, 0.1)]
    # That with the best trial is shown first.
    assert options(parallel.chart, "cell") == ["layers=1", "layers=2"]
    assert [row["axis"] for row in rows(parallel.chart, run="1-0")] == [
        *("optimizer.lr", "model.dropout", "valid/excess"),
    ]


def test_a_search_of_one_value_has_no_parallel_coordinates(tmp_path: Path):
    for number in range(25):
        make_run(
            tmp_path, f"run-{number}", excess=(0.1 * number,), compared={"model.layers": 1},
            phase="search", tuned={"optimizer.lr": 0.01 * (number + 1)}, trial=number,
        )  # fmt: skip
    section = search.section(load(tmp_path))
    assert section is not None
    assert [chart.name for chart in section.figures] == ["slices"]
    assert section.tables == ()


def test_importance_is_told_cell_by_cell_with_its_n(tmp_path: Path):
    for each in random_trials(30):
        tuned = {f"optimizer.{path}": value for path, value in each.values.items()}
        make_run(
            tmp_path, f"run-{each.run}", excess=(each.score,), compared={"model.layers": 1},
            phase="search", tuned=tuned, trial=int(each.run),
        )  # fmt: skip
    make_run(
        tmp_path, "alone", excess=(1.0,), compared={"model.layers": 2}, phase="search",
        tuned={"optimizer.lr": 0.1},
    )  # fmt: skip
    section = search.section(load(tmp_path))
    assert section is not None
    [table] = section.tables
    [row] = table.frame.to_dict("records")
    assert (row["cell"], row["n"]) == ("layers=1", 30)
    assert "PED-ANOVA" in table.caption
    assert "1 cell with fewer than 20 finished trials" in table.caption
    assert table.data["importance"].sum() == pytest.approx(1)


def test_of_a_search_too_large_for_a_page_the_best_cells_are_drawn():
    cells = {
        name: [trial(number, {}, score=best + number) for number in range(3)]
        for name, best in (("a", 0.3), ("b", 0.1), ("c", 0.2))
    }
    assert list(search.best_cells(cells, metric="valid/excess", most=6)) == ["b", "c"]
    assert list(search.best_cells(cells, metric="valid/accuracy", most=8)) == ["a", "c"]
    assert list(search.best_cells(cells, metric="valid/excess", most=1)) == ["b"]


def test_without_a_search_there_is_no_section(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.1,), compared={"model.layers": 1})
    assert search.section(load(tmp_path)) is None
