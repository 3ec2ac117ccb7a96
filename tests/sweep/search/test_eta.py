"""Time left, on made-up numbers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtune.sweep.planning.cell import Cell
from seqtune.sweep.search.cell_progress import CellProgress
from seqtune.sweep.search.eta import CellWork, RunPace, TimeLeft, duration, time_left
from seqtune.sweep.search.proposal import Proposal
from seqtune.sweep.search.run_timing import RunTiming
from seqtune.training.measurement import Measurement
from tests.sweep.sweeps import SMALL, plan_of


def run(epoch: int, *, seconds: float, of: int = 10, **changes: bool) -> RunPace:
    """A search trial that has ended, but for what is changed."""
    kept = RunPace(epochs=of, epoch=epoch, seconds=seconds, stoppable=True, under_way=False)
    return replace(kept, **changes)


def seconds(work: CellWork, *, at_once: int = 1, beside: float = 0.0) -> float:
    found = time_left({"a": work}, at_once=at_once, beside=beside)
    assert found is not None
    assert found[0]["a"] == found[1]
    assert not found[1].at_least
    return found[1].seconds


def test_nothing_is_known_before_anything_was_measured():
    fresh = CellWork(10, runs=(), trials=4, confirms=2)
    assert time_left({"a": fresh}, at_once=1, beside=0.0) is None
    begun = replace(fresh, runs=[run(0, seconds=0.0, under_way=True)])
    assert time_left({"a": begun}, at_once=1, beside=0.0) is None


def test_a_trial_to_begin_runs_as_long_as_those_that_ended_and_a_confirm_run_to_its_end():
    ended = [run(2, seconds=4.0), run(10, seconds=20.0)]
    # Two seconds an epoch; a trial has 6 epochs on the average, a confirm run 10.
    assert seconds(CellWork(10, ended, trials=3, confirms=0)) == 3 * 6 * 2
    assert seconds(CellWork(10, ended, trials=0, confirms=2)) == 2 * 10 * 2
    assert seconds(CellWork(10, ended, trials=3, confirms=2)) == 3 * 12 + 2 * 20


def test_before_any_trial_ended_all_are_taken_to_run_to_their_end():
    begun = run(1, seconds=3.0, under_way=True)
    assert seconds(CellWork(10, [begun], trials=1, confirms=0)) == 9 * 3 + 10 * 3


def test_a_trial_under_way_runs_as_long_as_those_that_came_further():
    ended = [run(2, seconds=2.0), run(4, seconds=4.0), run(10, seconds=10.0)]
    under_way = run(3, seconds=3.0, under_way=True)
    # Of those beyond epoch 3 one had one epoch to go and one seven.
    assert seconds(CellWork(10, [*ended, under_way], trials=0, confirms=0)) == 4
    confirm = replace(under_way, stoppable=False)
    assert seconds(CellWork(10, [*ended, confirm], trials=0, confirms=0)) == 7


def test_runs_share_the_workers_but_one_run_has_one():
    ended = [run(10, seconds=10.0)]
    many = CellWork(10, ended, trials=8, confirms=0)
    assert seconds(many, at_once=4) == 20
    assert seconds(replace(many, trials=1), at_once=4) == 10
    # What is confirmed has to be found first.
    assert seconds(replace(many, trials=1, confirms=1), at_once=4) == 20


def test_what_a_run_costs_beside_its_epochs_is_counted_once_for_each_to_begin():
    work = CellWork(10, [run(10, seconds=1.0), run(5, seconds=0.5, under_way=True)], 2, 1)
    assert seconds(work, beside=3.0) - seconds(work) == pytest.approx(9)


def test_a_cell_that_measured_nothing_is_as_fast_as_the_others_at_least():
    cells = {
        "slow": CellWork(10, [run(10, seconds=30.0)], trials=0, confirms=1),
        "fast": CellWork(10, [run(10, seconds=10.0)], trials=0, confirms=0),
        "new": CellWork(10, [], trials=1, confirms=0),
    }
    found = time_left(cells, at_once=1, beside=0.0)
    assert found is not None
    assert found[0] == {
        "slow": TimeLeft(30.0),
        "fast": TimeLeft(0.0),
        "new": TimeLeft(20.0, at_least=True),
    }
    assert found[1] == TimeLeft(50.0, at_least=True)
    assert [str(each) for each in found[0].values()] == ["about 30 s", "done", "at least 20 s"]


def test_runs_that_rest_may_go_on_or_not():
    found = time_left(
        {"a": CellWork(10, [run(2, seconds=2.0)], trials=1, confirms=0, resting=1)},
        at_once=1,
        beside=0.0,
    )
    assert found is not None
    assert found[1] == TimeLeft(2.0, at_least=True)


RUNS = st.builds(
    lambda of, share, **given: RunPace(of, round(of * share), **given),
    of=st.integers(1, 50),
    share=st.floats(0, 1),
    seconds=st.floats(0, 1e6),
    stoppable=st.booleans(),
    under_way=st.booleans(),
)
COUNTS = st.integers(0, 20)
WORKS = st.builds(CellWork, st.integers(1, 50), st.lists(RUNS, max_size=8), COUNTS, COUNTS, COUNTS)


@given(works=st.lists(WORKS, max_size=5), at_once=st.integers(0, 64), beside=st.floats(0, 1e3))
def test_time_left_is_never_negative_and_nothing_once_all_is_done(
    works: list[CellWork], at_once: int, beside: float
):
    cells = {str(number): work for number, work in enumerate(works)}
    found = time_left(cells, at_once=at_once, beside=beside)
    if found is not None:
        each, whole = found
        assert all(left.seconds >= 0 for left in (*each.values(), whole))
        assert whole.seconds >= max((left.seconds for left in each.values()), default=0)
        assert all(each[name] == TimeLeft(0.0) for name, work in cells.items() if work.over)
    done = {
        name: CellWork(work.epochs, [replace(run, under_way=False) for run in work.runs], 0, 0)
        for name, work in cells.items()
    }
    ended = time_left(done, at_once=at_once, beside=beside)
    assert ended == (dict.fromkeys(done, TimeLeft(0.0)), TimeLeft(0.0))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (0.0042, "0.0042 s"),
        (2, "2 s"),
        (9.96, "10 s"),
        (48.4, "48 s"),
        (89, "89 s"),
        (91, "1.5 min"),
        (5399, "90 min"),
        (5400, "1.5 h"),
        (86400, "24 h"),
        (300 * 86400, "300 d"),
    ],
)
def test_times_are_said_without_exponents(given: float, said: str):
    assert duration(given) == said


def measured(epoch: int, *, at: float) -> Measurement:
    return Measurement(epoch=epoch, step=epoch, tokens=epoch, seconds=at, metrics={})


def test_a_stopwatch_hears_of_runs_what_the_estimate_needs():
    plan = plan_of(SMALL)
    now = 100.0
    watch = RunTiming(plan.cells, clock=lambda: now)
    progress = {cell.name: CellProgress(cell) for cell in plan.cells}
    cell = plan.cells[0]
    proposals = [proposal(cell, number) for number in range(3)]

    def left() -> tuple[dict[str, TimeLeft], TimeLeft] | None:
        return watch.left(progress.values(), seeds=2, unconfirmed=())

    for each in proposals[:2]:
        watch.begins(each, epoch=0, stoppable=True)
        progress[cell.name].running += 1
    assert left() is None
    watch.measured(proposals[0], measured(2, at=20.0))
    now = 125.0
    watch.leaves(proposals[0])
    progress[cell.name].running -= 1
    progress[cell.name].end({"state": "stopped"}, phase="search")
    found = left()
    assert found is not None
    # 10 s an epoch, and of the 25 s that it held its worker 5 beside them. Of this cell three trials are left,
    # one of them under way, with 2 epochs each as the one that ended, and two confirm runs with 4; two at once.
    mine = (2 * 10) + 2 * (2 * 10 + 5) + 2 * (4 * 10 + 5)
    assert found[0][cell.name].seconds == pytest.approx(mine / 2)
    # Of the other cell all runs are taken to go to their end.
    others = 4 * 45 + 2 * 45
    assert found[0][plan.cells[1].name] == TimeLeft(others / 2, at_least=True)
    assert found[1] == TimeLeft((mine + others) / 2, at_least=True)


def test_a_run_of_an_earlier_sitting_is_known_by_its_seconds_over_all_sittings():
    plan = plan_of(SMALL.replace("[1, 2]", "[1]"))
    [cell] = plan.cells
    watch = RunTiming(plan.cells, clock=lambda: 0.0)
    progress = CellProgress(cell)
    ended, resumed = proposal(cell, 0), proposal(cell, 1)
    watch.found(ended, measured(4, at=8.0), stoppable=True)
    progress.end({"state": "finished"}, phase="search")
    watch.begins(resumed, epoch=2, stoppable=True)
    progress.running = 1
    watch.measured(resumed, measured(3, at=6.0))
    found = watch.left([progress], seeds=0, unconfirmed=())
    assert found is not None
    # 14 s for 7 epochs; one to go of the run under way, four of each of two trials.
    assert found[1] == TimeLeft(2.0 + 2 * 8.0)


def proposal(cell: Cell, number: int) -> Proposal:
    tuned = {"optimizer.lr": 0.01}
    return Proposal(cell, "search", number, tuned, cell.run(tuned=tuned, seed=number))
