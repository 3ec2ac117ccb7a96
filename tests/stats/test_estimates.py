import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from seqtune.stats.estimates import (
    MANY,
    bootstrap_interval,
    interval_name,
    mean_of,
    middle_of,
    t_interval,
)


def test_a_t_interval_agrees_with_the_table():
    # t(0.975, 2 degrees of freedom) = 4.302653; mean 2, std 1: half width 4.302653 / sqrt(3).
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


def drawn(n: int) -> list[float]:
    return list(np.random.default_rng(n).lognormal(size=n))


def test_few_values_have_a_t_interval_and_many_that_of_the_bootstrap():
    few, many = drawn(MANY - 1), drawn(MANY)
    assert mean_of(few) == t_interval(few)
    assert mean_of(many) == bootstrap_interval(many)
    assert (mean_of(few).interval, mean_of(many).interval) == ("t", "bootstrap")
    assert (middle_of(few).interval, middle_of(many).interval) == ("t", "bootstrap")
    assert mean_of([1.0]).interval == ""


def test_a_bootstrap_interval_agrees_with_scipy():
    values = drawn(200)
    # With so many values the expansion is small: percentiles .0255 and .9745, not .025 and .975.
    found = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    estimate = bootstrap_interval(values)
    width = estimate.high - estimate.low
    assert (estimate.mean, estimate.std) == (
        pytest.approx(np.mean(values)),
        pytest.approx(np.std(values, ddof=1)),
    )
    assert estimate.low == pytest.approx(found.low, abs=0.04 * width)
    assert estimate.high == pytest.approx(found.high, abs=0.04 * width)


def test_a_bootstrap_interval_is_as_wide_as_that_of_t_for_normal_values():
    wide = [
        (bootstrap_interval(list(values)), t_interval(list(values)))
        for values in np.random.default_rng(0).normal(size=(50, 25))
    ]
    ratios = [(by.high - by.low) / (t.high - t.low) for by, t in wide]
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.03)


def test_a_bootstrap_interval_of_skewed_values_reaches_further_to_their_tail():
    estimate = bootstrap_interval(drawn(30))
    assert estimate.high - estimate.mean > 1.1 * (estimate.mean - estimate.low)


def test_a_bootstrap_interval_is_the_same_every_time_and_in_any_order():
    values = drawn(30)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    again = bootstrap_interval(values[::-1])
    assert (again.low, again.high) == (
        bootstrap_interval(values).low,
        bootstrap_interval(values).high,
    )


def test_equal_values_have_a_bootstrap_interval_of_no_width():
    for estimate in (bootstrap_interval([0.1] * 30), middle_of([0.1] * 30)):
        assert (estimate.low, estimate.high) == (0.1, 0.1)


def test_the_interquartile_mean_leaves_out_the_best_and_the_worst_quarter():
    assert middle_of([100.0, 1.0, 2.0, 3.0]).mean == 2.5
    assert math.isnan(middle_of([1.0, 2.0, 3.0]).mean)
    values = drawn(40)
    assert middle_of(values).mean == pytest.approx(stats.trim_mean(values, 0.25))


def test_the_interval_of_an_interquartile_mean_of_few_values_agrees_with_scipy():
    values = drawn(11)
    # Yuen's test of a trimmed mean against a constant has this interval; scipy compares two samples,
    # and the second one's part vanishes if it is large and constant.
    constant = list(1e-9 * np.random.default_rng(0).normal(size=4000))
    trim: Any = 2 / 11  # the stubs take it for a whole number
    found = stats.ttest_ind(values, constant, equal_var=False, trim=trim).confidence_interval()
    estimate = middle_of(values)
    assert estimate.low == pytest.approx(found.low, abs=1e-6)
    assert estimate.high == pytest.approx(found.high, abs=1e-6)


def test_an_infinite_value_leaves_no_interval_of_the_middle():
    estimate = middle_of([1.0, 2.0, 3.0, math.inf])
    assert estimate.mean == 2.5
    assert math.isnan(estimate.low)


def test_a_caption_names_the_method():
    assert interval_name([3, 5]) == "95 % t interval"
    assert interval_name([0, 25]) == "95 % bootstrap interval"
    assert (
        interval_name([3, 25])
        == "95 % interval (Student's t below n = 20, bootstrap from there on)"
    )
