"""The language: its strings, their layout, their floors, and what is told of a wrong spec."""

import hashlib
import math

import numpy as np
import pytest

from seqtune import seeding
from seqtune.tasks.base import Floor, Strings
from seqtune.tasks.life.spec import LifeSpec
from seqtune.tasks.life.task import LifeTask
from tests.tasks.life.boards import CONWAY, board, plain_step


def task_of(**fields: object) -> LifeTask:
    return LifeTask(LifeSpec.parse({"kind": "life", **fields}))


def characters(task: LifeTask, strings: Strings) -> list[str]:
    return [task.notation.text(each.astype(np.int64)) for each in strings]


TASKS = {
    "default": task_of(),
    "whole": task_of(loss="whole", density="broad"),
    "heterogeneous": task_of(loss="whole", layout="heterogeneous", rows=6, columns=5),
    "compact": task_of(vocabulary="compact", density={"kind": "beta", "a": 2, "b": 5}),
    "wide": task_of(rows=1, columns=7, border="dead", rule="B1/S0", steps=3),
    "smallest": task_of(rows=1, columns=1),
    "dead": task_of(density=0, loss="whole"),
}


@pytest.fixture(params=TASKS.values(), ids=list(TASKS))
def task(request: pytest.FixtureRequest) -> LifeTask:
    return request.param


def test_a_batch_has_the_promised_shapes_types_and_ranges(task: LifeTask):
    batch = task.sample(16, generator=seeding.generator(0, "data"))
    steps = 2 * task.notation.cells + 22
    assert batch.tokens.shape == batch.targets.shape == batch.scored.shape == (16, steps)
    assert task.max_length == steps
    assert batch.tokens.dtype == batch.targets.dtype == np.int64
    assert batch.scored.dtype == np.bool_
    assert 0 < batch.tokens.min() <= batch.tokens.max() < task.vocab_size
    assert 0 < batch.targets.min() <= batch.targets.max() < task.outputs
    assert (batch.tokens[:, 1:] == batch.targets[:, :-1]).all()
    assert batch.strings.tokens.dtype == np.uint8


def test_the_same_seed_gives_the_same_strings(task: LifeTask):
    first, again = (task.draw(64, generator=seeding.generator(0, "data")) for _ in range(2))
    assert (first.tokens == again.tokens).all()
    other = task.draw(64, generator=seeding.generator(1, "data"))
    certain = task.spec.to_data()["density"] == {"kind": "fixed", "share": 0}
    assert certain or (first.tokens != other.tokens).any()


@pytest.mark.parametrize(
    ("fields", "digest"),
    [
        ({}, "b0968b2cf16c8545"),
        ({"density": "broad"}, "2bb72fe36a81a385"),
        ({"density": "broad", "layout": "heterogeneous"}, "c50c5e005d5e54ad"),
    ],
)
def test_a_seed_means_these_strings_on_every_machine(fields: dict[str, object], digest: str):
    task = task_of(rows=8, columns=8, **fields)
    tokens = task.draw(500, generator=np.random.default_rng(0)).tokens
    assert hashlib.sha256(tokens.tobytes()).hexdigest()[:16] == digest


def test_every_string_says_what_becomes_of_its_first_board(task: LifeTask):
    spec, cells = task.spec, task.notation.cells
    for text in characters(task, task.draw(20, generator=seeding.generator(0, "data"))):
        head, first, second = text[:18], text[18 : 18 + cells], text[21 + cells : -2]
        assert text == f"{head}{first}> [{second}]$"
        assert head == "@PredictNextState<"
        boards = np.array([list(first), list(second)]).astype(np.uint8)
        before, after = boards.reshape(2, spec.rows, spec.columns)
        for _ in range(spec.steps):
            before = plain_step(before, rule=task.rule, border=spec.border)
        assert (before == after).all()


def test_a_row_of_three_by_hand():
    task = task_of()
    before = board(".... OOO. .... ....")
    strings = task.notation.strings(before[np.newaxis], after=task.advance(before[np.newaxis]))
    text = "@PredictNextState<0000111000000000> [0100010001000000]$"
    assert characters(task, strings) == [text]
    batch = task.batch(strings)
    assert bytes(batch.tokens[0].tolist()).decode() == text[:-1]
    assert bytes(batch.targets[0].tolist()).decode() == text[1:]
    scored = batch.targets[0][batch.scored[0]]
    assert bytes(scored.tolist()).decode() == " [0100010001000000]$"


def test_several_steps_ahead_skip_what_is_between():
    task = task_of(steps=2)
    before = board(".... OOO. .... ....")[np.newaxis]
    assert (task.advance(before) == before).all()
    assert (task_of(steps=3).advance(before) == task_of().advance(before)).all()


def test_drawing_none_and_many():
    task = task_of(rows=8, columns=8, density="broad")
    assert len(task.draw(0, generator=seeding.generator(0, "data"))) == 0
    many = task.draw(10_000, generator=seeding.generator(0, "data"))
    assert many.tokens.shape == (10_000 * 151,)
    assert many.take(np.array([3, 1]))[1].tolist() == many[1].tolist()


def test_the_completion_alone_has_no_floor_but_zero():
    for layout in ("homogeneous", "heterogeneous"):
        task = task_of(layout=layout, density="broad")
        batch = task.sample(9, generator=seeding.generator(0, "valid"))
        assert batch.known is None
        assert task.floor(batch) == Floor(nats=0.0, correct=9 * 20, scored=9 * 20, strings=9)


def test_the_whole_string_at_density_one_half_costs_ln_2_a_cell():
    task = task_of(rows=32, columns=32, loss="whole")
    floor = task.floor(task.sample(8, generator=seeding.generator(0, "valid")))
    assert floor.loss == pytest.approx(1024 * math.log(2) / 2070, rel=1e-12)
    assert floor.loss == pytest.approx(0.34289, abs=5e-6)
    assert floor.accuracy == pytest.approx(1 - 512 / 2070)
    assert floor.scored == 8 * 2070


def test_the_whole_string_at_broad_densities():
    """.2473 nats a token if the share were known; not to know it costs 3.05 nats a string more."""
    task = task_of(rows=32, columns=32, loss="whole", density="broad")
    floor = task.floor(task.sample(2000, generator=seeding.generator(0, "valid")))
    exact = task.spec.density.entropy(1024) / 2070
    assert exact == pytest.approx(0.248816, abs=1e-6)
    assert floor.loss == pytest.approx(exact, abs=2e-4)
    assert round(0.5 * 1024 / 2070, 4) == 0.2473
    assert exact * 2070 - 512 == pytest.approx(3.049, abs=0.001)


def grid_posterior(cells: np.ndarray, *, a: float, b: float) -> tuple[float, float]:
    """Nats and expected hits of a reader who keeps a posterior over 4,000 shares of live cells."""
    shares = (np.arange(4000) + 0.5) / 4000
    belief = shares ** (a - 1) * (1 - shares) ** (b - 1)
    nats = hits = 0.0
    for cell in cells:
        belief /= belief.sum()
        alive = float(belief @ shares)
        nats -= math.log(alive if cell else 1 - alive)
        hits += max(alive, 1 - alive)
        belief *= shares if cell else 1 - shares
    return nats, hits


@pytest.mark.parametrize(("density", "a", "b"), [("broad", 1, 1), ({"a": 2, "b": 5}, 2, 5)])
def test_the_floor_is_what_a_bayesian_reader_pays(density: object, a: float, b: float):
    fields = {"kind": "beta", **density} if isinstance(density, dict) else density
    task = task_of(rows=6, columns=5, loss="whole", density=fields)
    batch = task.sample(40, generator=seeding.generator(0, "valid"))
    cells = batch.targets[:, 17:47] == ord("1")
    found = [grid_posterior(each, a=a, b=b) for each in cells]
    floor = task.floor(batch)
    assert floor.nats == pytest.approx(sum(nats for nats, _ in found), rel=1e-6)
    certain = 40 * (task.max_length - 30)
    assert floor.correct == pytest.approx(certain + sum(hits for _, hits in found), rel=1e-6)


def test_expected_hits_are_those_of_the_best_guesses():
    task = task_of(rows=4, columns=4, loss="whole", density="broad")
    batch = task.sample(20_000, generator=seeding.generator(0, "valid"))
    cells = (batch.targets[:, 17:33] == ord("1")).astype(int)
    before = np.cumsum(cells, axis=1) - cells
    guess = before * 2 > np.arange(16)
    hits = (guess == cells).sum() + 20_000 * (54 - 16)
    assert hits / batch.scored.sum() == pytest.approx(task.floor(batch).accuracy, abs=1e-3)


def test_certain_boards_cost_nothing():
    for density in (0, 1):
        task = task_of(density=density, loss="whole")
        floor = task.floor(task.sample(5, generator=seeding.generator(0, "valid")))
        assert (floor.nats, floor.accuracy) == (0.0, 1.0)


def test_the_floor_of_batches_adds_up(task: LifeTask):
    strings = task.draw(40, generator=seeding.generator(0, "data"))
    parts = [strings.take(np.arange(0, 25)), strings.take(np.arange(25, 40))]
    whole = task.floor(task.batch(strings))
    first, second = (task.floor(task.batch(part)) for part in parts)
    total = first + second
    assert total.nats == pytest.approx(whole.nats, rel=1e-12)
    assert total.correct == pytest.approx(whole.correct, rel=1e-12)
    assert (total.scored, total.strings) == (whole.scored, 40)


def test_heterogeneous_cells_are_scored_but_not_compared():
    task = TASKS["heterogeneous"]
    batch = task.sample(7, generator=seeding.generator(0, "valid"))
    assert batch.scored.all()
    assert batch.known is not None
    left_out = batch.targets[~batch.known].reshape(7, 30)
    assert (left_out == batch.tokens[:, 18:48]).all()
    assert task.floor(batch) == Floor(nats=0.0, correct=7 * 52, scored=7 * 52, strings=7)


def test_conways_rule_is_the_default():
    assert TASKS["default"].rule == CONWAY
