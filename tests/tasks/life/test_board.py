"""Rules and steps: by hand, cell by cell, and against SciPy's convolutions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, signal

from seqtune.tasks.life.board import Boards, Border, Rule, step
from tests.tasks.life.boards import CONWAY, board, plain_step

RULES = ("B3/S23", "B36/S23", "B/S012345678", "B0/S", "B1357/S1357", "B012345678/S012345678")

rules = st.builds(
    Rule,
    birth=st.frozensets(st.integers(0, 8)),
    survival=st.frozensets(st.integers(0, 8)),
)
borders: st.SearchStrategy[Border] = st.sampled_from(("torus", "dead"))


@st.composite
def batches(draw: st.DrawFn) -> Boards:
    """Boards of 1 x 1 to 12 x 40 cells."""
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 40)))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    return (generator.random(shape) < draw(st.floats(0, 1))).astype(np.uint8)


@pytest.mark.parametrize(
    ("text", "birth", "survival"),
    [
        ("B3/S23", {3}, {2, 3}),
        ("b36/s23", {3, 6}, {2, 3}),
        ("B/S", set(), set()),
        (" B2/S ", {2}, set()),
        ("B33/S320", {3}, {0, 2, 3}),
    ],
)
def test_a_rule_is_read(text: str, birth: set[int], survival: set[int]):
    rule = Rule.parse(text)
    assert (rule.birth, rule.survival) == (birth, survival)
    assert Rule.parse(str(rule)) == rule


@pytest.mark.parametrize(
    "text", ["", "B3", "23/3", "B9/S23", "S23/B3", "B3/S23/C3", "B3S23", "life"]
)
def test_what_is_no_rule_is_refused(text: str):
    with pytest.raises(ValueError, match=r"must be B and S.*but got.*write B3/S23"):
        Rule.parse(text)


def test_a_row_of_three_becomes_a_column():
    before = board(".... OOO. .... ....")
    after = board(".O.. .O.. .O.. ....")
    assert (step(before, rule=CONWAY, border="torus") == after).all()
    assert (step(before, rule=CONWAY, border="dead") == after).all()


def test_the_border_decides_what_a_corner_sees():
    corners = board("O..O .... .... O..O")
    assert (step(corners, rule=CONWAY, border="torus") == corners).all()
    assert step(corners, rule=CONWAY, border="dead").sum() == 0


def test_a_cell_counts_as_often_as_it_is_hit():
    alive = np.ones((1, 1), dtype=np.uint8)
    assert step(alive, rule=Rule.parse("B/S8"), border="torus").sum() == 1
    assert step(alive, rule=Rule.parse("B/S01234567"), border="torus").sum() == 0
    assert step(alive, rule=Rule.parse("B/S0"), border="dead").sum() == 1
    # Both rows of a 2 x 3 torus see each other from above and from below.
    upper = board("OOO ...")
    assert step(upper, rule=Rule.parse("B6/S2"), border="torus").sum() == 6


def test_beyond_a_dead_border_nothing_is_born():
    empty = np.zeros((3, 3), dtype=np.uint8)
    found = step(empty, rule=Rule.parse("B0/S012345678"), border="dead", steps=2)
    assert found.sum() == 9
    assert step(found, rule=Rule.parse("B/S3"), border="dead").tolist() == [
        [1, 0, 1],
        [0, 0, 0],
        [1, 0, 1],
    ]


@settings(deadline=None, max_examples=60)
@given(boards=batches(), rule=rules, border=borders)
def test_a_step_is_what_a_convolution_makes_of_the_board(
    boards: Boards, rule: Rule, border: Border
):
    found = step(boards, rule=rule, border=border)
    kernel = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]])
    for before, after in zip(boards.astype(int), found, strict=True):
        mode = "wrap" if border == "torus" else "constant"
        counts = ndimage.convolve(before, kernel, mode=mode)
        boundary = "wrap" if border == "torus" else "fill"
        assert (counts == signal.convolve2d(before, kernel, "same", boundary)).all()
        stays = np.isin(counts, list(rule.survival))
        born = np.isin(counts, list(rule.birth))
        assert (after == np.where(before == 1, stays, born)).all()


@pytest.mark.parametrize("border", ["torus", "dead"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (2, 2), (1, 5), (2, 7), (3, 3), (6, 4)])
def test_a_step_is_the_plain_one(shape: tuple[int, int], border: Border):
    boards = np.random.default_rng(0).integers(0, 2, size=(8, *shape), dtype=np.uint8)
    for text in RULES:
        rule = Rule.parse(text)
        plain = [plain_step(each, rule=rule, border=border) for each in boards]
        assert (step(boards, rule=rule, border=border) == np.stack(plain)).all()


@settings(deadline=None, max_examples=30)
@given(boards=batches(), rule=rules, down=st.integers(0, 11), right=st.integers(0, 39))
def test_on_a_torus_no_place_is_special(boards: Boards, rule: Rule, down: int, right: int):
    shift = {"shift": (down, right), "axis": (1, 2)}
    moved = step(np.roll(boards, **shift), rule=rule, border="torus")
    assert (moved == np.roll(step(boards, rule=rule, border="torus"), **shift)).all()


@settings(deadline=None, max_examples=30)
@given(boards=batches(), rule=rules, border=borders, steps=st.integers(0, 5))
def test_steps_follow_one_another_and_leave_the_boards_alone(
    boards: Boards, rule: Rule, border: Border, steps: int
):
    kept = boards.copy()
    each = boards
    for _ in range(steps):
        each = step(each, rule=rule, border=border)
    assert (step(boards, rule=rule, border=border, steps=steps) == each).all()
    assert (boards == kept).all()


def test_a_batch_may_be_a_view_and_may_be_empty():
    boards = np.random.default_rng(0).integers(0, 2, size=(6, 8, 8), dtype=np.uint8)
    view = boards[::2, :, ::-1]
    found = step(view, rule=CONWAY, border="torus")
    assert (found == step(view.copy(), rule=CONWAY, border="torus")).all()
    assert step(boards[:0], rule=CONWAY, border="torus").shape == (0, 8, 8)
