import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from seqtune import seeding
from seqtune.storage.files import cache_folder
from seqtune.tasks.build import build_task
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.training import data
from seqtune.training.data import CachedDataset
from tests.waiting import HANG_SECONDS

SPEC = CfgSpec(grammar="cfg3b", height=2)


@pytest.fixture(autouse=True)
def kept_from_the_first_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(data, "CACHED_TOKENS", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def folders() -> list[Path]:
    return sorted(path for path in (cache_folder() / "sets").iterdir() if path.is_dir())


def test_a_set_is_what_the_task_draws_and_is_drawn_once():
    task = build_task(SPEC)
    expected = task.draw(40, generator=seeding.generator(3, "data"))
    wanted = CachedDataset(SPEC.hash(), strings=40, seed=3)
    first = wanted.load(task)
    written = (folders()[0] / "tokens.npy").stat().st_mtime_ns
    again = wanted.load(task)
    for found in (first, again):
        np.testing.assert_array_equal(found.tokens, expected.tokens)
        np.testing.assert_array_equal(found.offsets, expected.offsets)
        assert isinstance(found.tokens, np.memmap)
        assert not found.tokens.flags.writeable
    assert (folders()[0] / "tokens.npy").stat().st_mtime_ns == written
    assert len(folders()) == 1


def test_other_sets_are_kept_apart_and_small_ones_not_at_all(monkeypatch: pytest.MonkeyPatch):
    task = build_task(SPEC)
    for wanted in (
        CachedDataset(SPEC.hash(), strings=40, seed=0),
        CachedDataset(SPEC.hash(), strings=40, seed=1),
        CachedDataset(SPEC.hash(), strings=41, seed=0),
        CachedDataset("another", strings=40, seed=0),
    ):
        wanted.load(task)
    assert len(folders()) == 4
    CachedDataset(None, strings=50, seed=0).load(task)
    monkeypatch.setattr(data, "CACHED_TOKENS", 1_000_000)
    CachedDataset(SPEC.hash(), strings=50, seed=0).load(task)
    assert len(folders()) == 4


def test_what_was_used_longest_ago_makes_room(monkeypatch: pytest.MonkeyPatch):
    task = build_task(SPEC)
    kept = CachedDataset(SPEC.hash(), strings=40, seed=0).load(task)
    size = sum(file.stat().st_size for file in folders()[0].glob("*.npy"))
    monkeypatch.setattr(data, "CACHE_BYTES", int(2.5 * size))
    before = folders()
    for seed in (1, 0, 2):
        time.sleep(0.05)  # the file system's clock is coarse
        CachedDataset(SPEC.hash(), strings=40, seed=seed).load(task)
    assert len(folders()) == 2
    assert before[0] in folders()
    assert kept.tokens.sum() > 0  # it can still be read


def test_a_set_that_a_kill_left_half_written_is_drawn_again():
    task = build_task(SPEC)
    wanted = CachedDataset(SPEC.hash(), strings=40, seed=0)
    expected = wanted.load(task).tokens.copy()
    (folders()[0] / "offsets.npy").unlink()
    (folders()[0] / "tokens.npy").write_bytes(b"torn")
    np.testing.assert_array_equal(wanted.load(task).tokens, expected)


RUN = """
import sys
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.build import build_task
from seqtune.training import data
data.CACHED_TOKENS = 1
spec = CfgSpec(grammar="cfg3b", height=2)
print(int(data.CachedDataset(spec.hash(), strings=4000, seed=0).load(build_task(spec)).tokens.sum()))
"""


def test_processes_that_want_the_same_set_at_once_make_one():
    running = [
        subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert len({process.communicate(timeout=HANG_SECONDS)[0] for process in running}) == 1
    assert all(process.returncode == 0 for process in running)
    assert len(folders()) == 1
