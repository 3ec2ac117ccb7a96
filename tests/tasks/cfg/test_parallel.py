import threading

import numpy as np
import pytest

from seqtune.tasks.cfg.parallel import cores, run_jobs, slices
from tests.waiting import HANG_SECONDS


def test_slices_cover_all_strings_once_and_are_of_bounded_size():
    lengths = np.array([3, 1, 9, 2, 2, 2, 2, 20, 1])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    found = list(slices(offsets, tokens=6))
    assert [part.start for part in found] == [0, *(part.stop for part in found[:-1])]
    assert found[-1].stop == len(lengths)
    sizes = [int(lengths[part].sum()) for part in found]
    assert all(
        size <= 6 or part.stop - part.start == 1 for size, part in zip(sizes, found, strict=True)
    )
    assert len(found) < len(lengths)
    assert list(slices(np.array([0]), tokens=6)) == []


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_results_come_in_the_order_of_the_jobs(threads: int):
    assert run_jobs(lambda job: job * job, range(20), threads=threads) == [n * n for n in range(20)]


def test_so_many_threads_work_as_were_asked_for():
    barrier = threading.Barrier(3, timeout=HANG_SECONDS)
    run_jobs(lambda _: barrier.wait(), range(3), threads=3)
    assert cores() >= 1
