import subprocess
import sys

import pytest
import torch

from seqtune.training.device import CPU_OUT_OF_MEMORY, find_micro_batch
from tests.waiting import HANG_SECONDS


@pytest.mark.parametrize("strings", [1, 7, 24])
@pytest.mark.parametrize("room", [1, 5, 23, 1000])
def test_a_batch_is_cut_into_the_fewest_equal_parts_that_fit_and_one_more(strings: int, room: int):
    def work(size: int) -> None:
        if size > room:
            raise torch.OutOfMemoryError

    sizes = {parts: -(-strings // parts) for parts in range(1, strings + 1)}
    fewest = min(parts for parts, size in sizes.items() if size <= room)
    expected = strings if fewest == 1 else sizes[min(fewest + 1, strings)]
    assert find_micro_batch(strings, work=work) == expected


def test_what_does_not_fit_at_all_is_torchs_own_error():
    def work(size: int) -> None:
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        find_micro_batch(8, work=work)


def test_another_error_is_not_taken_for_a_lack_of_memory():
    def work(size: int) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        find_micro_batch(8, work=work)


LIMITED = """
import resource, sys
import torch
from seqtune.tasks.build import build_task
from seqtune.training.loop import train
from seqtune.training.evaluation import Evaluator
from tests.training.runs import tiny
from tests.training.test_loop import learner_of

torch.set_num_threads(1)
spec = tiny(
    task__height=4, model__width=256, training__batch_size=512, training__epochs=1,
    training__batches_per_epoch=1, evaluation__strings=16,
    training__micro_batch=sys.argv[1] if sys.argv[1] == "auto" else int(sys.argv[1]),
)
task = build_task(spec.task)
learner = learner_of(spec, task=task)
evaluator = Evaluator(spec.evaluation, task=task)
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + int(sys.argv[2]), resource.RLIM_INFINITY))
print(next(train(learner, evaluator=evaluator)).metrics["train/loss"], learner.micro_batch)
"""


@pytest.mark.slow
def test_auto_takes_what_the_process_may_have():
    """Real memory: a limit on what the process may have makes torch's allocations fail."""

    def run(micro_batch: str, *, mebibytes: int) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", LIMITED, micro_batch, str(mebibytes << 20)]
        return subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=HANG_SECONDS
        )

    ample, tight = (run("auto", mebibytes=room).stdout.split() for room in (16_384, 450))
    assert ample[1] == "512"
    assert 1 <= int(tight[1]) < 512
    assert float(tight[0]) == pytest.approx(float(ample[0]), rel=1e-4)
    without = run("512", mebibytes=450)
    assert without.returncode != 0
    assert CPU_OUT_OF_MEMORY in without.stderr
