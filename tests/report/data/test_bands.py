import math
from pathlib import Path

import pytest

from seqtune.report import load
from seqtune.report.data.bands import bands
from seqtune.report.sections import curves
from seqtune.report.sections.curves import MOST_CELLS
from tests.report.made import make_cell, make_run


def test_a_band_is_the_mean_over_a_cells_seeds_with_the_least_and_the_greatest(tmp_path: Path):
    make_cell(tmp_path, compared={"task.height": 2}, values=(0.1, 0.2, 0.6))
    [band] = bands(load(tmp_path), metric="valid/excess")
    assert (band.n, band.searched, band.epochs) == (3, False, [1, 2])
    assert band.mean == pytest.approx([1.0, 0.3])
    assert (band.low, band.high) == ([1.0, 0.1], [1.0, 0.6])
    assert band.places["tokens"] == [100, 200]
    assert band.places["step"] == [5, 10]
    assert band.places["flops"] == pytest.approx([6000 * 100, 6000 * 200])
    assert band.places["seconds"] == [10, 20]
    assert band.floor is None
    [losses] = bands(load(tmp_path), metric="valid/loss")
    assert losses.floor == 0.5


def test_a_cell_without_a_confirm_run_shows_its_best_trial(tmp_path: Path):
    make_cell(tmp_path, compared={"task.height": 2}, values=())
    [band] = bands(load(tmp_path), metric="valid/excess")
    assert (band.n, band.searched, band.mean) == (1, True, [1.0, 0.2])


def test_only_evaluations_that_all_seeds_have_are_in_the_mean(tmp_path: Path):
    for seed, excess in enumerate(((1.0, 0.4, 0.2), (1.0, 0.2))):
        make_run(tmp_path, f"run-{seed}", excess=excess, compared={"task.height": 2}, seed=seed)
    [band] = bands(load(tmp_path), metric="valid/excess")
    assert (band.epochs, band.mean) == ([1, 2], pytest.approx([1.0, 0.3]))


def test_what_a_run_cost_is_missing_where_it_does_not_say(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.3,), compared={}, info={"flops_per_token": None})
    [band] = bands(load(tmp_path), metric="valid/excess")
    assert math.isnan(band.places["flops"][0])


def test_means_are_drawn_before_the_best_runs_and_only_where_there_are_several(tmp_path: Path):
    make_cell(tmp_path, compared={"task.height": 2}, values=(0.1,))
    names = [chart.name for chart in curves.section(load(tmp_path)).figures]
    assert names == ["curves-valid-loss", "curves-valid-excess"]
    make_cell(tmp_path, compared={"task.height": 3}, values=(0.1, 0.2))
    charts = curves.section(load(tmp_path)).figures
    assert [chart.name for chart in charts] == [
        *("mean-curves-valid-loss", "curves-valid-loss"),
        *("mean-curves-valid-excess", "curves-valid-excess"),
    ]
    assert ["In report.html" in chart.caption for chart in charts] == [True, False, True, False]
    assert "(n = 1 to 2)" in charts[0].caption
    data = charts[2].data.set_index(["cell", "epoch"])
    assert data.loc[("height=3", 2), "mean"] == pytest.approx(0.15)


def test_of_more_cells_than_a_reader_tells_apart_the_best_are_drawn(tmp_path: Path):
    count = MOST_CELLS + 2
    for number in range(count):
        make_run(tmp_path, f"run-{number:03d}", excess=(0.1 * (count - number),))
    section = curves.section(load(tmp_path))
    assert f"Of {count} cells, the 100" in section.paragraphs[0]
    drawn = section.figures[-1].data["run"].unique().tolist()
    assert drawn == [f"run-{number:03d}" for number in range(2, count)]
