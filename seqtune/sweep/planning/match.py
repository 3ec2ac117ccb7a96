"""Solving `match`: the same parameters or FLOPs per token in every cell.

Of all values with which the model can be built, the nearest to the target is taken. It is then a
fixed value of the cell's runs like any other.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from seqtune.config.errors import Path, Problem, SpecError, nearest
from seqtune.config.nested import assign, has
from seqtune.config.spec import Spec
from seqtune.config.unions import members
from seqtune.models import ModelSpec
from seqtune.runs.spec import RunSpec
from seqtune.sweep.planning.candidate import Candidate
from seqtune.sweep.planning.cell import Matched, text_of
from seqtune.sweep.planning.distributions import first_point, tried_points
from seqtune.sweep.planning.spec import Amount, MatchSpec

if TYPE_CHECKING:
    from seqtune.runs.cost import CostEstimator


UNITS: dict[Amount, str] = {"parameters": "parameters", "flops": "FLOPs per token"}

NEXT = 64
"""Consecutive values that are tried to find one with which the model can be built."""

LARGEST = 1 << 24
"""No larger value is tried."""


@dataclass(frozen=True)
class Reached:
    """A value of the solved field, and the parameters or FLOPs that it gives."""

    value: int
    reached: float


class _Model(Spec):
    model: ModelSpec


def match_problems(candidate: Candidate) -> Iterator[Problem]:
    """Yield problems of `match.by`: not an integer of the model, or with another role already."""
    match = candidate.match
    fields = _integer_fields(candidate.data)
    if match is None or not fields:
        return
    at = (*candidate.match_path, "by")
    if match.by not in fields:
        yield Problem(
            at, f"is not an integer field of the model: {match.by}{nearest(match.by, fields)}"
        )
    for role, paths in (("compared", candidate.compared), ("tuned", candidate.tune)):
        for path in paths:
            inside = match.by.startswith(f"{path}.")
            if path == match.by or (inside and role == "tuned"):
                yield Problem(at, f"a path has one role, but {path} is {role}; remove one of them")
            elif inside and _holds(candidate.compared[path], match.by.removeprefix(f"{path}.")):
                yield Problem(
                    at, f"a path has one role, but {match.by} is compared; remove it from {path}"
                )


def start(candidate: Candidate) -> Candidate:
    """Return the cell with some valid value of the solved field, to check its other values.

    The cell is unchanged if there is nothing to solve or no value is valid.
    """
    match = candidate.match
    if match is None or match.by not in _integer_fields(candidate.data):
        return candidate
    value = _first_legal(candidate, match=match)
    return (
        candidate
        if value is None
        else replace(candidate, matched=_matched(match, Reached(value, 0.0)))
    )


def solve(candidate: Candidate, *, estimator: "CostEstimator") -> Candidate:
    """Return the cell with the value whose parameters or FLOPs are nearest to the target.

    Args:
        candidate: a cell without problems.
        estimator: computes parameters and FLOPs.

    Raises:
        SpecError: if none is within the tolerance, or a tuned value changes the matched quantity.
    """
    match = candidate.match
    if match is None:
        return candidate
    first = _first_legal(candidate, match=match)
    assert first is not None, "the cell has no problems"
    at_first = first_point(candidate.tune)

    def measure(value: int) -> float:
        return _size(candidate, match=match, value=value, tuned=at_first, estimator=estimator)

    variants = _variants(candidate)
    found = nearest_values(
        match.target,
        first=first,
        legal=lambda value: _legal(variants, by=match.by, value=value),
        measure=measure,
    )
    best = min(found, key=lambda each: abs(each.reached / match.target - 1))
    matched = _matched(match, best)
    if abs(matched.mismatch) > match.tolerance:
        raise SpecError([_too_far(candidate, match=match, found=found, best=best)])
    problems = list(_tuned_problems(candidate, match=match, best=best, estimator=estimator))
    if problems:
        raise SpecError(problems)
    return replace(candidate, matched=matched)


def _matched(match: MatchSpec, found: Reached) -> Matched:
    return Matched(
        by=match.by,
        value=found.value,
        amount=match.amount,
        target=match.target,
        reached=found.reached,
    )


def _size(
    candidate: Candidate,
    *,
    match: MatchSpec,
    value: int,
    tuned: dict[str, Any],
    estimator: "CostEstimator",
) -> float:
    spec = RunSpec.parse(assign(candidate.data, {**tuned, match.by: value}))
    if match.amount == "parameters":
        return float(estimator.parameters(spec))
    return estimator.flops_per_token(spec)


def _too_far(
    candidate: Candidate, *, match: MatchSpec, found: list[Reached], best: Reached
) -> Problem:
    name = match.by.rpartition(".")[2]
    reached = " and ".join(
        f"{name}={each.value} has {each.reached:,.0f} "
        f"({100 * (each.reached / match.target - 1):+.1f} %)"
        for each in found
    )
    where = f" in the cell {candidate.label}" if candidate.compared or candidate.arm else ""
    return Problem(
        candidate.match_path,
        f"no {match.by} gives {match.target:,.0f} {UNITS[match.amount]} to within "
        f"{100 * match.tolerance:g} %{where}: {reached}; write {match.amount}: {best.reached:.0f}, "
        "or a larger tolerance",
    )


def _tuned_problems(
    candidate: Candidate, *, match: MatchSpec, best: Reached, estimator: "CostEstimator"
) -> Iterator[Problem]:
    """A tuned path that makes some runs of the cell larger than others."""
    first, *others = tried_points(candidate.tune)
    for tuned in others:
        size = _size(candidate, match=match, value=best.value, tuned=tuned, estimator=estimator)
        if size == best.reached:
            continue
        paths = [path for path, value in tuned.items() if first.get(path) != value]
        parts = [path for path in paths if path.startswith(("model", "task"))] or paths
        values = ", ".join(f"{path}={text_of(tuned[path])}" for path in parts)
        yield Problem(
            candidate.role_path("tune", parts[0]) if parts else candidate.match_path,
            f"changes what match holds constant: {size:,.0f} {UNITS[match.amount]} with {values}, "
            f"but {best.reached:,.0f} with the first values; compare it, or remove it from tune",
        )
        return


def _integer_fields(data: Any) -> list[str]:
    """Dotted paths of the model's integer fields; none if its kind is unknown."""
    block = data.get("model")
    kind = block if isinstance(block, str) else block.get("kind") if has(block, "kind") else None
    for model in members(ModelSpec):
        if model.model_fields["kind"].default == kind:
            fields = model.model_fields.items()
            return [f"model.{name}" for name, field in fields if field.annotation is int]
    return []


def _variants(candidate: Candidate) -> list[dict[str, Any]]:
    """The model's block with each combination of its tuned values."""
    block = {"model": candidate.data["model"]}
    points = (
        {path: value for path, value in point.items() if path.split(".")[0] == "model"}
        for point in tried_points(candidate.tune)
    )
    found = (assign(block, point) for point in points)
    return list({json.dumps(each, sort_keys=True): each for each in found}.values())


def _first_legal(candidate: Candidate, *, match: MatchSpec) -> int | None:
    """The smallest value with which the model can be built, or else the one in the file."""
    variants = _variants(candidate)
    value = first_value(lambda value: _legal(variants, by=match.by, value=value))
    if value is not None:
        return value
    given: Any = candidate.data
    for part in match.by.split("."):
        given = given[part] if has(given, part) else None
    known = isinstance(given, int) and _legal(variants, by=match.by, value=given)
    return given if known else None


def _legal(variants: list[dict[str, Any]], *, by: str, value: int) -> bool:
    try:
        for each in variants:
            _Model.parse(assign(each, {by: value}))
    except SpecError:
        return False
    return True


def _holds(block: Any, name: str) -> bool:
    """Whether a compared block sets the field that is solved for."""
    path: Path = tuple(name.split("."))
    for part in path:
        if not has(block, part):
            return False
        block = block[part]
    return True


def first_value(legal: Callable[[int], bool], *, start: int = 1) -> int | None:
    """Return the smallest legal value among `NEXT` from `start` on; None if there is none."""
    return next((value for value in range(start, start + NEXT) if legal(value)), None)


def nearest_values(
    target: float,
    *,
    first: int,
    legal: Callable[[int], bool],
    measure: Callable[[int], float],
) -> list[Reached]:
    """Return the legal values next to the target: one below and one at or above it, if they exist.

    Args:
        target: wanted parameters or FLOPs.
        first: the smallest legal value.
        legal: whether the model can be built with a value.
        measure: parameters or FLOPs of a legal value; must not decrease.
    """
    below, above = None, Reached(first, measure(first))
    while above.reached < target:
        below = above
        beyond = _beyond(below, target=target)
        value = first_value(legal, start=beyond) or first_value(legal, start=below.value + 1)
        if value is None or value > LARGEST:
            return [below]
        above = Reached(value, measure(value))
    if below is None:
        return [above]
    halve = False
    while (value := _between(below, above, target=target, legal=legal, halve=halve)) is not None:
        found = Reached(value, measure(value))
        below, above = (found, above) if found.reached < target else (below, found)
        halve = not halve
    return [below, above]


def _beyond(below: Reached, *, target: float) -> int:
    """A value that probably reaches the target: the quantity grows at most as width squared."""
    factor = min(16.0, 1.05 * math.sqrt(target / below.reached))
    return max(below.value + 1, math.ceil(below.value * factor))


def _between(
    below: Reached,
    above: Reached,
    *,
    target: float,
    legal: Callable[[int], bool],
    halve: bool,
) -> int | None:
    """A legal value between two, by a power law or in the middle; None if there is none."""
    if above.value - below.value == 1:
        return None
    share = math.log(target / below.reached) / math.log(above.reached / below.reached)
    guess = round(below.value * (above.value / below.value) ** share)
    middle = (below.value + above.value) // 2 if halve else guess
    start = min(max(middle, below.value + 1), above.value - 1)
    upward = range(start, above.value)
    downward = range(start - 1, below.value, -1)
    return next((value for value in (*upward, *downward) if legal(value)), None)
