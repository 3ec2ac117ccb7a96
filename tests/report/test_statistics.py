import math

import pytest
from scipy import stats

from seqtune.report.statistics import t_interval


def test_a_t_interval_agrees_with_the_table():
    # t(0.975, 2 degrees of freedom) = 4.302653; mean 2, std 1, so the half width is 4.302653 / sqrt(3).
    estimate = t_interval([1.0, 2.0, 3.0])
    assert (estimate.n, estimate.mean, estimate.std) == (3, 2.0, 1.0)
    assert estimate.low == pytest.approx(2 - 2.484138, abs=1e-6)
    assert estimate.high == pytest.approx(2 + 2.484138, abs=1e-6)


def test_a_t_interval_agrees_with_scipy():
    values = [0.012, 0.018, 0.011, 0.03, 0.015]
    low, high = stats.t.interval(0.9, df=4, loc=stats.tmean(values), scale=stats.sem(values))
    estimate = t_interval(values, confidence=0.9)
    assert (estimate.low, estimate.high) == (pytest.approx(low), pytest.approx(high))


def test_equal_values_have_an_interval_of_no_width():
    estimate = t_interval([0.25, 0.25, 0.25])
    assert (estimate.low, estimate.high, estimate.std) == (0.25, 0.25, 0.0)


def test_one_value_has_a_mean_and_no_interval():
    estimate = t_interval([0.5])
    assert (estimate.n, estimate.mean) == (1, 0.5)
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)
    assert math.isnan(estimate.std)


def test_no_value_has_no_mean():
    estimate = t_interval([])
    assert estimate.n == 0
    assert math.isnan(estimate.mean)


def test_an_infinite_value_has_no_interval_and_no_warning():
    estimate = t_interval([1.0, math.inf])
    assert estimate.mean == math.inf
    assert math.isnan(estimate.high)
