import json
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import cast

import pytest
from upath import UPath

from seqtune.config.yaml_file import FileError
from seqtune.sweep.search import lease
from seqtune.sweep.search.lease import leased
from tests.waiting import HANG_SECONDS, wait_until


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drivers beat faster than they do elsewhere, and are taken for dead only if a test says when."""
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(lease, "SILENT_SECONDS", HANG_SECONDS)


@pytest.fixture
def root(fast: None) -> Path:
    """A place in a store that lives in this process."""
    return cast("Path", UPath(f"memory://{uuid.uuid4()}/sweep", use_listings_cache=False))


def is_lost(ours: lease.Lease) -> bool:
    """Whether its beat has found that the lease is another's, or that the store is gone."""
    try:
        ours.check()
    except FileError:
        return True
    return False


def write(root: Path, **about: object) -> None:
    here = {"process": os.getpid(), "machine": socket.gethostname(), "token": "other", "count": 3}
    (root / ".owner").write_text(json.dumps({**here, **about}))


def test_a_second_driver_is_refused_and_may_come_after_the_first(root: Path):
    with leased(root) as first:
        with pytest.raises(FileError, match=f"still running in it .process {os.getpid()} on"):
            leased(root).__enter__()
        first.check()
    assert not (root / ".owner").exists()
    with leased(root):
        pass


def test_a_driver_that_is_no_process_any_more_is_not_waited_for(root: Path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    write(root, process=gone.pid)
    began = time.monotonic()
    with leased(root) as ours:
        assert time.monotonic() - began < lease.SILENT_SECONDS
        ours.check()


def test_a_driver_elsewhere_that_is_silent_is_taken_for_dead(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lease, "SILENT_SECONDS", 0.8)
    write(root, machine="elsewhere", process=1)
    began = time.monotonic()
    with leased(root) as ours:
        assert time.monotonic() - began >= lease.SILENT_SECONDS
        ours.check()


def test_a_driver_elsewhere_that_counts_on_is_alive(root: Path):
    write(root, machine="elsewhere", process=1)
    timer = threading.Timer(0.3, write, [root], {"machine": "elsewhere", "count": 4})
    timer.start()
    with pytest.raises(FileError, match=r"still running in it .process .* on elsewhere"):
        leased(root).__enter__()
    timer.join()
    assert json.loads((root / ".owner").read_text())["token"] == "other"


def test_a_driver_that_was_taken_for_dead_learns_of_it_and_leaves_the_lease(root: Path):
    with leased(root) as ours:
        write(root, machine="elsewhere")
        wait_until(lambda: is_lost(ours))
        with pytest.raises(FileError, match=r"is now driven by process .* on elsewhere"):
            ours.check()
    assert json.loads((root / ".owner").read_text())["machine"] == "elsewhere"


def test_a_store_that_is_gone_for_a_moment_costs_nothing_and_for_long_the_lease(
    fast: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    owner, aside = tmp_path / ".owner", tmp_path / "aside"

    def go() -> None:
        """Puts a link to itself there, which can be neither read nor written."""
        aside.symlink_to(".owner")
        os.rename(aside, owner)

    with leased(tmp_path) as ours:
        before = owner.read_bytes()
        go()
        time.sleep(0.25)
        aside.write_bytes(before)
        os.rename(aside, owner)
        wait_until(lambda: owner.read_bytes() not in (before, b""))
        ours.check()
        monkeypatch.setattr(lease, "SILENT_SECONDS", 0.5)
        go()
        wait_until(lambda: is_lost(ours))
        with pytest.raises(FileError, match=r"cannot be reached: .*symbolic links"):
            ours.check()
