"""A disk without room, met by a sweep's driver or by a worker: the driver session ends, and another one resumes."""

import errno
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from seqtune.config.yaml_file import FileError, read_yaml
from seqtune.report.render import replace_folder
from seqtune.storage.full_disk import disk_full_error, find_full_disk, report_full_disk
from seqtune.sweep.execution.capacity import Capacity
from seqtune.sweep.execution.driver import read_plan
from seqtune.sweep.execution.open_runs import Events, OpenRuns
from seqtune.sweep.planning.plan import request_kinds
from seqtune.sweep.search.directory import claim
from seqtune.sweep.search.studies import Studies
from seqtune.training.measurement import Measurement
from tests.storage.disk import fill, small_disk
from tests.sweep.commands import command, ended, wait_for
from tests.sweep.sweeps import SMALL, UNDISTURBED, plan_of, write
from tests.sweep.test_kills import check_same
from tests.waiting import HANG_SECONDS

PLAN = plan_of(SMALL)
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def session(root: Path) -> OpenRuns:
    events = Events(on_end=lambda proposal, state: None, on_tick=lambda: None)
    asked = request_kinds(PLAN.sweep.resources, cells=PLAN.cells)
    room = Capacity(lambda: [{"CPU": 8.0}], kinds=asked, wait_seconds=None)
    return OpenRuns(Studies(PLAN, root=root), events=events, capacity=room, fail_fast=False)


def measurement(epoch: int) -> Measurement:
    metrics = {"valid/excess": 0.5}
    return Measurement(epoch=epoch, step=5, tokens=80, seconds=1.0, metrics=metrics)


def test_a_driver_that_can_write_nothing_ends_its_session_and_the_next_one_goes_on(tmp_path: Path):
    with small_disk(tmp_path / "disk", size=1_000_000) as disk:
        (disk / "runs").mkdir()
        first = session(disk)
        begun = [work.proposal.name for work in map(first.start, "012") if work is not None]
        filler = fill(disk, leave=0)
        # The last page of a file has room until it is full itself.
        for epoch in range(1, 100):
            first.on_measurement("0", measurement(epoch))
        assert str(first.write_error) == str(disk_full_error(disk))
        assert first.over
        assert first.on_measurement("1", measurement(1))
        assert first.start("9") is None
        for trial in ("0", "1", "2"):
            first.on_end(trial, error=True)
        assert first.open == ()
        filler.unlink()
        again = session(disk)
        names = [work.proposal.name for work in map(again.start, "012") if work is not None]
        assert sorted(names) == sorted(begun)


def test_a_worker_without_room_is_no_loss_of_its_run(tmp_path: Path):
    (tmp_path / "runs").mkdir()
    first = session(tmp_path)
    work = first.start("0")
    assert work is not None
    directory = first.studies.directory(work.proposal)
    directory.create({"hash": work.proposal.spec.hash(), "spec": work.proposal.spec.to_data()})
    raised = OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), str(directory.path))
    first.on_end("0", error=True, raised=raised)
    assert str(first.write_error) == str(disk_full_error(tmp_path))
    assert first.interrupted
    assert directory.info()["state"] == "running"


def test_what_a_worker_raised_for_another_reason_is_a_loss(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "runs").mkdir()
    first = session(tmp_path)
    work = first.start("0")
    first.on_end("0", error=True, raised=ValueError("no"))
    assert first.write_error is None
    assert "its worker failed or died; another resumes the run" in caplog.text
    again = first.start("1")
    assert work is not None
    assert again is not None
    assert again.proposal is work.proposal


def test_a_database_without_room_is_a_full_disk(tmp_path: Path):
    with small_disk(tmp_path / "disk", size=100_000) as disk:
        with closing(sqlite3.connect(disk / "studies.sqlite")) as base:
            base.execute("create table rows (text)")
            fill(disk, leave=8192)
            with pytest.raises(sqlite3.OperationalError) as caught:
                base.executemany("insert into rows values (?)", [("x" * 1000,)] * 50)
        assert str(find_full_disk(caught.value, root=disk)) == str(disk_full_error(disk))


def test_the_directory_is_named_where_room_is_needed(tmp_path: Path):
    def named(error: BaseException) -> str | None:
        told = find_full_disk(error, root=tmp_path)
        return None if told is None else str(told)

    within = OSError(errno.ENOSPC, "", str(tmp_path / "runs" / "one" / "run.json"))
    assert named(within) == str(disk_full_error(tmp_path))
    elsewhere = OSError(errno.ENOSPC, "", "/elsewhere/tune/error.pkl")
    assert named(elsewhere) == str(disk_full_error(Path("/elsewhere/tune")))
    flattened = RuntimeError(f"ray::step() failed: OSError: [Errno 28] {os.strerror(errno.ENOSPC)}")
    temporary = Path(tempfile.gettempdir())
    assert named(flattened) in (str(disk_full_error(tmp_path)), str(disk_full_error(temporary)))
    assert named(OSError(errno.EACCES, "no", str(tmp_path))) is None
    assert named(ValueError("no")) is None


def test_other_errors_are_raised_as_they_are(tmp_path: Path):
    for error in (ValueError("no"), FileError("no"), OSError(errno.EACCES, "no")):
        with pytest.raises(type(error), match="no") as caught, report_full_disk(tmp_path):
            raise error
        assert caught.value is error
    with pytest.raises(FileError, match="the disk is full"), report_full_disk(tmp_path):
        raise FULL


def test_without_room_for_a_new_report_the_old_one_stays(tmp_path: Path):
    with small_disk(tmp_path / "disk", size=200_000) as disk:
        with replace_folder.replaced(disk / "report") as new:
            (new / "report.md").write_text("old")
        filler = fill(disk, leave=8192)
        with pytest.raises(FileError) as caught, replace_folder.replaced(disk / "report") as new:
            (new / "report.md").write_text("new" * 10_000)
        assert str(caught.value) == str(disk_full_error(disk))
        assert (disk / "report" / "report.md").read_text() == "old"
        filler.unlink()
        with replace_folder.replaced(disk / "report") as new:
            (new / "report.md").write_text("new")
        assert (disk / "report" / "report.md").read_text() == "new"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("small", "storage"),
    [("all", "journal"), ("driver", "sqlite"), ("workers", "journal")],
)
def test_a_sweep_on_a_full_disk_ends_in_order_and_goes_on_once_there_is_room(
    ray_address: str, tmp_path: Path, alone: Path, small: str, storage: str
):
    """Everything is on the small disk, or what the driver writes, or the runs' directories."""
    text = UNDISTURBED.replace("sampler: random", f"sampler: random, storage: {storage}")
    file = write(tmp_path / "s.yaml", text)
    with small_disk(tmp_path / "disk", size=8_000_000) as disk:
        root = (tmp_path if small == "workers" else disk) / "results"
        words = ("sweep", file, "--out", root)
        if small != "all":
            source = read_yaml(file)
            claim(root, plan=read_plan(source), source=source)
            runs = (disk if small == "workers" else tmp_path) / "runs"
            shutil.move(root / "runs", runs)
            (root / "runs").symlink_to(runs)

        process = command(*words, address=ray_address)
        wait_for(root, runs=3, process=process)
        filler = fill(disk, leave=0)
        _, err = process.communicate(timeout=HANG_SECONDS)
        assert process.returncode == 2, err
        assert err.endswith(f"{disk_full_error(root)}\n")
        assert "Traceback" not in err
        assert "its worker failed or died" not in err
        assert {run.info()["state"] for run in ended(root).values()} == {"finished"}
        assert 3 <= len(ended(root)) < len(ended(alone))

        if small != "workers":
            process = command(*words, address=ray_address)
            _, err = process.communicate(timeout=HANG_SECONDS)
            assert process.returncode == 2, err
            assert err.endswith(f"{disk_full_error(root)}\n")

        filler.unlink()
        process = command(*words, address=ray_address)
        _, err = process.communicate(timeout=HANG_SECONDS)
        assert process.returncode == 0, err
        check_same(ended(root), ended(alone))
        assert not list(disk.rglob("*.partial"))
