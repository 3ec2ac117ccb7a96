"""Shares of live cells, and what the cells of a board cost whoever predicts them best."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from scipy import integrate, stats

from seqtune.tasks.life.densities import Beta, Broad, DensitySpec, FixedDensity, High

READ = TypeAdapter[High | Broad | FixedDensity | Beta](DensitySpec)
ALL = (High(), Broad(), FixedDensity(share=0.2), FixedDensity(share=0), Beta(a=2, b=5))


def all_boards(cells: int) -> np.ndarray:
    return np.array(list(itertools.product((0, 1), repeat=cells)), dtype=np.uint8)


def nats(density: High | Broad | FixedDensity | Beta, boards: np.ndarray) -> np.ndarray:
    alive = density.predict(boards)
    own = np.where(boards == 1, alive, 1 - alive)
    return -np.log(own, out=np.full_like(own, -np.inf), where=own > 0).sum(axis=1)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("high", High()),
        ("broad", Broad()),
        (0.3, FixedDensity(share=0.3)),
        (1, FixedDensity(share=1)),
        ({"kind": "fixed", "share": 0.3}, FixedDensity(share=0.3)),
        ({"kind": "beta", "a": 2, "b": 0.5}, Beta(a=2, b=0.5)),
    ],
)
def test_a_density_is_a_word_a_number_or_a_block(written: object, read: object):
    assert READ.validate_python(written) == read


def test_broad_predicts_by_the_rule_of_laplace():
    cells = np.array([[1, 0, 0, 1, 1]], dtype=np.uint8)
    assert Broad().predict(cells).tolist() == [[1 / 2, 2 / 3, 2 / 4, 2 / 5, 3 / 6]]
    assert Beta(a=1, b=1).predict(cells).tolist() == Broad().predict(cells).tolist()
    assert Beta(a=2, b=6).predict(cells)[0, :2].tolist() == [2 / 8, 3 / 9]
    assert (High().predict(cells) == 0.5).all()


@pytest.mark.parametrize("density", [Broad(), Beta(a=2, b=5), Beta(a=0.5, b=0.5)])
def test_a_board_is_as_probable_as_all_shares_together_make_it(density: Broad | Beta):
    a, b = (1, 1) if isinstance(density, Broad) else (density.a, density.b)
    for cells in ([1, 0, 0, 1, 1, 0, 1], [0] * 7, [1] * 7):
        alive = sum(cells)

        def likelihood(share: float, alive: int = alive) -> float:
            return share**alive * (1 - share) ** (7 - alive) * float(stats.beta.pdf(share, a, b))

        probability, _ = integrate.quad(likelihood, 0, 1)
        found = nats(density, np.array([cells], dtype=np.uint8))[0]
        assert found == pytest.approx(-math.log(probability), rel=1e-6)


@pytest.mark.parametrize("density", ALL, ids=str)
def test_the_entropy_is_that_of_all_boards(density: High | Broad | FixedDensity | Beta):
    boards = all_boards(9)
    each = nats(density, boards)
    possible = np.isfinite(each)
    probabilities = np.exp(-each[possible])
    assert probabilities.sum() == pytest.approx(1, rel=1e-12)
    assert density.entropy(9) == pytest.approx(probabilities @ each[possible], rel=1e-9)


def test_the_entropy_of_large_boards():
    assert High().entropy(1024) == 1024 * math.log(2)
    assert FixedDensity(share=0).entropy(1024) == FixedDensity(share=1).entropy(1024) == 0
    alive = np.arange(1025)
    orders = np.array([math.log(math.comb(1024, each)) for each in alive])
    assert Broad().entropy(1024) == pytest.approx(orders.mean() + math.log(1025), rel=1e-9)


@settings(deadline=None, max_examples=30)
@given(count=st.integers(1, 200), seed=st.integers(0, 2**32))
def test_broad_shares_are_spread_evenly_over_a_draw(count: int, seed: int):
    shares = Broad().shares(count, generator=np.random.default_rng(seed))
    slots = np.sort(shares) * count
    assert (slots >= np.arange(count) - 1e-9).all()
    assert (slots <= np.arange(1, count + 1) + 1e-9).all()


def test_the_order_of_a_draw_is_random():
    generator = np.random.default_rng(0)
    firsts = [Broad().shares(8, generator=generator)[0] for _ in range(2000)]
    assert stats.kstest(firsts, "uniform").pvalue > 1e-3


def test_beta_shares_have_their_distribution():
    generator = np.random.default_rng(0)
    shares = [Beta(a=2, b=5).shares(4, generator=generator)[1] for _ in range(2000)]
    assert stats.kstest(shares, stats.beta(2, 5).cdf).pvalue > 1e-3


def test_known_shares_are_what_is_written():
    generator = np.random.default_rng(0)
    assert High().shares(3, generator=generator).tolist() == [0.5] * 3
    assert FixedDensity(share=0.2).shares(3, generator=generator).tolist() == [0.2] * 3
    assert Broad().shares(0, generator=generator).tolist() == []


@pytest.mark.parametrize("written", ["beta(2, 5)", "beta(2.0,5)", {"kind": "beta", "a": 2, "b": 5}])
def test_a_beta_density_can_be_written_in_short(written: object):
    assert READ.validate_python(written) == Beta(a=2, b=5)
