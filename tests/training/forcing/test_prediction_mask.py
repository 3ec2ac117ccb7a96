import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtune.tasks.base import Mask
from seqtune.training.forcing.base import Granularity
from seqtune.training.forcing.inputs import draw_prediction_mask

GRANULARITIES: tuple[Granularity, ...] = ("token", "step", "sequence")


def masks() -> st.SearchStrategy[Mask]:
    """Which tokens are replaceable, of up to five strings of up to nine tokens."""
    shapes = st.tuples(st.integers(1, 5), st.integers(1, 9))
    return st.builds(
        lambda shape, seed, share: np.random.default_rng(seed).random(shape) < share,
        shapes,
        st.integers(0, 99),
        st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    )


def drawn(granularity: Granularity, *, rate: float, scored: Mask, seed: int = 0) -> Mask:
    return draw_prediction_mask(
        granularity, rate=rate, scored=scored, generator=np.random.default_rng(seed)
    )


@given(st.sampled_from(GRANULARITIES), st.floats(0, 1), masks(), st.integers(0, 9))
def test_only_what_the_model_had_to_predict_is_its_own(
    granularity: Granularity, rate: float, scored: Mask, seed: int
):
    mask = np.broadcast_to(drawn(granularity, rate=rate, scored=scored, seed=seed), scored.shape)
    assert not mask[:, 0].any()
    assert not (mask[:, 1:] & ~scored[:, :-1]).any()
    always = np.broadcast_to(drawn(granularity, rate=0.0, scored=scored, seed=seed), scored.shape)
    assert (always[:, 1:] == scored[:, :-1]).all()
    assert not drawn(granularity, rate=1.0, scored=scored, seed=seed).any()


@pytest.mark.parametrize("whole", [True, False])
def test_what_one_draw_decides_on(whole: bool):
    """With step granularity rows agree, with sequence granularity time steps, else neither."""
    scored = np.random.default_rng(1).random((40, 50)) < (1.0 if whole else 0.6)
    replaceable = scored[:, :-1]
    mask = {
        granularity: np.broadcast_to(drawn(granularity, rate=0.5, scored=scored), scored.shape)[
            :, 1:
        ]
        for granularity in GRANULARITIES
    }

    def shared(granularity: Granularity, axis: int) -> bool:
        """Whether along an axis the replaceable tokens are all own or all true."""
        some, all_ = (
            mask[granularity].any(axis=axis),
            (mask[granularity] | ~replaceable).all(axis=axis),
        )
        return bool((some == all_).all())

    assert shared("step", 0)
    assert not shared("step", 1)
    assert shared("sequence", 1)
    assert not shared("sequence", 0)
    assert not shared("token", 0)
    assert not shared("token", 1)


def test_one_row_stands_for_all_where_all_strings_agree():
    whole = np.ones((4, 6), dtype=bool)
    assert drawn("step", rate=0.5, scored=whole).shape == (1, 6)
    assert drawn("token", rate=0.5, scored=whole).shape == (4, 6)
    whole[2, 3] = False
    assert drawn("step", rate=0.5, scored=whole).shape == (4, 6)


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_ground_truth_is_read_at_the_given_rate(granularity: Granularity):
    scored = np.ones((300, 301), dtype=bool)
    mask = drawn(granularity, rate=0.3, scored=scored)
    spread = 5 * np.sqrt(0.3 * 0.7 / {"token": 90_000, "step": 300, "sequence": 300}[granularity])
    assert mask[:, 1:].mean() == pytest.approx(0.7, abs=spread)
