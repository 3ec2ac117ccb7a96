"""The cost of a sweep, cell by cell, before anything runs.

A cell's figures are those of one run, with the middle of every tuned range. If tuned values make
some runs larger than others, the range is given too.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from seqtune.config.errors import SpecError
from seqtune.runs.cost import CostEstimator, RunCost
from seqtune.runs.spec import RunSpec
from seqtune.runs.timing import NotMeasured, Speed
from seqtune.sweep.planning.cell import Cell, Matched
from seqtune.sweep.planning.distributions import first_point, middle_point, tried_points
from seqtune.sweep.planning.plan import Plan
from seqtune.sweep.planning.resources import ResourceRequest, values_of

MUCH = 1.1
"""A figure is given as a range if its ends differ by more than this factor."""

MOST_RANGED = 12
"""Runs of a cell that are measured for a range; of more, an evenly spaced part."""

RANGED: dict[str, Callable[[RunCost], float]] = {
    "parameters": lambda size: float(size.parameters),
    "flops": lambda size: size.flops,
    "memory_bytes": lambda size: float(size.memory.total),
}


class MeasureSpeed(Protocol):
    """Measures the speed of a run, given its size and threads (None for torch's default)."""

    def __call__(
        self, spec: RunSpec, /, *, size: RunCost, threads: int | None
    ) -> Speed | NotMeasured: ...


@dataclass(frozen=True)
class FigureRange:
    """Lowest and highest value among a cell's runs."""

    low: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """The cost of a cell, or of a single run.

    Attributes:
        name: of the cell.
        spec: the run whose figures they are.
        size: of one run.
        speed: of the run; None if it was not asked for.
        runs: all of them: `trials` search trials and `confirm` confirm runs, or a single run.
        audits: trials that train on to their last epoch if they are stopped.
        at_once: runs that fit on this machine at a time; 0 if none does.
        ranges: by the names of `RANGED`, figures that differ much between its runs.
        matched: what was solved for the cell.
    """

    name: str
    spec: RunSpec
    size: RunCost
    speed: Speed | NotMeasured | None
    runs: int = 1
    trials: int = 0
    confirm: int = 0
    audits: int = 0
    at_once: int = 1
    ranges: Mapping[str, FigureRange] = field(default_factory=dict)
    matched: Matched | None = None

    @property
    def run_seconds(self) -> float | None:
        """Seconds of one run to its last epoch; None if unknown."""
        return self.speed.run_seconds(self.spec) if isinstance(self.speed, Speed) else None

    @property
    def seconds(self) -> float | None:
        """Seconds of all runs one after the other, if none is stopped."""
        return None if self.run_seconds is None else self.run_seconds * self.runs

    @property
    def flops(self) -> float:
        """FLOPs of all runs."""
        return self.size.flops * self.runs

    @property
    def disk_bytes(self) -> int:
        """Disk space of all runs once they have ended."""
        return self.size.disk_bytes * self.runs

    @property
    def untimed(self) -> str | None:
        """Why the speed is unknown, if it could not be measured."""
        return self.speed.reason if isinstance(self.speed, NotMeasured) else None

    def to_data(self) -> dict[str, Any]:
        """Return plain data."""
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
    """Sums over all cells.

    Attributes:
        seconds: of all runs one after the other; None if a cell's is unknown.
        elapsed_seconds: with as many runs at once as fit on this machine; None likewise.
    """

    runs: int
    flops: float
    disk_bytes: int
    seconds: float | None
    elapsed_seconds: float | None

    @classmethod
    def of(cls, forecasts: Iterable[Forecast]) -> "Totals":
        """Return the sums."""
        rows = list(forecasts)
        known = [row.seconds for row in rows if row.seconds is not None]
        fit = [row for row in rows if row.at_once > 0]
        whole = len(known) == len(rows)
        elapsed = [row.seconds / row.at_once for row in fit if row.seconds is not None]
        return cls(
            runs=sum(row.runs for row in rows),
            flops=sum(row.flops for row in rows),
            disk_bytes=sum(row.disk_bytes for row in rows),
            seconds=sum(known) if whole else None,
            elapsed_seconds=sum(elapsed) if whole and len(fit) == len(rows) else None,
        )

    def to_data(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def forecast_sweep(plan: Plan, *, measure: MeasureSpeed | None, gpus: int) -> list[Forecast]:
    """Return the cost of every cell.

    Args:
        plan: the sweep.
        measure: measures the speed of a run; None for no times.
        gpus: number of GPUs of this machine.
    """
    estimator = CostEstimator()
    return [
        _forecast_cell(cell, plan=plan, estimator=estimator, measure=measure, gpus=gpus)
        for cell in plan.cells
    ]


def forecast_run(spec: RunSpec, *, name: str, measure: MeasureSpeed | None) -> Forecast:
    """Return the cost of one run alone on this machine, as with `seqtune train`."""
    size = CostEstimator().estimate(spec)
    speed = None if measure is None else measure(spec, size=size, threads=None)
    return Forecast(name=name, spec=spec, size=size, speed=speed)


def typical_run(cell: Cell) -> RunSpec:
    """Return the run with the middle of everything tuned; with first values if that is invalid."""
    try:
        return cell.run(tuned=middle_point(cell.tune), seed=0)
    except SpecError:
        return cell.run(tuned=first_point(cell.tune), seed=0)


def _forecast_cell(
    cell: Cell, *, plan: Plan, estimator: CostEstimator, measure: MeasureSpeed | None, gpus: int
) -> Forecast:
    sweep = plan.sweep
    spec = typical_run(cell)
    weights = sweep.keep != "none"
    size = estimator.estimate(spec, weights=weights)
    request = sweep.resources.request(values_of(spec, arm=cell.arm))
    threads = max(1, int(request.cpu))
    speed = None if measure is None else measure(spec, size=size, threads=threads)
    return Forecast(
        name=cell.name,
        spec=spec,
        size=size,
        speed=speed,
        runs=cell.trials + sweep.confirm.seeds,
        trials=cell.trials,
        confirm=sweep.confirm.seeds,
        audits=_audits(cell, plan=plan),
        at_once=_runs_at_once(request, cores=os.cpu_count() or 1, gpus=gpus),
        ranges=_ranges(cell, size=size, estimator=estimator),
        matched=cell.matched,
    )


def _audits(cell: Cell, *, plan: Plan) -> int:
    search = plan.sweep.search
    if search is None:
        return 0
    return sum(search.audits(cell=cell.name, trial=k) for k in range(cell.trials))


def _runs_at_once(request: ResourceRequest, *, cores: int, gpus: int) -> int:
    """Runs that fit on a machine's cores and GPUs at a time."""
    fitting = int(cores / request.cpu)
    return min(fitting, int(gpus / request.gpu)) if request.gpu > 0 else fitting


def _ranges(cell: Cell, *, size: RunCost, estimator: CostEstimator) -> dict[str, FigureRange]:
    """Figures that differ much between the cell's runs."""
    sizes = [size, *(estimator.estimate(spec) for spec in _kinds(cell))]
    found = {}
    for name, figure in RANGED.items():
        values = [figure(each) for each in sizes]
        if max(values) > MUCH * min(values):
            found[name] = FigureRange(min(values), max(values))
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
