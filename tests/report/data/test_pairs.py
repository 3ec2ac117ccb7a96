import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, permutation_test

from seqtune.report.data.pairs import MOST_CELLS, compare, holm, improvement, sign_flip
from seqtune.stats.power import ALPHA, EXACT, seeds_needed, smallest_p

NUMBERS = st.floats(-100, 100).map(lambda value: round(value, 3))


@given(st.lists(NUMBERS, min_size=1, max_size=8))
def test_the_sign_flip_test_tries_every_choice_of_signs(differences: list[float]):
    sums = [
        abs(sum(sign * value for sign, value in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    expected = sum(each >= abs(sum(differences)) - 1e-9 for each in sums) / len(sums)
    assert sign_flip(differences) == pytest.approx(expected)


def test_the_sign_flip_test_agrees_with_scipys():
    rng = np.random.default_rng(0)
    for n in (6, 9, EXACT + 6):
        left, right = rng.normal(0.4, 1, size=n), rng.normal(0, 1, size=n)
        theirs = permutation_test(
            (left, right), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples",
            vectorized=True, n_resamples=50_000, rng=0,
        ).pvalue  # fmt: skip
        assert sign_flip(list(left - right)) == pytest.approx(theirs, abs=0.01)


def test_few_seeds_cannot_decide_and_it_is_known_how_many_can():
    assert sign_flip([1.0, 2.0, 3.0, 4.0, 5.0]) == smallest_p(5) == 2 / 32 > ALPHA
    assert seeds_needed(1) == 6
    assert sign_flip([1.0] * 6) == smallest_p(6) < ALPHA
    for pairs in (1, 3, 6, 66):
        n = seeds_needed(pairs)
        assert smallest_p(n) * pairs < ALPHA <= 2.0 ** (2 - n) * pairs
    assert math.isnan(sign_flip([]))
    assert sign_flip([0.0, 0.0]) == 1.0


def test_holm_keeps_the_order_and_multiplies_by_what_is_left():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, math.nan, 0.9])[0] == 1.0
    assert math.isnan(holm([0.5, math.nan])[1])
    assert holm([]) == []
    ps = list(np.random.default_rng(1).uniform(size=9))
    # At least as strict as one that bounds the share of wrong decisions alone.
    assert all(
        ours >= theirs - 1e-12
        for ours, theirs in zip(holm(ps), false_discovery_control(ps), strict=True)
    )


def test_comparisons_that_nobody_makes_are_counted_as_if_nothing_came_of_them():
    assert holm([0.01, 0.04], unseen=3) == pytest.approx(holm([0.01, 0.04, 1.0, 1.0, 1.0])[:2])


@pytest.mark.slow
def test_of_many_cells_the_best_are_compared_and_all_pairs_are_counted():
    cells = MOST_CELLS + 5
    values = {str(cell): {seed: cell + seed / 10 for seed in range(20)} for cell in range(cells)}
    for higher, best in ((False, range(MOST_CELLS)), (True, range(5, cells))):
        pairs = compare(values, families=dict.fromkeys(values, ""), higher_is_better=higher)
        assert len(pairs) == math.comb(MOST_CELLS, 2)
        assert {name for pair in pairs for name in (pair.left, pair.right)} == set(map(str, best))
        # All differences are of one sign, so that all p are the same.
        assert pairs[0].adjusted == pytest.approx(min(1.0, math.comb(cells, 2) * pairs[0].p))


def test_improvement_counts_pairs_of_runs():
    assert improvement([1.0, 2.0], [3.0, 2.0], higher_is_better=False) == 3.5 / 4
    assert improvement([1.0, 2.0], [3.0, 2.0], higher_is_better=True) == 0.5 / 4
    assert math.isnan(improvement([], [1.0], higher_is_better=True))


def test_cells_are_compared_seed_by_seed_within_their_family():
    values = {
        "a": {0: 1.0, 1: 2.0, 2: 3.0},
        "b": {2: 13.5, 1: 12.0, 7: 99.0},
        "c": {0: 5.0},
    }
    [pair] = compare(values, families={"a": 1, "b": 1, "c": 2}, higher_is_better=False)
    assert (pair.left, pair.right, pair.n) == ("a", "b", 2)
    assert pair.difference.mean == pytest.approx(-10.25)
    assert pair.improvement == 1.0
    assert pair.p == pair.adjusted == 0.5
    assert not pair.decided
