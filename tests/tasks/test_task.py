"""The contract of the task family: every member of the union, at its smallest instance."""

import numpy as np
import pytest

from seqtune import seeding
from seqtune.spec import members
from seqtune.tasks import TaskSpec
from seqtune.tasks.cfg.task import CfgSpec
from seqtune.tasks.task import Floor, Strings, Task

SPECS = [
    *(member() for member in members(TaskSpec)),
    CfgSpec(height=2),
    CfgSpec(height=2, format="padded"),
    CfgSpec(grammar="cfg3f", height=3),
]


@pytest.fixture(params=SPECS, ids=lambda spec: spec.hash())
def task(request: pytest.FixtureRequest) -> Task:
    return request.param.build()


def test_a_batch_has_the_promised_shapes_types_and_ranges(task: Task):
    batch = task.sample(16, generator=seeding.generator(0, "data"))
    assert batch.tokens.shape == batch.targets.shape == batch.scored.shape
    assert len(batch) == 16
    assert batch.tokens.shape[1] <= task.max_length
    assert batch.tokens.dtype == batch.targets.dtype == np.int64
    assert batch.scored.dtype == np.bool_
    assert 0 <= batch.tokens.min() <= batch.tokens.max() < task.vocab_size
    assert (
        0 <= batch.targets[batch.scored].min() <= batch.targets[batch.scored].max() < task.outputs
    )
    assert batch.scored.any(axis=1).all()


def test_the_same_seed_gives_the_same_batch_and_another_stream_another(task: Task):
    first, again, other = (
        task.sample(64, generator=seeding.generator(seed, "data")).tokens for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert first.shape != other.shape or (first != other).any()


def test_the_floor_of_batches_adds_up(task: Task):
    strings = task.draw(40, generator=seeding.generator(0, "data"))
    parts = [strings.take(np.arange(0, 25)), strings.take(np.arange(25, 40))]
    whole = task.floor(task.batch(strings))
    halves = [task.floor(task.batch(part)) for part in parts]
    assert whole is not None
    total = sum((each for each in halves if each is not None), start=Floor(0.0, 0.0, 0, 0))
    assert total.nats == pytest.approx(whole.nats, rel=1e-12)
    assert total.strings == whole.strings == 40
    assert 0 < whole.accuracy <= 1
    assert whole.loss > 0


def test_what_the_task_draws_it_accepts(task: Task):
    prompt = task.prompt(20)
    if prompt is None:
        return
    batch = task.sample(20, generator=seeding.generator(0, "data"))
    assert task.judge(batch.targets).all()


def test_strings_are_taken_and_padded_by_row():
    strings = Strings(tokens=np.array([1, 2, 3, 4, 5, 6]), offsets=np.array([0, 2, 5, 6]))
    assert [row.tolist() for row in strings] == [[1, 2], [3, 4, 5], [6]]
    taken = strings.take(np.array([2, 0, 2]))
    assert [row.tolist() for row in taken] == [[6], [1, 2], [6]]
    assert strings.padded(fill=0).tolist() == [[1, 2, 0], [3, 4, 5], [6, 0, 0]]
    assert len(Strings(tokens=np.array([], dtype=int), offsets=np.array([0])).padded(fill=0)) == 0
