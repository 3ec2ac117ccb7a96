from pathlib import Path

import pytest

from seqtune.report import load
from seqtune.report.sections import cells
from tests.report.made import make_cell, make_run


def test_what_the_search_promised_is_held_against_fresh_seeds(tmp_path: Path):
    """The chosen trials score .2; the mean of .1, .2 and .3 keeps that, .4, .5 and .6 do not."""
    for layers, values in ((1, (0.1, 0.2, 0.3)), (2, (0.4, 0.5, 0.6))):
        make_cell(tmp_path, compared={"model.layers": layers}, values=values)
    table = cells.section(load(tmp_path)).tables[1]
    assert table.data["gap"].tolist() == pytest.approx([0.0, -0.3], abs=1e-12)
    # t interval of the mean: 4.302653 x .1 / sqrt(3)
    assert table.data["gap_low"].tolist() == pytest.approx([-0.2484138, -0.5484138], abs=1e-6)
    assert table.data["gap_high"].tolist() == pytest.approx([0.2484138, -0.0515862], abs=1e-6)
    assert "the mean advantage over cells is 0.150." in table.caption


def test_where_higher_is_better_a_higher_trial_flatters(tmp_path: Path):
    for name, phase, excess in (("s", "search", 0.1), ("c", "confirm", 0.3)):
        make_run(
            tmp_path, name, excess=(excess,), compared={"model.layers": 1}, phase=phase,
            metric="valid/accuracy", tuned={"optimizer.lr": 0.1},
        )  # fmt: skip
    table = cells.section(load(tmp_path)).tables[1]
    assert table.data["gap"].tolist() == pytest.approx([0.2])
    assert "in 1 of 1 cell it looks better" in table.caption


def test_cells_that_lack_either_are_not_held_against_anything(tmp_path: Path):
    make_cell(tmp_path, compared={"model.layers": 1}, values=())
    make_run(tmp_path, "alone", excess=(0.1,), compared={"model.layers": 2})
    assert len(cells.section(load(tmp_path)).tables) == 1
