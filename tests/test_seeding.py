from hypothesis import given
from hypothesis import strategies as st

from seqtune.seeding import generator, integer_seed

SEEDS = st.integers(0, 2**40)


@given(SEEDS, st.integers(0, 1000))
def test_the_same_name_gives_the_same_draws(seed: int, epoch: int):
    first = generator(seed, "data", epoch).integers(0, 2**62, 4)
    assert (first == generator(seed, "data", epoch).integers(0, 2**62, 4)).all()


@given(SEEDS, st.integers(0, 1000))
def test_other_streams_epochs_and_seeds_give_other_draws(seed: int, epoch: int):
    draws = {
        integer_seed(seed, "data", epoch),
        integer_seed(seed, "data", epoch + 1),
        integer_seed(seed, "data"),
        integer_seed(seed, "valid", epoch),
        integer_seed(seed + 1, "data", epoch),
    }
    assert len(draws) == 5


def test_a_stream_is_the_same_on_every_machine():
    assert generator(0, "data", 3).integers(0, 1000, 4).tolist() == [270, 958, 558, 561]
