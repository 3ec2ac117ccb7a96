"""Warnings about the design of a sweep, before it runs."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from seqtune.config.errors import listed
from seqtune.runs.spec import RunSpec
from seqtune.stats.power import underpowered
from seqtune.sweep.planning.cell import Cell, text_of
from seqtune.sweep.planning.distributions import tried_points
from seqtune.sweep.planning.forecast import MUCH, Forecast, typical_run
from seqtune.sweep.planning.plan import Plan
from seqtune.training.forcing import ForcingSpec, Phased, Reversed
from seqtune.training.optim import OneCycleRate


def design_warnings(plan: Plan, *, forecasts: Sequence[Forecast]) -> list[str]:
    """Return warnings, a line each."""
    return [
        *_unequal_budgets(plan, forecasts),
        *_short_grace_period(plan),
        *_audits(plan, forecasts),
        *_too_few_seeds(plan),
        *_paired_paths(plan),
        *_blocks_that_differ_twice(plan),
        *_arms_that_differ_twice(plan),
    ]


def _unequal_budgets(plan: Plan, forecasts: Sequence[Forecast]) -> Iterator[str]:
    """Cells of one task whose runs differ in FLOPs or tokens."""
    rows = {row.name: row.size for row in forecasts}
    for what in ("flops", "tokens"):
        found = []
        for group in comparison_groups(plan):
            spent = sorted((getattr(rows[name], what), name) for name in group)
            found.append((spent[-1][0] / spent[0][0], spent[-1][1], spent[0][1]))
        ratio, most, least = max(found)
        if ratio > MUCH:
            word = "FLOPs" if what == "flops" else what
            yield (
                f"budgets differ: a run of ({most}) has {ratio:.1f} times the {word} of one of "
                f"({least})"
            )


def comparison_groups(plan: Plan) -> list[list[str]]:
    """Return the names of the cells that are compared with each other, as in the report: per task.

    If no task has two cells, all cells are one group.
    """
    found: dict[str, list[str]] = {}
    for cell in plan.cells:
        task = {path: v for path, v in cell.compared.items() if path.split(".")[0] == "task"}
        found.setdefault(str(task), []).append(cell.name)
    alone = all(len(group) == 1 for group in found.values())
    return [[cell.name for cell in plan.cells]] if alone else [*found.values()]


def _short_grace_period(plan: Plan) -> Iterator[str]:
    search = plan.sweep.search
    grace_period = getattr(search.pruner, "grace_period", None) if search is not None else None
    if grace_period is None:
        return
    late: dict[str, float] = {}
    for cell in plan.cells:
        for tuned in tried_points(cell.tune) if cell.tune else []:
            spec = cell.run(tuned=tuned, seed=0)
            for what, epochs in _warm_ups(spec):
                late[what] = max(late.get(what, 0.0), epochs)
    for what, epochs in late.items():
        if grace_period < epochs:
            yield (
                f"search.pruner.grace_period: trials may be stopped after epoch {grace_period}, "
                f"before {what} ends (epoch {epochs:g})"
            )


def _warm_ups(spec: RunSpec) -> Iterator[tuple[str, float]]:
    """Phases at the start of a run that predict little about its end, with their last epoch."""
    schedule = spec.optimizer.schedule
    rise = schedule.rise * spec.training.epochs if isinstance(schedule, OneCycleRate) else 0.0
    yield "the warm-up (optimizer.schedule)", schedule.warmup_epochs + rise
    phases = _phases(spec.forcing)
    if len(phases) > 1:
        yield "the first phase of forcing", float(phases[0])


def _phases(forcing: ForcingSpec) -> list[int]:
    """Epochs of the phases of a schedule, in training order."""
    match forcing:
        case Phased(phases=phases):
            return [phase.epochs for phase in phases]
        case Reversed(schedule=schedule):
            return _phases(schedule)[::-1]
        case _:
            return []


def _audits(plan: Plan, forecasts: Sequence[Forecast]) -> Iterator[str]:
    """The cost of audits, or that no trial is audited."""
    search = plan.sweep.search
    if search is None or search.audit == 0:
        return
    trials, audits = sum(row.trials for row in forecasts), sum(row.audits for row in forecasts)
    if audits == 0:
        yield (
            f"search.audit: none of the {trials} trials would be audited; write a larger share, "
            "more trials or another search.seed"
        )
        return
    grace_period = getattr(search.pruner, "grace_period", 0)
    epochs = {cell.name: typical_run(cell).training.epochs for cell in plan.cells}
    more = sum(row.audits * max(0, epochs[row.name] - grace_period) for row in forecasts)
    yield (
        f"search.audit: {audits} of {trials} trials train to their last epoch if they are stopped: "
        f"up to {more} epochs more; the figures include them, since they count every run in full"
    )


def _too_few_seeds(plan: Plan) -> Iterator[str]:
    """Too few seeds for any difference to be significant, as the report would say."""
    pairs = sum(math.comb(len(group), 2) for group in comparison_groups(plan))
    if line := underpowered(plan.sweep.confirm.seeds, pairs=pairs):
        yield line


def _paired_paths(plan: Plan) -> Iterator[str]:
    sweep = plan.sweep
    blocks = {"compare": sweep.compare}
    blocks |= {f"arms.{name}.compare": arm.compare for name, arm in sweep.arms.items()}
    for place, block in blocks.items():
        paths = block["zip"][0] if "zip" in block else []
        if len(paths) > 1:
            yield (
                f"{place}.zip: {listed(paths)} change together, so a difference between cells may "
                "be due to any of them"
            )


def _blocks_that_differ_twice(plan: Plan) -> Iterator[str]:
    values: dict[str, dict[str, Mapping[str, Any]]] = {}
    for cell in plan.cells:
        for path, value in cell.compared.items():
            if isinstance(value, Mapping):
                values.setdefault(path, {})[text_of(value)] = value
    for path, blocks in values.items():
        for (left, one), (right, other) in combinations(blocks.items(), 2):
            if len(found := list(_differences(one, other))) > 1:
                yield f"compare.{path}: {left} and {right} differ in {listed(found)} at once"


def _arms_that_differ_twice(plan: Plan) -> Iterator[str]:
    first: dict[str, Cell] = {}
    for cell in plan.cells:
        first.setdefault(cell.arm or "", cell)
    for (left, one), (right, other) in combinations(first.items(), 2):
        found = [path for path in _arm_differences(one, other) if path]
        if len(found) > 1:
            yield f"arms: {left} and {right} differ in {listed(found)} at once"


def _arm_differences(one: Cell, other: Cell) -> Iterator[str]:
    """Paths in which two arms differ, except those compared, tuned or solved in one of them."""
    own = {*one.compared, *other.compared, *one.tune, *other.tune}
    own |= {cell.matched.by for cell in (one, other) if cell.matched is not None}
    for path in _differences(one.fixed(), other.fixed()):
        if not any(path == each or path.startswith(f"{each}.") for each in own):
            yield path


def _differences(one: Mapping[str, Any], other: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Paths in which two blocks differ; blocks of different kinds differ in `kind` alone."""
    if one.get("kind") != other.get("kind"):
        yield path or "kind"
        return
    for name in dict.fromkeys((*one, *other)):
        below = f"{path}.{name}" if path else name
        left, right = one.get(name), other.get(name)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            yield from _differences(left, right, below)
        elif left != right:
            yield below
