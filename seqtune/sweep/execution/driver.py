"""A driver session of a sweep: from its file to its run directories."""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from seqtune.config.errors import Problem, SpecError
from seqtune.config.yaml_file import FileError, Source
from seqtune.runs.no_effect import settings_without_effect
from seqtune.storage.full_disk import report_full_disk
from seqtune.storage.location import report_unreachable
from seqtune.sweep.execution.capacity import CapacityError
from seqtune.sweep.planning.cell import Cell
from seqtune.sweep.planning.distributions import first_point
from seqtune.sweep.planning.plan import Plan, device_problems, make_plan, unused_cases
from seqtune.sweep.planning.spec import SweepSpec
from seqtune.sweep.planning.storage_url import holds_password

if TYPE_CHECKING:
    from seqtune.sweep.search.studies import Studies


@dataclass(frozen=True)
class SweepSummary:
    """How a driver session ended.

    Attributes:
        done: whether every run of the sweep has ended; false after an interruption.
        failed: runs that failed or diverged, in this session and earlier ones.
        unconfirmed: by the name of each cell without confirm runs, why it has none.
        runs: of the sweep in all.
        halted: whether the first failure ended the session.
    """

    done: bool
    failed: int
    unconfirmed: Mapping[str, str]
    runs: int
    halted: bool


def read_plan(source: Source) -> Plan:
    """Return the plan of a sweep file.

    Raises:
        FileError: with every problem, located.
    """
    try:
        plan = make_plan(SweepSpec.parse(source.data))
    except SpecError as error:
        raise source.error(SpecError([*error.problems, *_problems_of_runs(source.data)])) from None
    if {"search", "search.storage"} & set(source.overridden) and holds_password(plan.sweep.storage):
        raise FileError(
            "--set search.storage: a password on the command line can be read by everyone on this "
            "machine; write '{env: NAME}'"
        )
    return plan


def no_effect_lines(plan: Plan, *, changed: Iterable[str] = ()) -> list[str]:
    """Return settings without effect in some cells or all of them, a line each.

    Args:
        plan: the cells.
        changed: paths of the file that were given on the command line.
    """
    lines = []
    for path in changed:
        _, _, within = path.partition("base.")
        if within and all(within in cell.compared for cell in plan.cells):
            lines.append(f"--set {path} has no effect: {within} is compared")
        if within and all(within in cell.tune for cell in plan.cells):
            lines.append(f"--set {path} has no effect: {within} is tuned")
        if within and all(_solved(cell, path=within) for cell in plan.cells):
            lines.append(f"--set {path} has no effect: {within} is solved by match")
    cells: dict[Problem, list[str]] = {}
    for cell in plan.cells:
        spec = cell.run(tuned=first_point(cell.tune), seed=0)
        for each in settings_without_effect(spec):
            cells.setdefault(each, []).append(cell.name)
    lines += map(str, unused_cases(plan.sweep.resources, cells=plan.cells))
    return lines + [
        str(each) if len(names) == len(plan.cells) else f"{each} ({'; '.join(names)})"
        for each, names in cells.items()
    ]


def _solved(cell: Cell, *, path: str) -> bool:
    return cell.matched is not None and cell.matched.by == path


def _problems_of_runs(data: dict[str, Any]) -> tuple[Problem, ...]:
    """Problems of the runs themselves, so that all errors of a file are reported together."""
    if "arms" in data:
        return ()
    roles = {role: data.get(role, {}) for role in ("base", "compare")}
    roles |= {"match": data["match"]} if "match" in data else {}
    # A metric that every task has; the file's own was checked already.
    runs = {"name": "runs", "metric": "valid/loss", **roles}
    try:
        make_plan(SweepSpec.parse(runs))
    except SpecError as error:
        # A missing value may be tuned.
        return tuple(each for each in error.problems if not each.message.startswith("is required"))
    return ()


def run_sweep(
    plan: Plan,
    *,
    source: Source,
    root: Path,
    address: str | None,
    console: Console,
    retry: Collection[str] = (),
    fail_fast: bool = False,
) -> SweepSummary:
    """Run a sweep until it is done or interrupted; resume from what is in `root`.

    Args:
        plan: the sweep, spelt out.
        source: its file.
        root: the directory of its results.
        address: of a Ray cluster; None for `RAY_ADDRESS`, or else a local one. At `ray://...` the
            driver runs in the cluster, and `root` is there.
        console: where progress is shown.
        retry: run again what ended for one of these causes: see `runs.directory.cause`.
        fail_fast: whether the first run that fails or diverges ends this session.

    Raises:
        FileError: if this machine cannot train its runs; if `root` is not this sweep's, is in use,
            or holds runs that no longer fit; if the storage of its studies cannot be used.
    """

    def notify(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    if holds_password(plan.sweep.storage):
        notify(
            f"note: {source.name} holds a password, which its copy in {root} does not; "
            "better write storage: {env: NAME}"
        )
    address = address or os.environ.get("RAY_ADDRESS")
    if address in (None, "local") and (
        problems := [*device_problems(plan.sweep, cells=plan.cells)]
    ):
        raise source.error(SpecError(problems))
    if address is None or not address.startswith("ray://"):
        return run_local(
            plan,
            source=source,
            root=root,
            address=address,
            console=console,
            retry=retry,
            fail_fast=fail_fast,
        )
    from seqtune.sweep.execution.remote import ClusterError, run_remote

    try:
        return run_remote(
            _run_in_cluster,
            address=address,
            notify=notify,
            plan=plan,
            source=source,
            root=root,
            retry=retry,
            fail_fast=fail_fast,
        )
    except ClusterError as error:
        raise FileError(str(error)) from None


def _run_in_cluster(plan: Plan, **arguments: Any) -> SweepSummary:
    """Run a driver session in a cluster that this process is part of; output goes to stderr."""
    console = Console(stderr=True, highlight=False, force_terminal=False)
    return run_local(plan, address=None, console=console, **arguments)


def run_local(
    plan: Plan,
    *,
    source: Source,
    root: Path,
    address: str | None,
    console: Console,
    retry: Collection[str],
    fail_fast: bool,
) -> SweepSummary:
    """Run a driver session in this process; see `run_sweep`."""
    from seqtune.sweep.search.directory import check_owner, claim, held, open_driver_files
    from seqtune.sweep.search.storage import check_server
    from seqtune.sweep.search.studies import Studies

    with report_unreachable(root), report_full_disk(root):
        check_owner(root, plan=plan)
        check_server(plan.sweep.storage)
        with held(root) as lease:
            claim(root, plan=plan, source=source)
            with open_driver_files(root, lease=lease) as files:
                studies = Studies(plan, root=root, files=files, retry=retry)
                try:
                    return _run(studies, address=address, console=console, fail_fast=fail_fast)
                except CapacityError as error:
                    raise source.error(SpecError([error.problem])) from None


def _run(
    studies: "Studies", *, address: str | None, console: Console, fail_fast: bool
) -> SweepSummary:
    from seqtune.sweep.display.live_table import LiveTable
    from seqtune.sweep.execution.cluster import ClusterError, cluster, head
    from seqtune.sweep.execution.engine import Events, execute
    from seqtune.sweep.search.storage import explain_lost_server

    halted = False
    if not studies.done:
        try:
            with cluster(address), LiveTable(studies, console=console) as table:
                events = Events(
                    table.on_end, on_tick=table.on_tick, on_interrupt=table.on_interrupt
                )
                with head().watch(table.stop_with):
                    halted = execute(studies, events=events, fail_fast=fail_fast)
        except ClusterError as error:
            raise FileError(str(error)) from None
        except Exception as error:
            # A lost database server may show as any exception of what was being done with it.
            storage = studies.plan.sweep.storage
            if (explained := explain_lost_server(storage, error=error)) is not None:
                raise explained from None
            raise
    return SweepSummary(
        done=studies.done,
        failed=sum(each.failed for each in studies.progress.values()),
        unconfirmed=studies.unconfirmed,
        runs=studies.runs,
        halted=halted,
    )
