import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtune.tasks.score import Score
from seqtune.tasks.share import bound, shown_bound


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
