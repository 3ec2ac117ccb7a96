"""What a sweep will cost, cell by cell, before anything runs.

A cell's figures are those of one of its runs: with the middle of every range that is tuned. Where what is
tuned makes some runs larger than others, the ends of that are given too.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from seqtune.config.errors import SpecError
from seqtune.runs.cost import CostEstimator, RunCost
from seqtune.runs.spec import RunSpec
from seqtune.runs.timing import NotMeasured, Speed
from seqtune.sweep.planning.audit import is_audited
from seqtune.sweep.planning.cell import Cell
from seqtune.sweep.planning.match import Matched
from seqtune.sweep.planning.plan import Plan
from seqtune.sweep.planning.resource_request import ResourceRequest
from seqtune.sweep.planning.resources import values_of
from seqtune.sweep.planning.search_points import first_point, middle_point, tried_points

MUCH = 1.1
"""A figure is given as a range if its ends are further apart than by this factor."""

MOST_RANGED = 12
"""Runs of a cell that are looked at for a range; of more, some from the first to the last."""

RANGED: dict[str, Callable[[RunCost], float]] = {
    "parameters": lambda size: float(size.parameters),
    "flops": lambda size: size.flops,
    "memory_bytes": lambda size: float(size.memory.total),
}


class Probe(Protocol):
    """Times a run, given its size and the threads that it has: as many as torch takes where that is None."""

    def __call__(
        self, spec: RunSpec, /, *, size: RunCost, threads: int | None
    ) -> Speed | NotMeasured: ...


@dataclass(frozen=True)
class Range:
    """A figure from the least to the most of a cell's runs."""

    low: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """What a cell, or a run alone, will cost.

    Attributes:
        name: the cell's.
        spec: the run whose figures they are.
        size: of one run.
        ranges: by the names of `RANGED`, what differs much between its runs.
        trials: of the search; `confirm` is how many runs confirm the best. Both are 0 of a run alone.
        runs: all of them.
        audits: how many of the trials run on to their end if they are stopped.
        matched: what was solved for the cell.
        request: what a run asks of its machine; None of a run alone, which has all of it.
        threads: that the run had when it was timed; None for as many as torch takes.
        speed: of the run; None where nobody asked.
        run_seconds: to its last epoch; None where that is not known.
        at_once: how many runs this machine has room for; 0 if it has for none.
    """

    name: str
    spec: RunSpec
    size: RunCost
    ranges: Mapping[str, Range]
    trials: int
    confirm: int
    runs: int
    audits: int
    matched: Matched | None
    request: ResourceRequest | None
    threads: int | None
    speed: Speed | NotMeasured | None
    run_seconds: float | None
    at_once: int

    @property
    def seconds(self) -> float | None:
        """Of all its runs one after the other, none of them being stopped."""
        return None if self.run_seconds is None else self.run_seconds * self.runs

    @property
    def flops(self) -> float:
        """Of all its runs."""
        return self.size.flops * self.runs

    @property
    def disk_bytes(self) -> int:
        """Of all its runs once they have ended."""
        return self.size.disk_bytes * self.runs

    @property
    def untimed(self) -> str | None:
        """Why nobody could tell how fast the run is, if so."""
        return self.speed.reason if isinstance(self.speed, NotMeasured) else None

    def to_data(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "cell": self.name,
            "run": self.size.to_data(),
            "ranges": {name: [each.low, each.high] for name, each in self.ranges.items()},
            "match": None if self.matched is None else self.matched.to_data(),
            "trials": self.trials,
            "confirm_runs": self.confirm,
            "runs": self.runs,
            "audits": self.audits,
            "flops": self.flops,
            "disk_bytes": self.disk_bytes,
            "run_seconds": self.run_seconds,
            "seconds": self.seconds,
            "untimed": self.untimed,
            "at_once": self.at_once,
        }


@dataclass(frozen=True)
class Totals:
    """Of all cells.

    Attributes:
        seconds: of all runs one after the other; None where some cell's is not known.
        elapsed_seconds: with as many runs at once as this machine has room for; None likewise.
    """

    runs: int
    flops: float
    disk_bytes: int
    seconds: float | None
    elapsed_seconds: float | None

    @classmethod
    def of(cls, forecasts: Iterable[Forecast]) -> "Totals":
        """The sums."""
        rows = list(forecasts)
        known = [row.seconds for row in rows if row.seconds is not None]
        room = [row for row in rows if row.at_once > 0]
        whole = len(known) == len(rows)
        elapsed = [row.seconds / row.at_once for row in room if row.seconds is not None]
        return cls(
            runs=sum(row.runs for row in rows),
            flops=sum(row.flops for row in rows),
            disk_bytes=sum(row.disk_bytes for row in rows),
            seconds=sum(known) if whole else None,
            elapsed_seconds=sum(elapsed) if whole and len(room) == len(rows) else None,
        )

    def to_data(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def forecast_sweep(plan: Plan, *, probe: Probe | None, gpus: int) -> list[Forecast]:
    """Every cell's costs.

    Args:
        plan: the sweep.
        probe: what times a run; None for no times.
        gpus: that this machine has.
    """
    ruler = CostEstimator()
    return [
        _forecast_cell(cell, plan=plan, ruler=ruler, probe=probe, gpus=gpus) for cell in plan.cells
    ]


def forecast_run(spec: RunSpec, *, name: str, probe: Probe | None) -> Forecast:
    """The costs of one run, as `seqtune train` does it: alone on this machine."""
    size = CostEstimator().estimate(spec)
    speed = None if probe is None else probe(spec, size=size, threads=None)
    return Forecast(
        name=name,
        spec=spec,
        size=size,
        ranges={},
        trials=0,
        confirm=0,
        runs=1,
        audits=0,
        matched=None,
        request=None,
        threads=None,
        speed=speed,
        run_seconds=speed.run_seconds(spec) if isinstance(speed, Speed) else None,
        at_once=1,
    )


def typical_run(cell: Cell) -> RunSpec:
    """The run with the middle of all that is tuned, or with its first values where that cannot be built."""
    try:
        return cell.run(tuned=middle_point(cell.tune), seed=0)
    except SpecError:
        return cell.run(tuned=first_point(cell.tune), seed=0)


def _forecast_cell(
    cell: Cell, *, plan: Plan, ruler: CostEstimator, probe: Probe | None, gpus: int
) -> Forecast:
    sweep = plan.sweep
    spec = typical_run(cell)
    weights = sweep.keep != "none"
    size = ruler.estimate(spec, weights=weights)
    request = sweep.resources.request(values_of(spec, arm=cell.arm))
    threads = max(1, int(request.cpu))
    speed = None if probe is None else probe(spec, size=size, threads=threads)
    return Forecast(
        name=cell.name,
        spec=spec,
        size=size,
        ranges=_ranges(cell, size=size, ruler=ruler),
        trials=cell.trials,
        confirm=sweep.confirm.seeds,
        runs=cell.trials + sweep.confirm.seeds,
        audits=_audits(cell, plan=plan),
        matched=cell.matched,
        request=request,
        threads=threads,
        speed=speed,
        run_seconds=speed.run_seconds(spec) if isinstance(speed, Speed) else None,
        at_once=at_once(request, cores=os.cpu_count() or 1, gpus=gpus),
    )


def _audits(cell: Cell, *, plan: Plan) -> int:
    search = plan.sweep.search
    if search is None:
        return 0
    return sum(is_audited(search, cell=cell.name, trial=k) for k in range(cell.trials))


def at_once(request: ResourceRequest | None, *, cores: int, gpus: int) -> int:
    """Runs that a machine has cores and GPUs for; one of a run that asks for nothing."""
    if request is None:
        return 1
    room = int(cores / request.cpu)
    return min(room, int(gpus / request.gpu)) if request.gpu > 0 else room


def _ranges(cell: Cell, *, size: RunCost, ruler: CostEstimator) -> dict[str, Range]:
    """What differs much between the cell's runs."""
    sizes = [size, *(ruler.estimate(spec) for spec in _kinds(cell))]
    found = {}
    for name, figure in RANGED.items():
        values = [figure(each) for each in sizes]
        if max(values) > MUCH * min(values):
            found[name] = Range(min(values), max(values))
    return found


def _kinds(cell: Cell) -> list[RunSpec]:
    """The cell's runs that may differ in size, at the bounds of what is tuned."""
    kinds: dict[str, RunSpec] = {}
    for tuned in tried_points(cell.tune):
        parts = {
            path: value
            for path, value in tuned.items()
            if not path.startswith("optimizer.") and path != "model.dropout"
        }
        kinds.setdefault(json.dumps(parts, sort_keys=True), cell.run(tuned=tuned, seed=0))
    found = list(kinds.values())
    if len(found) <= 1:
        return []
    step = max(1, -(-len(found) // MOST_RANGED))
    return [*found[::step], found[-1]]
