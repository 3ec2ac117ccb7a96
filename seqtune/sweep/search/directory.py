"""The sweep's directory: its owner, its lock, and whether the sweep file still fits its runs.

sweep.yaml       the file as given
plan.json        its cells, spelt out, and the `--set` of the last call
studies.journal  Optuna's studies, unless the file keeps them elsewhere
decisions.jsonl  a log of what was proposed, stopped and ended, and why
runs/            a directory a run
report/
"""

import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from seqtune.config.errors import SpecError
from seqtune.config.yaml_file import FileError, Source
from seqtune.runs.decision_log import DECISIONS
from seqtune.runs.directory import RunDirectory, run_directories
from seqtune.storage.files import make_directory, read_json, replace_text
from seqtune.storage.location import is_remote
from seqtune.storage.mirror import Mirror, open_mirror
from seqtune.sweep.planning.cell import Cell
from seqtune.sweep.planning.plan import Plan
from seqtune.sweep.planning.storage_url import FILES, mask_passwords, public_text, resolve_storage
from seqtune.sweep.search.lease import Lease, leased


def check_owner(root: Path, *, plan: Plan) -> None:
    """Check that the directory is free or this sweep's; change nothing.

    Raises:
        FileError: if it belongs to another sweep, or holds something else.
    """
    plan_file = root / "plan.json"
    if not root.exists():
        return
    if not root.is_dir():
        raise FileError(f"{root}: is a file, but a directory is needed; give another --out")
    if plan_file.exists():
        name = _read_plan(plan_file)["name"]
        if name != plan.sweep.name:
            raise FileError(
                f"{root}: belongs to the sweep {name}, not to {plan.sweep.name}; give another --out"
            )
        return
    foreign = sorted(
        child.name for child in root.iterdir() if child.name not in (".lock", ".owner")
    )
    if foreign:
        raise FileError(
            f"{root}: is not the directory of a sweep and is not empty (it holds "
            f"{foreign[0]}); give another --out"
        )


@contextmanager
def held(root: Path) -> Iterator[Lease | None]:
    """Lock the directory against a second driver; yield the lease if it is a URL.

    The system releases the lock of a local directory when this process dies.

    Raises:
        FileError: if another driver is running.
    """
    if is_remote(root):
        with leased(root) as lease:
            yield lease
        return
    root.mkdir(parents=True, exist_ok=True)
    owner = root / ".owner"
    lock = FileLock(root / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        by = owner.read_text().strip() if owner.exists() else "another process"
        raise FileError(
            f"{root}: a sweep is still running in it ({by}); wait for it, or give another --out"
        ) from None
    owner.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
    try:
        yield None
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def claim(root: Path, *, plan: Plan, source: Source) -> None:
    """Make the directory this sweep's: write sweep.yaml and plan.json. The caller holds the lock.

    Raises:
        FileError: if a run in it no longer fits the file; nothing is written then.
    """
    started = bool(run_directories(root / "runs"))
    problems = list(_misfits(root, plan=plan)) if started else []
    if problems:
        more = f"\n... and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise FileError("\n".join(f"{source.name}: {each}" for each in problems[:8]) + more)
    text = public_text(source)
    name = studies_name(root, plan=plan) if started else _new_studies_name(root, plan=plan)
    data = {
        **plan.to_data(),
        "storage": resolve_storage(plan.sweep.storage).public,
        "studies": name,
        # sweep.yaml is the file as given; settings from the command line are kept here.
        "set": [mask_passwords(each) for each in source.settings],
    }
    make_directory(root / "runs")
    replace_text(root / "sweep.yaml", text)
    replace_text(root / "plan.json", json.dumps(data, indent=2) + "\n")


def studies_name(root: Path, *, plan: Plan) -> str:
    """Return the prefix of the names of the sweep's studies; the directory is claimed.

    In a shared storage other directories may have a sweep of the same name.
    """
    if not resolve_storage(plan.sweep.storage).shared:
        return plan.sweep.name
    return _read_plan(root / "plan.json")["studies"]


def _new_studies_name(root: Path, *, plan: Plan) -> str:
    """Name the studies of a sweep without runs, and delete what was proposed before."""
    for file in (*FILES, DECISIONS):
        (root / file).unlink(missing_ok=True)
    storage = resolve_storage(plan.sweep.storage)
    if not storage.shared:
        return plan.sweep.name
    plan_file = root / "plan.json"
    if plan_file.exists() and _storage_of(before := _read_plan(plan_file)) == storage.public:
        from seqtune.sweep.search.storage import delete_studies

        delete_studies(plan.sweep.storage, name=before["studies"])
    return f"{plan.sweep.name}@{secrets.token_hex(4)}"


def _storage_of(plan: dict[str, Any]) -> str:
    """The storage that a plan.json names."""
    return plan.get("storage", "journal")


def _read_plan(path: Path) -> dict[str, Any]:
    found = read_json(path)
    missing = {"name", "metric", "sampler", "confirm_seeds", "cells"} - set(found)
    if missing:
        raise FileError(f"{path}: is not the plan of a sweep; give another --out")
    return found


def _misfits(root: Path, *, plan: Plan) -> Iterator[str]:
    """Differences between the file and the runs in the directory, a line each."""
    plan_file = root / "plan.json"
    if plan_file.exists():
        yield from _search_misfits(_read_plan(plan_file), plan=plan)
    cells = {cell.name: cell for cell in plan.cells}
    seen: set[str] = set()
    for directory in run_directories(root / "runs"):
        for line in _run_misfits(directory, cells=cells, plan=plan):
            if line not in seen:
                seen.add(line)
                yield line


def _search_misfits(before: dict[str, Any], *, plan: Plan) -> Iterator[str]:
    """Differences in the search; trials, seeds and cells may be added, not removed."""
    now = plan.to_data()
    elsewhere = "put it back or give another --out"
    if before["metric"] != now["metric"]:
        yield (
            f"metric: is {now['metric']}, but the runs of this sweep were compared by "
            f"{before['metric']}; {elsewhere}"
        )
    if "grid" in (before["sampler"], now["sampler"]) and before["sampler"] != now["sampler"]:
        yield f"search.sampler: is {now['sampler']}, but was {before['sampler']}; {elsewhere}"
    if now["confirm_seeds"] < before["confirm_seeds"]:
        yield (
            f"confirm.seeds: is {now['confirm_seeds']}, but {before['confirm_seeds']} were asked "
            f"for before; {elsewhere}"
        )
    storage = resolve_storage(plan.sweep.storage).public
    if _storage_of(before) != storage:
        yield (
            f"search.storage: is {storage}, but the studies of its runs are in "
            f"{_storage_of(before)}; {elsewhere}"
        )
    cells = {cell["cell"]: cell for cell in now["cells"]}
    for cell in before["cells"]:
        same = cells.get(cell["cell"], cell)
        if cell["tune"] != same["tune"]:
            yield f"tune: differs from what its runs were searched over; {elsewhere}"
            return
        if same["trials"] < cell["trials"]:
            yield (
                f"search.trials: is {same['trials']}, but {cell['trials']} were asked for "
                f"before; {elsewhere}"
            )
            return


def _run_misfits(directory: RunDirectory, *, cells: dict[str, Cell], plan: Plan) -> Iterator[str]:
    info = directory.info()
    position = info["sweep"]
    if position is None or position["name"] != plan.sweep.name:
        yield f"{directory.path}: is not a run of this sweep"
        return
    cell = cells.get(position["cell"])
    if cell is None:
        yield (
            f"compare: no longer holds the cell ({position['cell']}), which has runs in "
            f"{directory.path.parent}; put it back or give another --out"
        )
        return
    try:
        spec = cell.run(tuned=position["tuned"], seed=info["spec"]["seed"])
    except SpecError as error:
        yield f"{error.problems[0]}, as the runs of cell ({cell.name}) have it; give another --out"
        return
    for path, before, now in differences(info["spec"], spec.to_data()):
        yield (
            f"{path}: is {json.dumps(now)}, but {json.dumps(before)} in the runs of cell "
            f"({cell.name}); put it back or give another --out"
        )


def differences(left: Any, right: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield where two pieces of plain data differ: dotted path and both values."""
    if isinstance(left, dict) and isinstance(right, dict):
        for name in dict.fromkeys((*left, *right)):
            below = f"{path}.{name}" if path else name
            yield from differences(left.get(name), right.get(name), below)
    elif left != right:
        yield path, left, right


class DriverFiles:
    """The files that a driver appends to: studies and decisions.

    They are in the sweep's own directory or, if that is a URL, in a copy on this machine that is
    put back before every run that starts. If a driver is killed before that, the run directories
    still say how their runs ended.

    Attributes:
        path: the local directory.
    """

    def __init__(self, copy: Mirror, *, lease: Lease | None) -> None:
        self._copy = copy
        self._lease = lease
        self.path = copy.local

    def put_back(self) -> None:
        """Copy the files back to where the results are.

        Raises:
            FileError: if another driver has taken the sweep over.
        """
        if self._lease is not None:
            self._lease.check()
            self._copy.put_back()


@contextmanager
def open_driver_files(root: Path, *, lease: Lease | None = None) -> Iterator[DriverFiles]:
    """Open a driver's files; put them back at the end, however it ends.

    Args:
        root: the sweep's directory.
        lease: the lease, if the directory is a URL.
    """
    with open_mirror(root, only=(*FILES, DECISIONS)) as copy:
        at = DriverFiles(copy, lease=lease)
        try:
            yield at
        finally:
            at.put_back()
