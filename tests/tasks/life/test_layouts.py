"""Where live cells lie: how many, and how clustered."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from seqtune.tasks.life.layouts import (
    TOLERANCE,
    Heterogeneous,
    Homogeneous,
    half_filled,
    heterogeneity,
)


def drawn(layout: Homogeneous | Heterogeneous, *shares: float, side: int = 32, seed: int = 0):
    generator = np.random.default_rng(seed)
    return layout.draw(np.array(shares), rows=side, columns=side, generator=generator)


def test_heterogeneity_is_the_deviation_over_inner_windows():
    boards = np.random.default_rng(0).integers(0, 2, size=(5, 7, 9), dtype=np.uint8)
    for board, found in zip(boards, heterogeneity(boards), strict=True):
        means = ndimage.uniform_filter(board.astype(float), 3)[1:-1, 1:-1]
        assert found == pytest.approx(means.std(), rel=1e-9)


def test_known_heterogeneities():
    assert half_filled(4, columns=4) == pytest.approx(1 / 6)
    assert half_filled(3, columns=3) == 0
    assert half_filled(32, columns=32) == pytest.approx(0.485, abs=0.001)
    independent = drawn(Homogeneous(), *[0.5] * 200)
    assert heterogeneity(independent).mean() == pytest.approx(1 / 6, abs=0.002)


def test_homogeneous_cells_are_independent_coins():
    boards = drawn(Homogeneous(), *[0.3] * 300, 0.0, 1.0)
    assert boards[:300].mean() == pytest.approx(0.3, abs=0.004)
    assert boards[:300, :, 1:].mean(axis=0).std() < 0.04
    pairs = (boards[:300, :, 1:] & boards[:300, :, :-1]).mean()
    assert pairs == pytest.approx(0.09, abs=0.003)
    assert (boards[300].sum(), boards[301].sum()) == (0, 1024)


@pytest.mark.parametrize("target", [None, 0.12, 0.25, 0.35])
def test_a_target_is_reached(target: float | None):
    layout = Heterogeneous(heterogeneity=target)
    boards = drawn(layout, *[0.5] * 32)
    assert (boards.sum(axis=(1, 2)) == 512).all()
    aim = layout.target(rows=32, columns=32)
    assert np.abs(heterogeneity(boards) - aim).max() <= TOLERANCE + 1e-12


def test_what_cannot_be_reached_is_approached():
    layout = Heterogeneous(heterogeneity=0.4)
    sparse, independent = (drawn(each, *[0.05] * 16) for each in (layout, Homogeneous()))
    assert (sparse.sum(axis=(1, 2)) == 51).all()
    found = heterogeneity(sparse)
    assert found.max() < 0.4
    assert found.min() > 1.5 * heterogeneity(independent).max()


def test_empty_and_full_boards_stay_so():
    boards = drawn(Heterogeneous(), 0.0, 1.0, 0.5)
    assert boards.sum(axis=(1, 2)).tolist() == [0, 1024, 512]


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(3, 9),
    columns=st.integers(4, 9),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
def test_live_cells_are_counted_out(rows: int, columns: int, share: float, seed: int):
    shares = np.array([share, 1 - share, share])
    draws = [
        Heterogeneous().draw(
            shares, rows=rows, columns=columns, generator=np.random.default_rng(seed)
        )
        for _ in range(2)
    ]
    assert (draws[0] == draws[1]).all()
    assert draws[0].sum(axis=(1, 2)).tolist() == np.rint(shares * rows * columns).tolist()


def test_clusters_lie_anywhere():
    boards = drawn(Heterogeneous(heterogeneity=0.35), *[0.5] * 400, side=8)
    means = boards.mean(axis=0)
    assert means.min() > 0.3
    assert means.max() < 0.7


@pytest.mark.parametrize(
    ("rows", "columns", "target", "message"),
    [
        (3, 3, None, "must have at least 3 x 4 cells, two windows of 3 x 3, but got 3 x 3"),
        (2, 9, None, "must have at least 3 x 4 cells, two windows of 3 x 3, but got 2 x 9"),
        (4, 4, 0.3, r"at most that of a half-filled 4 x 4 board, 0\.167, but got 0\.3"),
    ],
)
def test_what_no_board_reaches_is_refused(
    rows: int, columns: int, target: float | None, message: str
):
    with pytest.raises(ValueError, match=message):
        Heterogeneous(heterogeneity=target).target(rows=rows, columns=columns)
