import math
from pathlib import Path

from seqtune.report import load
from seqtune.report.data.pareto import pareto_front, pareto_points
from seqtune.report.sections import pareto
from tests.report.charts import channel, options, rows
from tests.report.made import make_run


def test_a_point_is_on_the_front_unless_another_is_as_cheap_and_as_good_and_better_in_one():
    assert pareto_front([1, 2, 3], losses=[5, 6, 4]) == [True, False, True]
    assert pareto_front([1, 1], losses=[5, 5]) == [True, True]
    assert pareto_front([1, 1], losses=[5, 4]) == [False, True]
    assert pareto_front([1, 2], losses=[5, 5]) == [True, False]
    assert pareto_front([1, math.nan], losses=[5, 1]) == [True, False]


def three_cells(root: Path, *, metric: str) -> None:
    """By FLOPs a token 1, 2 and 3; the second is dearer than the first and worse."""
    for layers, excess in ((1, 0.3), (2, 0.4), (3, 0.1)):
        make_run(
            root, f"run-{layers}", excess=(1.0, excess), compared={"model.layers": layers},
            info={"flops_per_token": layers, "parameters": 100}, metric=metric,
        )  # fmt: skip


def test_the_front_is_of_means_and_of_the_price_of_a_run(tmp_path: Path):
    three_cells(tmp_path, metric="valid/excess")
    found = pareto_points(load(tmp_path)).set_index("cell").sort_index()
    assert found["flops"].tolist() == [200, 400, 600]
    assert found["front.flops"].tolist() == [True, False, True]
    assert found["front.parameters"].tolist() == [False, False, True]


def test_where_higher_is_better_the_front_is_the_other_way_up(tmp_path: Path):
    three_cells(tmp_path, metric="valid/accuracy")  # .5, .4, .7
    found = pareto_points(load(tmp_path)).set_index("cell").sort_index()
    assert found["front.flops"].tolist() == [True, False, True]


def test_cells_of_different_tasks_do_not_beat_each_other(tmp_path: Path):
    for height in (2, 3):
        for layers in (1, 2):
            make_run(
                tmp_path, f"{height}-{layers}", excess=(height / layers,),
                compared={"task.height": height, "model.layers": layers},
                info={"flops_per_token": layers},
            )  # fmt: skip
    assert pareto_points(load(tmp_path))["front.flops"].all()


def test_the_price_can_be_changed_on_the_page(tmp_path: Path):
    three_cells(tmp_path, metric="valid/excess")
    section = pareto.section(load(tmp_path))
    assert section is not None
    [figure] = section.figures
    assert options(figure.chart, "price") == ["FLOPs of a run", "seconds of a run", "parameters"]
    on = {row["flops"]: row["front.flops"] for row in rows(figure.chart)}
    assert on == {200: True, 400: False, 600: True}
    assert channel(figure.chart, "x")["scale"]["type"] == "log"


def test_a_price_of_nothing_is_not_known(tmp_path: Path):
    for layers in (1, 2):
        compared = {"model.layers": layers}
        info = {"parameters": 0, "flops_per_token": layers}
        make_run(tmp_path, f"run-{layers}", excess=(0.3,), compared=compared, info=info)
    found = pareto_points(load(tmp_path))
    assert found["parameters"].isna().all()
    assert not found["front.parameters"].any()


def test_one_cell_has_no_front(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.1,), compared={"model.layers": 1})
    assert pareto.section(load(tmp_path)) is None
