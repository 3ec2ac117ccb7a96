import threading
import time

import numpy as np
import pytest

from seqtune import seeding
from seqtune.tasks.base import Batch, Strings, Task
from seqtune.tasks.build import build_task
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.cfg.task import CfgTask
from seqtune.training.data import AHEAD, Batches
from seqtune.training.spec import DataSpec, FixedData, FreshData, TrainingSpec
from tests.waiting import wait_until

TRAINING = TrainingSpec(epochs=2, batches_per_epoch=10, batch_size=8)


def made(task: Task, *, data: DataSpec, seed: int = 0, watched: Strings | None = None) -> Batches:
    if watched is None:
        watched = task.draw(50, generator=seeding.generator(0, "valid"))
    return Batches(task, data=data, training=TRAINING, seed=seed, watched=watched)


def as_made(batch: Batch) -> Batch:
    return batch


def rows_of(batches: Batches, epoch: int) -> list[list[list[int]]]:
    return [batch.tokens.tolist() for batch in batches.of_epoch(epoch, prepare=as_made)]


@pytest.mark.parametrize("data", [FreshData(), FixedData(strings=30)])
def test_batches_are_those_of_one_generator_whoever_is_faster(data: DataSpec):
    task = CfgTask(CfgSpec(grammar="cfg3b", height=2))
    batches = made(task, data=data)
    quick = rows_of(batches, 1)
    slow = []
    for batch in made(task, data=data).of_epoch(1, prepare=as_made):
        time.sleep(0.002)
        slow.append(batch.tokens.tolist())
    assert quick == slow == rows_of(batches, 1)
    assert len(quick) == TRAINING.batches_per_epoch
    assert quick != rows_of(batches, 0)
    assert quick != rows_of(made(task, data=data, seed=1), 1)


def test_fresh_batches_are_what_the_task_samples():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=3))
    generator = seeding.generator(0, "data", 1)
    plain = [task.sample(8, generator=generator).tokens.tolist() for _ in range(10)]
    assert rows_of(made(task, data=FreshData()), 1) == plain


def test_only_a_few_batches_are_made_ahead_and_no_thread_stays():
    drawn = []

    class Counting(CfgTask):
        def draw(self, count: int, **settings) -> Strings:
            drawn.append(count)
            return super().draw(count, **settings)

    task = CfgTask(CfgSpec(grammar="cfg3b", height=2))
    counting = Counting(CfgSpec(grammar="cfg3b", height=2))
    batches = made(
        counting, data=FreshData(), watched=task.draw(5, generator=np.random.default_rng(0))
    )
    epoch = batches.of_epoch(0, prepare=as_made)
    next(epoch)
    wait_until(lambda: len(drawn) > AHEAD)
    time.sleep(0.1)  # time enough for one too many
    assert len(drawn) == AHEAD + 1
    epoch.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("batches")]


def test_it_is_measured_how_long_steps_wait():
    class Slow(CfgTask):
        def draw(self, count: int, **settings) -> Strings:
            time.sleep(0.02)
            return super().draw(count, **settings)

    task = CfgTask(CfgSpec(grammar="cfg3b", height=2))
    watched = task.draw(5, generator=np.random.default_rng(0))
    slow = made(Slow(CfgSpec(grammar="cfg3b", height=2)), data=FreshData(), watched=watched)
    started = time.perf_counter()
    rows_of(slow, 0)
    spent = time.perf_counter() - started
    first = slow.waited_seconds
    assert 0.3 * spent < first <= spent  # little else is done here
    for _ in slow.of_epoch(1, prepare=as_made):
        time.sleep(0.1)  # a step that is much slower than its data
    assert slow.waited_seconds < first  # little more than for the first batch


def test_what_goes_wrong_while_a_batch_is_made_is_told_where_it_is_asked_for():
    class Broken(CfgTask):
        def draw(self, count: int, **settings) -> Strings:
            raise RuntimeError("no more strings")

    task = CfgTask(CfgSpec(grammar="cfg3b", height=2))
    watched = task.draw(5, generator=np.random.default_rng(0))
    batches = made(Broken(CfgSpec(grammar="cfg3b", height=2)), data=FreshData(), watched=watched)
    with pytest.raises(RuntimeError, match="no more strings"):
        next(batches.of_epoch(0, prepare=as_made))


def test_validation_strings_that_were_trained_on_are_counted_by_comparing_them():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=2))
    batches = made(task, data=FreshData())
    watched = task.draw(50, generator=seeding.generator(0, "valid"))
    trained = {
        tuple(row.tolist())
        for batch in batches.of_epoch(0, prepare=as_made)
        for row in batch.strings
    }
    assert batches.seen.tolist() == [tuple(row.tolist()) in trained for row in watched]


def test_of_packed_windows_the_whole_sentences_inside_are_counted():
    spec = CfgSpec(grammar="cfg3b", height=1, format="packed", length=20)
    task = build_task(spec)  # a language of two strings
    batches = made(task, data=FixedData(strings=20))
    sentences = task.sentences(task.draw(50, generator=seeding.generator(0, "valid")))
    assert len(batches.seen) == len(sentences) > 100
    assert {tuple(sentence.tolist()) for sentence in sentences} == {(3, 1), (1, 2, 3)}
    assert batches.seen.all()


def test_windows_too_short_for_a_sentence_count_none():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=4, format="packed", length=10))
    batches = made(task, data=FixedData(strings=20))
    assert len(batches.seen) == 0
    assert len(rows_of(batches, 0)) == TRAINING.batches_per_epoch


def test_what_was_seen_before_stays_seen_and_is_not_changed_in_place():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=2))
    watched = task.draw(50, generator=seeding.generator(0, "valid"))
    before = np.arange(50) < 10
    batches = Batches(
        task, data=FreshData(), training=TRAINING, seed=0, watched=watched, seen=before
    )
    rows_of(batches, 0)
    assert batches.seen[:10].all()
    assert batches.seen.sum() > 10
    assert before.sum() == 10


def test_of_a_fixed_set_all_of_it_counts_as_trained_on():
    task = CfgTask(CfgSpec(grammar="cfg3b", height=4))
    watched = task.draw(40, generator=seeding.generator(0, "data"))
    mine = made(task, data=FixedData(strings=40), watched=watched)
    assert mine.seen.all()  # the same draw
    other = made(task, data=FixedData(strings=40))
    assert not other.seen.any()  # one of 2^36 strings each


def test_strings_of_other_lengths_and_zeros_are_told_apart():
    def strings(*rows: list[int]) -> Strings:
        lengths = [len(row) for row in rows]
        return Strings(np.concatenate(rows), np.concatenate([[0], np.cumsum(lengths)]))

    class Own(CfgTask):
        def draw(self, count: int, **settings) -> Strings:
            return strings([1, 2], [1, 2, 0, 0, 0], [3])

    task = Own(CfgSpec(grammar="cfg3b", height=2))
    watched = strings([1, 2], [1, 2, 0], [2, 1], [3], [1, 2])
    batches = made(task, data=FixedData(strings=3), watched=watched)
    assert batches.seen.tolist() == [True, False, False, True, True]
