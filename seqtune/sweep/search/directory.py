"""The sweep's directory: whose it is, who is using it, and whether the file still fits its runs.

sweep.yaml       the file as given
plan.json        its cells, spelt out, and the `--set` of the last call
studies.journal  Optuna's studies, unless the file keeps them elsewhere
decisions.jsonl  what was proposed, stopped and ended, and why
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
from seqtune.runs.directory import RunDirectory, run_directories
from seqtune.runs.replay import DECISIONS
from seqtune.storage.files import make_directory, read_json, replace_text
from seqtune.storage.location import is_remote
from seqtune.sweep.planning.plan import Cell, Plan
from seqtune.sweep.planning.storage_url import FILES, place_of, public_text, without_passwords
from seqtune.sweep.search.lease import Lease, leased


def check_owner(root: Path, *, plan: Plan) -> None:
    """Looks whether the directory is free or this sweep's; touches nothing.

    Raises:
        FileError: if it is another sweep's, or holds something else.
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
            f"{root}: is no sweep's directory and is not empty (it holds {foreign[0]}); give another --out"
        )


@contextmanager
def held(root: Path) -> Iterator[Lease | None]:
    """Keeps a second driver off the directory; gives the lease where that is a URL's.

    Of a directory the system lets go when this process dies.

    Raises:
        FileError: if another driver is running there.
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
            f"{root}: a sweep is still running here ({by}); wait for it, or give another --out"
        ) from None
    owner.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
    try:
        yield None
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def claim(root: Path, *, plan: Plan, source: Source) -> None:
    """Makes the directory this sweep's; writes sweep.yaml and plan.json. The caller holds it.

    Raises:
        FileError: if a run in it no longer fits the file; then nothing was written.
    """
    begun = bool(run_directories(root / "runs"))
    problems = list(_misfits(root, plan=plan)) if begun else []
    if problems:
        more = f"\n... and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise FileError("\n".join(f"{source.name}: {each}" for each in problems[:8]) + more)
    text = public_text(source)
    name = studies_name(root, plan=plan) if begun else _named_anew(root, plan=plan)
    data = {
        **plan.to_data(),
        "storage": place_of(plan.sweep.storage).public,
        "studies": name,
        # sweep.yaml is the file as given, so what was given beside it has to be somewhere too.
        "set": [without_passwords(each) for each in source.settings],
    }
    make_directory(root / "runs")
    replace_text(root / "sweep.yaml", text)
    replace_text(root / "plan.json", json.dumps(data, indent=2) + "\n")


def studies_name(root: Path, *, plan: Plan) -> str:
    """What the names of the sweep's studies begin with, in a directory that is claimed.

    Where sweeps share a storage, other directories may hold a sweep of the same name.
    """
    if not place_of(plan.sweep.storage).shared:
        return plan.sweep.name
    return _read_plan(root / "plan.json")["studies"]


def _named_anew(root: Path, *, plan: Plan) -> str:
    """A name for the studies of a sweep in which no run began: what was proposed before binds nobody."""
    for file in (*FILES, DECISIONS):
        (root / file).unlink(missing_ok=True)
    place = place_of(plan.sweep.storage)
    if not place.shared:
        return plan.sweep.name
    plan_file = root / "plan.json"
    if plan_file.exists() and _kept_in(before := _read_plan(plan_file)) == place.public:
        from seqtune.sweep.search.storage import forget

        forget(plan.sweep.storage, name=before["studies"])
    return f"{plan.sweep.name}@{secrets.token_hex(4)}"


def _kept_in(plan: dict[str, Any]) -> str:
    """Where a plan.json says that the studies are."""
    return plan.get("storage", "journal")


def _read_plan(path: Path) -> dict[str, Any]:
    found = read_json(path)
    missing = {"name", "metric", "sampler", "confirm_seeds", "cells"} - set(found)
    if missing:
        raise FileError(f"{path}: is no plan of a sweep; give another --out")
    return found


def _misfits(root: Path, *, plan: Plan) -> Iterator[str]:
    """What in the file differs from the runs that are there, a line each."""
    plan_file = root / "plan.json"
    if plan_file.exists():
        yield from _search_misfits(_read_plan(plan_file), plan=plan)
    cells = {cell.name: cell for cell in plan.cells}
    told: set[str] = set()
    for directory in run_directories(root / "runs"):
        for line in _run_misfits(directory, cells=cells, plan=plan):
            if line not in told:
                told.add(line)
                yield line


def _search_misfits(before: dict[str, Any], *, plan: Plan) -> Iterator[str]:
    """What of the search differs; more trials, seeds and cells are welcome, fewer are not."""
    now = plan.to_data()
    elsewhere = "put it back or give another --out"
    if before["metric"] != now["metric"]:
        yield f"metric: is {now['metric']}, but this sweep was judged by {before['metric']}; {elsewhere}"
    if "grid" in (before["sampler"], now["sampler"]) and before["sampler"] != now["sampler"]:
        yield f"search.sampler: is {now['sampler']}, but was {before['sampler']}; {elsewhere}"
    if now["confirm_seeds"] < before["confirm_seeds"]:
        yield (
            f"confirm.seeds: is {now['confirm_seeds']}, but {before['confirm_seeds']} were asked for "
            f"before; {elsewhere}"
        )
    place = place_of(plan.sweep.storage).public
    if _kept_in(before) != place:
        yield f"search.storage: is {place}, but the studies of the runs here are in {_kept_in(before)}; {elsewhere}"
    cells = {cell["cell"]: cell for cell in now["cells"]}
    for cell in before["cells"]:
        same = cells.get(cell["cell"], cell)
        if cell["tune"] != same["tune"]:
            yield f"tune: differs from what the runs here were searched over; {elsewhere}"
            return
        if same["trials"] < cell["trials"]:
            yield f"search.trials: is {same['trials']}, but {cell['trials']} were asked for before; {elsewhere}"
            return


def _run_misfits(directory: RunDirectory, *, cells: dict[str, Cell], plan: Plan) -> Iterator[str]:
    info = directory.info()
    place = info["sweep"]
    if place is None or place["name"] != plan.sweep.name:
        yield f"{directory.path}: is not a run of this sweep"
        return
    cell = cells.get(place["cell"])
    if cell is None:
        yield (
            f"compare: no longer holds the cell ({place['cell']}), which has runs in "
            f"{directory.path.parent}; put it back or give another --out"
        )
        return
    try:
        spec = cell.run(tuned=place["tuned"], seed=info["spec"]["seed"])
    except SpecError as error:
        yield f"{error.problems[0]}, as the runs of cell ({cell.name}) have it; give another --out"
        return
    for path, there, here in differences(info["spec"], spec.to_data()):
        yield (
            f"{path}: is {json.dumps(here)}, but {json.dumps(there)} in the runs of cell "
            f"({cell.name}); put it back or give another --out"
        )


def differences(left: Any, right: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two pieces of plain data differ: dotted path and both values."""
    if isinstance(left, dict) and isinstance(right, dict):
        for name in dict.fromkeys((*left, *right)):
            below = f"{path}.{name}" if path else name
            yield from differences(left.get(name), right.get(name), below)
    elif left != right:
        yield path, left, right
