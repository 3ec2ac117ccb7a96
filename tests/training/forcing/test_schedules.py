import itertools
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from seqtune.config.errors import SpecError
from seqtune.config.unions import members
from seqtune.config.yaml_file import read_yaml
from seqtune.runs.spec import RunSpec
from seqtune.training.forcing import (
    ArgmaxFeedback,
    Constant,
    Cosine,
    Exact,
    Exponential,
    ForcingSpec,
    Horizon,
    InverseSigmoid,
    Linear,
    Phase,
    Phased,
    Reversed,
)
from seqtune.training.forcing.base import Forcing

EPOCHS = 6
ROOT = Path(__file__).parents[3]


def probabilities() -> st.SearchStrategy[float]:
    return st.floats(0, 1)


def decays() -> st.SearchStrategy[Forcing]:
    """Every decay, for a training of six epochs."""
    minimum = probabilities()
    return st.one_of(
        st.builds(Linear, k=st.floats(1, 3), c=st.none() | st.floats(0, 2), minimum=minimum),
        st.builds(Exponential, k=st.none() | st.floats(0.01, 0.99), minimum=minimum),
        st.builds(
            InverseSigmoid,
            k=st.floats(1.01, 1e6),
            half=st.none() | st.floats(0.01, 100),
            minimum=minimum,
        ),
        st.builds(Cosine, minimum=minimum),
    )


def phased() -> st.SearchStrategy[Forcing]:
    """Three phases, each constant or a line, six epochs long together."""
    rate = probabilities() | st.tuples(probabilities(), probabilities())
    phases = st.tuples(
        *(st.builds(Phase, epochs=st.just(epochs), rate=rate) for epochs in (1, 3, 2))
    )
    return st.builds(Phased, phases=phases)


def schedules() -> st.SearchStrategy[Forcing]:
    """Every schedule, for a training of six epochs."""
    simple = st.one_of(st.builds(Constant, rate=probabilities()), decays(), phased())
    return st.one_of(simple, st.builds(Reversed, schedule=simple))


def backwards(schedule: Any) -> Reversed:
    return Reversed(schedule=schedule)


def values(schedule: Forcing, *, epochs: int = EPOCHS, per_epoch: int = 1) -> list[float]:
    horizon = Horizon(epochs, per_epoch=per_epoch)
    return [schedule.rate_at(index, horizon=horizon) for index in range(horizon.last + 1)]


def test_the_strategies_cover_every_schedule():
    drawn = {Constant, Linear, Exponential, InverseSigmoid, Cosine, Phased, Reversed}
    assert set(members(ForcingSpec)) == drawn


@given(schedules(), st.sampled_from([1, 4]))
def test_every_value_is_a_probability(schedule: Forcing, per_epoch: int):
    assert all(0 <= value <= 1 for value in values(schedule, per_epoch=per_epoch))


@given(decays(), st.sampled_from([1, 4]))
def test_a_decay_never_rises_and_its_reverse_never_falls(schedule: Forcing, per_epoch: int):
    falling = values(schedule, per_epoch=per_epoch)
    rising = values(backwards(schedule), per_epoch=per_epoch)
    # A rounding of the last digit is no rise.
    assert all(b <= a + 1e-12 for a, b in itertools.pairwise(falling))
    assert all(b >= a - 1e-12 for a, b in itertools.pairwise(rising))


@given(schedules(), st.sampled_from([1, 4]))
def test_reversed_is_the_same_values_backwards_and_twice_the_schedule_itself(
    schedule: Forcing, per_epoch: int
):
    once = backwards(schedule)
    twice = backwards(once)
    forwards = values(schedule, per_epoch=per_epoch)
    assert values(once, per_epoch=per_epoch) == forwards[::-1]
    assert values(twice, per_epoch=per_epoch) == forwards


@given(schedules())
def test_a_schedule_and_its_data_are_the_same(schedule: Forcing):
    data = schedule.model_dump(mode="json")
    assert TypeAdapter(ForcingSpec).validate_python(data) == schedule


@given(schedules(), st.integers(0, EPOCHS - 1))
def test_the_truths_of_an_epoch_are_a_part_of_those_of_all_epochs(schedule: Forcing, epoch: int):
    """They depend on the epoch alone, so that a run may go on in any."""
    by_step = schedule.model_copy(update={"update": "step"})
    assert schedule.rates(epoch, epochs=EPOCHS, steps=4) == [values(schedule)[epoch]] * 4
    whole = values(schedule, per_epoch=4)
    assert by_step.rates(epoch, epochs=EPOCHS, steps=4) == whole[4 * epoch : 4 * epoch + 4]


def test_a_linear_decay_is_that_of_the_paper():
    assert values(Linear(k=1.5, c=0.25, minimum=0.3), epochs=7) == [1, 1, 1, 0.75, 0.5, 0.3, 0.3]
    assert values(Linear(), epochs=5) == [1, 0.75, 0.5, 0.25, 0]
    assert values(Linear(minimum=0.5), epochs=2) == [1, 0.5]


def test_an_exponential_decay_is_that_of_the_paper():
    assert values(Exponential(k=0.5), epochs=4) == [1, 0.5, 0.25, 0.125]
    assert values(Exponential(k=0.5, minimum=0.2), epochs=4) == [1, 0.5, 0.25, 0.2]
    assert values(Exponential(k=0.25), epochs=2, per_epoch=2) == [1, 0.5, 0.25, 0.125]
    assert values(Exponential(), epochs=3) == pytest.approx([1, 0.1, 0.01])
    assert values(Exponential(minimum=0.25), epochs=3) == pytest.approx([1, 0.5, 0.25])


@pytest.mark.parametrize("k", [2.0, 10.0, 300.0])
def test_an_inverse_sigmoid_decay_is_that_of_the_paper(k: float):
    """With `half` at k ln k, time in epochs is the formula's own."""
    schedule = InverseSigmoid(k=k, half=k * math.log(k))
    assert values(schedule, epochs=40) == pytest.approx(
        [k / (k + math.exp(i / k)) for i in range(40)]
    )


def test_an_inverse_sigmoid_decay_fills_the_training_however_long():
    for epochs in (3, 11, 101):
        found = values(InverseSigmoid(k=9), epochs=epochs)
        assert (found[0], found[epochs // 2], found[-1]) == pytest.approx((0.9, 0.5, 0.1))
    late = values(InverseSigmoid(k=9, half=0.001), epochs=10_000)
    assert late[-1] == 0.0


def test_a_cosine_is_half_a_wave():
    assert values(Cosine(), epochs=5) == pytest.approx([1, 0.85355, 0.5, 0.14645, 0], abs=1e-5)
    assert values(Cosine(minimum=0.2), epochs=3) == pytest.approx([1, 0.6, 0.2])


def test_phases_follow_one_another_and_lines_reach_both_ends():
    """The published schedule: rate 1, then 1 - (.2 + .5 epoch / 30), then 0."""
    schedule = Phased(
        phases=(
            Phase(epochs=6, rate=1.0),
            Phase(epochs=20, rate=(0.7, 1 - 0.2 - 0.5 * 25 / 30)),
            Phase(epochs=4, rate=0.0),
        )
    )
    found = values(schedule, epochs=30)
    assert found[:6] == [1.0] * 6
    for epoch in range(6, 26):
        assert found[epoch] == pytest.approx(1 - (0.2 + 0.5 * epoch / 30))
    assert found[26:] == [0.0] * 4


def test_the_shipped_run_of_that_schedule_says_who_decides_and_how():
    spec = RunSpec.parse(read_yaml(ROOT / "sweeps" / "seed_lstm.yaml").data)
    assert (spec.forcing.granularity, spec.forcing.feedback, spec.forcing.stage) == (
        "step",
        ArgmaxFeedback(),
        Exact(),
    )
    rates = [spec.forcing.rates(epoch, epochs=30, steps=391) for epoch in range(30)]
    assert [len(set(each)) for each in rates] == [1] * 30
    assert [each[0] for each in rates] == pytest.approx(
        [1.0] * 6 + [1 - (0.2 + 0.5 * epoch / 30) for epoch in range(6, 26)] + [0.0] * 4, abs=1e-3
    )


def test_the_steps_of_a_phase_go_from_its_first_value_to_its_second():
    schedule = Phased(phases=(Phase(epochs=1, rate=1.0), Phase(epochs=2, rate=(0.5, 0.0))))
    assert values(schedule, epochs=3, per_epoch=3) == pytest.approx(
        [1, 1, 1, 0.5, 0.4, 0.3, 0.2, 0.1, 0]
    )


@pytest.mark.parametrize("schedule", [Linear(), Exponential(), InverseSigmoid(), Cosine()])
def test_a_training_of_one_moment_begins_where_any_begins(schedule: Forcing):
    assert values(schedule, epochs=1)[0] == pytest.approx(1.0, abs=0.03)


def test_what_reads_nothing_of_its_own_is_known_beforehand():
    late = Phased(phases=(Phase(epochs=5, rate=1.0), Phase(epochs=1, rate=0.9)))
    assert late.feeds_back(epochs=6, steps=2)
    assert not Constant().feeds_back(epochs=6, steps=2)
    assert not Linear(c=0.0).feeds_back(epochs=6, steps=2)


REFUSED: list[tuple[Any, str]] = [
    ({"rate": 1.5}, "forcing.rate: must be at most 1, but got 1.5"),
    (
        {"kind": "phased", "phases": [{"epochs": 3, "rate": 1.0}]},
        "forcing.phases: the phases must last as long as the training, but got (phases=3, "
        "training.epochs=8); write phases that add up to 8, or training.epochs: 3",
    ),
    (
        {
            "kind": "reversed",
            "schedule": {"kind": "phased", "phases": [{"epochs": 9, "rate": [0.0, 1.0]}]},
        },
        "forcing.schedule.phases: the phases must last as long as the training, but got (phases=9, "
        "training.epochs=8); write phases that add up to 8, or training.epochs: 9",
    ),
    ({"kind": "phased", "phases": []}, "forcing.phases: needs at least one entry, but got []"),
    ("lineer", "forcing: no such kind: 'lineer'; did you mean linear?"),
    (
        "decay",
        "forcing: no such kind: 'decay'; it is one of constant, linear, exponential, "
        "inverse_sigmoid, cosine, phased, reversed",
    ),
    (
        {"kind": "linear", "k": 0.5, "minimum": 0.75},
        "forcing: minimum <= k must hold, but got (minimum=0.75, k=0.5)",
    ),
    ({"kind": "linear", "c": -0.1}, "forcing.c: must be at least 0, but got -0.1"),
    (
        {"kind": "linear", "slope": 0.1},
        "forcing.slope: no such field; with kind: linear it is one of forcing.update, "
        "forcing.granularity, forcing.feedback, "
        "forcing.stage, forcing.minimum, forcing.kind, forcing.k, forcing.c",
    ),
    ({"kind": "exponential", "k": 1.0}, "forcing.k: must be below 1, but got 1.0"),
    ({"kind": "inverse_sigmoid", "k": 1.0}, "forcing.k: must be above 1, but got 1.0"),
    ({"kind": "inverse_sigmoid", "half": 0.0}, "forcing.half: must be above 0, but got 0.0"),
    (
        {"kind": "cosine", "minimun": 0.1},
        "forcing.minimun: no such field; did you mean forcing.minimum?",
    ),
    ("reversed", "forcing.schedule: is required, and is not given"),
    (
        {"kind": "reversed", "schedule": {"kind": "linear", "granularity": "step"}},
        "forcing.schedule.granularity: is not part of the schedule that is reversed: "
        "write it beside "
        "`kind: reversed`",
    ),
    (
        {"granularity": "word", "update": "batch"},
        "forcing.update: must be 'epoch' or 'step', but got 'batch'\n"
        "forcing.granularity: must be 'token', 'step' or 'sequence', but got 'word'",
    ),
    ({"feedback": "sampel"}, "forcing.feedback: no such kind: 'sampel'; did you mean sample?"),
    (
        {"feedback": {"kind": "sample", "temperature": 0.0}},
        "forcing.feedback.temperature: must be above 0, but got 0.0; for the most probable token "
        "write feedback: argmax",
    ),
    ({"stage": {"passes": 0}}, "forcing.stage.passes: must be at least 1, but got 0"),
    (
        {"stage": {"kind": "exact", "passes": 2}},
        "forcing.stage.passes: no such field; with kind: exact it is one of forcing.stage.kind",
    ),
]


@pytest.mark.parametrize(("forcing", "message"), REFUSED)
def test_an_impossible_forcing_is_refused(forcing: Any, message: str):
    with pytest.raises(SpecError) as caught:
        RunSpec.parse({"task": "cfg", "model": "lstm", "forcing": forcing})
    assert str(caught.value) == message


def test_short_forms_stand_for_whole_blocks():
    def forcing(written: Any) -> ForcingSpec:
        return RunSpec.parse({"task": "cfg", "model": "lstm", "forcing": written}).forcing

    assert forcing("linear") == Linear()
    assert forcing({"rate": 0.5}) == Constant(rate=0.5)
    assert forcing({"kind": "reversed", "schedule": "cosine"}) == Reversed(schedule=Cosine())
    assert forcing({"kind": "linear", "stage": {"passes": 3}}) == forcing(
        {"kind": "linear", "stage": {"kind": "parallel", "passes": 3}}
    )
    assert forcing({"feedback": "sample"}) == forcing(
        {"feedback": {"kind": "sample", "temperature": 1.0}}
    )
