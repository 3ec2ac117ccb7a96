import itertools

import torch

from seqtune.models.incremental import Buffer


def test_all_rows_come_back_in_order_however_many_are_added():
    rows = torch.randn(2, 3, 40, 4)
    cache = Buffer(capacity=5)
    start = 0
    for count in (3, 1, 1, 1, 7, 20, 1, 6):
        found = cache.extend(rows[:, :, start : start + count])
        start += count
        assert torch.equal(found, rows[:, :, :start])
    assert start == 40


def test_memory_is_taken_once_and_doubles_when_it_is_full():
    cache = Buffer(capacity=16)
    held = [cache.extend(torch.zeros(1, 2, 1, 4)).data_ptr() for _ in range(64)]
    kept = [first == second for first, second in itertools.pairwise(held)]
    moves = [count for count, same in enumerate(kept, start=1) if not same]
    assert moves == [16, 32]
    assert cache.capacity == 64


def test_more_than_twice_the_capacity_at_once_fits():
    cache = Buffer(capacity=2)
    assert cache.extend(torch.ones(1, 1, 9, 1)).sum() == 9
    assert cache.capacity == 16
