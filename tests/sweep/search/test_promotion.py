"""Promotion against the paper's rule, and whole searches on made-up curves."""

import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtune.sweep.search.promotion import Ladder, rungs


@pytest.mark.parametrize(
    ("grace", "factor", "epochs", "expected"),
    [
        (1, 3, 27, [1, 3, 9]),
        (2, 3, 12, [2, 6]),
        (2, 3, 6, [2]),
        (4, 2, 4, []),
        (3, 4, 8, [3]),
    ],
)
def test_rungs_are_powers_below_the_last_epoch(
    grace: int, factor: int, epochs: int, expected: list[int]
):
    assert rungs(grace_period=grace, reduction_factor=factor, epochs=epochs) == expected


def test_nobody_goes_on_before_it_is_one_of_the_best_third():
    ladder = Ladder([1, 3], reduction_factor=3, higher=False)
    for number, value in enumerate([5.0, 4.0]):
        ladder.add_values(number, values={1: value})
        ladder.pause(number, rung=1)
        assert ladder.next_promoted(last_call=False) is None
    ladder.add_values(2, values={1: 6.0})
    ladder.pause(2, rung=1)
    assert ladder.next_promoted(last_call=False) == 1
    ladder.leave(1)
    assert ladder.next_promoted(last_call=False) is None


def test_a_run_that_rests_goes_on_when_others_turn_out_worse():
    ladder = Ladder([1], reduction_factor=3, higher=True)
    for number, value in enumerate([0.5, 0.9, 0.1, 0.2, 0.3]):
        ladder.add_values(number, values={1: value})
        ladder.pause(number, rung=1)
    assert ladder.next_promoted(last_call=False) == 1
    ladder.leave(1)
    assert ladder.next_promoted(last_call=False) is None
    ladder.add_values(5, values={1: 0.0})
    ladder.pause(5, rung=1)
    assert ladder.next_promoted(last_call=False) == 0


def searched(
    curves: list[list[float]], *, grace: int, factor: int, slots: int, seed: int
) -> dict[int, int]:
    """Epochs that each run had when a search with so many workers had nothing left to do."""
    epochs, trials = len(curves[0]), len(curves)
    ladder = Ladder(
        rungs(grace_period=grace, reduction_factor=factor, epochs=epochs), factor, False
    )
    done = dict.fromkeys(range(trials), 0)
    running: list[int] = []
    asked, draws = 0, random.Random(seed)
    while True:
        while len(running) < slots:
            last_call = not running and asked == trials
            number = ladder.next_promoted(last_call=last_call)
            if number is None and asked < trials:
                number, asked = asked, asked + 1
            if number is None:
                break
            ladder.leave(number)
            running.append(number)
        if not running:
            return done
        number = running.pop(draws.randrange(len(running)))
        later = [rung for rung in ladder.rungs if rung > done[number]]
        done[number] = later[0] if later else epochs
        reached = {epoch + 1: curves[number][epoch] for epoch in range(done[number])}
        ladder.add_values(number, values=reached)
        if later:
            ladder.pause(number, rung=later[0])


@dataclass(frozen=True)
class Search:
    trials: int
    epochs: int
    grace: int
    factor: int
    slots: int
    seed: int


SEARCHES = st.builds(
    Search,
    trials=st.integers(1, 20),
    epochs=st.integers(1, 30),
    grace=st.integers(1, 4),
    factor=st.integers(2, 4),
    slots=st.integers(1, 4),
    seed=st.integers(0, 99),
)


@given(SEARCHES)
def test_every_search_ends_with_a_winner_and_the_best_of_every_rung_have_passed(each: Search):
    epochs, factor = each.epochs, each.factor
    grace = min(each.grace, epochs)
    draws = random.Random(each.seed)
    curves = [[draws.random() for _ in range(epochs)] for _ in range(each.trials)]
    done = searched(curves, grace=grace, factor=factor, slots=each.slots, seed=each.seed)
    assert max(done.values()) == epochs
    assert min(done.values()) >= grace
    for rung in rungs(grace_period=grace, reduction_factor=factor, epochs=epochs):
        reached = [number for number in done if done[number] >= rung]
        passed = [number for number in reached if done[number] > rung]
        ranked = sorted(reached, key=lambda number: curves[number][rung - 1])
        assert set(ranked[: len(reached) // factor]) <= set(passed)


def test_to_be_first_is_no_merit():
    """Stopping lets the first runs to come pass every rung; here the worst waits, though it comes first."""
    curves = [[99.0] * 9, *([float(number)] * 9 for number in range(1, 18))]
    done = searched(curves, grace=1, factor=3, slots=2, seed=0)
    assert [number for number in done if done[number] == 9] == [1, 2]
    assert [number for number in done if done[number] == 3] == [3, 4, 5, 6]
    assert done[0] == 1
