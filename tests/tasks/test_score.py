import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtune.tasks.score import Score, bound, shown_bound


def test_a_mean_and_its_error_by_hand():
    score = Score.mean(np.array([0, 0, 1, 1]))
    assert (score.value, score.count) == (0.5, 4)
    assert score.standard_error == pytest.approx(math.sqrt(1 / 3) / 2)


def test_a_share_has_the_error_of_a_share():
    score = Score.mean(np.arange(100) < 20)
    assert score.value == 0.2
    assert score.standard_error == pytest.approx(math.sqrt(0.2 * 0.8 / 99))


def test_a_ratio_and_its_error_by_hand():
    """Two strings: 1 nat on 1 token and 2 nats on 4; residuals are 2/5 and -2/5."""
    score = Score.ratio(np.array([1, 2]), denominators=np.array([1, 4]))
    assert (score.value, score.count) == (0.6, 2)
    assert score.standard_error == pytest.approx(math.sqrt(2 * (0.4**2 + 0.4**2)) / 5)


def test_strings_are_the_units_not_their_tokens():
    """Every string is all right or all wrong: a thousand tokens a string say no more than one."""
    right = np.array([1, 0, 1, 1, 0, 1])
    short = Score.mean(right)
    long = Score.ratio(1000 * right, denominators=np.full(6, 1000))
    assert long.value == short.value
    assert long.standard_error == pytest.approx(short.standard_error)


def test_a_unit_that_has_nothing_to_say_is_not_counted():
    own = Score.ratio(np.array([1.0, 2.0]), denominators=np.array([1, 4]))
    more = Score.ratio(np.array([1.0, 0.0, 2.0]), denominators=np.array([1, 0, 4]))
    assert more == own


def test_what_is_missing_is_nan():
    none, one = Score.mean(np.array([])), Score.mean(np.array([3.0]))
    assert math.isnan(none.value)
    assert math.isnan(none.standard_error)
    assert (none.count, one.count, one.value) == (0, 1, 3.0)
    assert math.isnan(one.standard_error)
    assert Score.mean(np.array([1.0, np.inf])).value == math.inf


def test_errors_are_as_large_as_the_scatter_of_many_samples():
    generator = np.random.default_rng(0)
    values: list[float] = []
    errors: list[float] = []
    for _ in range(2000):
        lengths = generator.integers(3, 20, size=50)
        # Longer strings are worse, and strings differ more than their tokens do.
        nats = lengths * generator.gamma(2.0, size=50) * (1 + lengths / 20)
        score = Score.ratio(nats, denominators=lengths)
        values.append(score.value)
        errors.append(score.standard_error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.05)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_a_mean_is_a_ratio_over_ones(values: list[float]):
    score = Score.mean(np.array(values))
    spread = np.std(values, ddof=1)
    assert score.value == pytest.approx(np.mean(values), abs=1e-6)
    assert score.standard_error == pytest.approx(spread / math.sqrt(len(values)), abs=1e-6)


@pytest.mark.parametrize(
    "score", [Score(0.5, 4, 0.1), Score(math.nan, 0, math.nan), Score(2.0, 1, math.nan)]
)
def test_json_keeps_a_score(score: Score):
    again = Score.from_data(json.loads(json.dumps(score.to_data(), allow_nan=False)))
    assert repr(again) == repr(score)


def test_what_json_cannot_say_is_null():
    assert Score(math.inf, 3, math.nan).to_data() == {
        "value": None,
        "count": 3,
        "standard_error": None,
    }


@pytest.mark.parametrize(
    ("value", "count", "exact", "shown"),
    [
        (0.0, 1, 0.95, 0.95),
        (0.0, 3, 0.6316, 0.64),
        (0.0, 20, 0.13911, 0.14),
        (1.0, 20, 0.86089, 0.86),
        (0.0, 1000, 0.0029913, 0.003),
        (1.0, 1000, 0.9970087, 0.997),
    ],
)
def test_nothing_wrong_is_not_proof_that_nothing_goes_wrong(
    value: float, count: int, exact: float, shown: float
):
    score = Score(value, count=count, standard_error=0.0)
    assert bound(score) == pytest.approx(exact, abs=5e-6)
    assert shown_bound(score) == shown


@pytest.mark.parametrize(("value", "count"), [(0.5, 20), (math.nan, 0), (1 - 1e-12, 5)])
def test_only_0_and_1_are_bounded(value: float, count: int):
    score = Score(value, count=count, standard_error=0.1)
    assert bound(score) is None
    assert shown_bound(score) is None


@given(st.integers(10, 10**7))
def test_the_rule_of_three_is_close(count: int):
    found = bound(Score(0.0, count=count, standard_error=0.0))
    assert found is not None
    assert 0.85 * 3 / count < found < 3 / count


@given(st.integers(1, 10**7), st.sampled_from([0.0, 1.0]))
def test_what_is_shown_holds(count: int, value: float):
    score = Score(value, count=count, standard_error=0.0)
    exact, shown = bound(score), shown_bound(score)
    assert exact is not None
    assert shown is not None
    assert abs(shown - value) >= abs(exact - value) - 1e-15
    assert abs(shown - value) <= 1.1 * abs(exact - value)


def test_a_share_as_large_as_the_bound_hides_as_often_as_is_said():
    generator = np.random.default_rng(0)
    found = bound(Score(0.0, count=20, standard_error=0.0))
    assert found is not None
    hidden = (generator.random((20_000, 20)) >= found).all(axis=1).mean()
    assert hidden == pytest.approx(0.05, abs=0.006)  # four standard errors
