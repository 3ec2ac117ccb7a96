import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, permutation_test

from seqtune.stats.paired_tests import (
    EXACT,
    holm,
    probability_of_improvement,
    sign_flip_test,
)
from seqtune.stats.power import ALPHA, seeds_needed, smallest_p

NUMBERS = st.floats(-100, 100).map(lambda value: round(value, 3))


@given(st.lists(NUMBERS, min_size=1, max_size=8))
def test_the_sign_flip_test_tries_every_choice_of_signs(differences: list[float]):
    sums = [
        abs(sum(sign * value for sign, value in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    expected = sum(each >= abs(sum(differences)) - 1e-9 for each in sums) / len(sums)
    assert sign_flip_test(differences) == pytest.approx(expected)


def test_the_sign_flip_test_agrees_with_scipys():
    rng = np.random.default_rng(0)
    for n in (6, 9, EXACT + 6):
        left, right = rng.normal(0.4, 1, size=n), rng.normal(0, 1, size=n)
        theirs = permutation_test(
            (left, right), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples",
            vectorized=True, n_resamples=50_000, rng=0,
        ).pvalue  # fmt: skip
        assert sign_flip_test(list(left - right)) == pytest.approx(theirs, abs=0.01)


def test_few_seeds_cannot_be_significant_and_it_is_known_how_many_can():
    assert sign_flip_test([1.0, 2.0, 3.0, 4.0, 5.0]) == smallest_p(5) == 2 / 32 > ALPHA
    assert seeds_needed(1) == 6
    assert sign_flip_test([1.0] * 6) == smallest_p(6) < ALPHA
    for pairs in (1, 3, 6, 66):
        n = seeds_needed(pairs)
        assert smallest_p(n) * pairs < ALPHA <= 2.0 ** (2 - n) * pairs
    assert math.isnan(sign_flip_test([]))
    assert sign_flip_test([0.0, 0.0]) == 1.0


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


def test_unseen_comparisons_count_with_a_p_of_1():
    assert holm([0.01, 0.04], unseen=3) == pytest.approx(holm([0.01, 0.04, 1.0, 1.0, 1.0])[:2])


def test_improvement_counts_pairs_of_runs():
    assert probability_of_improvement([1.0, 2.0], [3.0, 2.0], higher_is_better=False) == 3.5 / 4
    assert probability_of_improvement([1.0, 2.0], [3.0, 2.0], higher_is_better=True) == 0.5 / 4
    assert math.isnan(probability_of_improvement([], [1.0], higher_is_better=True))
