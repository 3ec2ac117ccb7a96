"""Solves `match` for the cells of a sweep: which values can be built, and what comes of them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from seqtune.config.errors import Path, Problem, SpecError, nearest
from seqtune.config.nested import assign, has
from seqtune.config.spec import Spec
from seqtune.config.unions import members
from seqtune.models import ModelSpec
from seqtune.runs.spec import RunSpec
from seqtune.sweep.planning.candidate import Candidate
from seqtune.sweep.planning.cell_names import text_of
from seqtune.sweep.planning.match import (
    UNITS,
    Matched,
    MatchSpec,
    Reached,
    first_value,
    nearest_values,
)
from seqtune.sweep.planning.search_points import first_point, tried_points

if TYPE_CHECKING:
    from seqtune.runs.cost import CostEstimator


class _Model(Spec):
    model: ModelSpec


def match_problems(draft: Candidate) -> Iterator[Problem]:
    """A field that cannot be solved, or that has another role in the cell already."""
    match = draft.match
    fields = _whole_numbers(draft.data)
    if match is None or not fields:
        return
    at = (*draft.match_path, "by")
    if match.by not in fields:
        yield Problem(at, f"is no whole number of the model: {match.by}{nearest(match.by, fields)}")
    for role, paths in (("compared", draft.compared), ("tuned", draft.tune)):
        for path in paths:
            inside = match.by.startswith(f"{path}.")
            if path == match.by or (inside and role == "tuned"):
                yield Problem(
                    at, f"a path has one role, but {path} is {role}; leave one of them out"
                )
            elif inside and _holds(draft.compared[path], match.by.removeprefix(f"{path}.")):
                yield Problem(
                    at, f"a path has one role, but {match.by} is compared; leave it out of {path}"
                )


def start(draft: Candidate) -> Candidate:
    """The cell with a value that can be built in place of the one that is to be solved.

    It is left as it is where there is nothing to solve, or where no value helps what else is wrong.
    """
    match = draft.match
    if match is None or match.by not in _whole_numbers(draft.data):
        return draft
    value = _first_legal(draft, match=match)
    return draft if value is None else replace(draft, matched=_matched(match, Reached(value, 0.0)))


def solve(draft: Candidate, *, ruler: "CostEstimator") -> Candidate:
    """The cell with the value that comes nearest.

    Args:
        draft: a cell without problems.
        ruler: what sizes are found by.

    Raises:
        SpecError: if none comes near enough, or what is tuned changes what is to be the same.
    """
    match = draft.match
    if match is None:
        return draft
    first = _first_legal(draft, match=match)
    assert first is not None, "the cell has no problems"
    at_first = first_point(draft.tune)

    def measure(value: int) -> float:
        return _size(draft, match=match, value=value, tuned=at_first, ruler=ruler)

    variants = _variants(draft)
    found = nearest_values(
        match.target,
        first=first,
        legal=lambda value: _legal(variants, by=match.by, value=value),
        measure=measure,
    )
    best = min(found, key=lambda each: abs(each.reached / match.target - 1))
    matched = _matched(match, best)
    if abs(matched.mismatch) > match.tolerance:
        raise SpecError([_too_far(draft, match=match, found=found, best=best)])
    problems = list(_tuned_problems(draft, match=match, best=best, ruler=ruler))
    if problems:
        raise SpecError(problems)
    return replace(draft, matched=matched)


def _matched(match: MatchSpec, found: Reached) -> Matched:
    return Matched(
        by=match.by,
        value=found.value,
        amount=match.amount,
        target=match.target,
        reached=found.reached,
    )


def _size(
    draft: Candidate, *, match: MatchSpec, value: int, tuned: dict[str, Any], ruler: "CostEstimator"
) -> float:
    spec = RunSpec.parse(assign(draft.data, {**tuned, match.by: value}))
    if match.amount == "parameters":
        return float(ruler.parameters(spec))
    return ruler.flops_per_token(spec)


def _too_far(draft: Candidate, *, match: MatchSpec, found: list[Reached], best: Reached) -> Problem:
    name = match.by.rpartition(".")[2]
    reached = " and ".join(
        f"{name}={each.value} has {each.reached:,.0f} ({100 * (each.reached / match.target - 1):+.1f} %)"
        for each in found
    )
    where = f" in the cell {draft.label}" if draft.compared or draft.arm else ""
    return Problem(
        draft.match_path,
        f"no {match.by} gives {match.target:,.0f} {UNITS[match.amount]} to within "
        f"{100 * match.tolerance:g} %{where}: {reached}; write {match.amount}: {best.reached:.0f}, "
        "or a larger tolerance",
    )


def _tuned_problems(
    draft: Candidate, *, match: MatchSpec, best: Reached, ruler: "CostEstimator"
) -> Iterator[Problem]:
    """What is tuned and makes some runs of the cell larger than others."""
    first, *others = tried_points(draft.tune)
    for tuned in others:
        size = _size(draft, match=match, value=best.value, tuned=tuned, ruler=ruler)
        if size == best.reached:
            continue
        paths = [path for path, value in tuned.items() if first.get(path) != value]
        parts = [path for path in paths if path.startswith(("model", "task"))] or paths
        values = ", ".join(f"{path}={text_of(tuned[path])}" for path in parts)
        yield Problem(
            draft.role_path("tune", parts[0]) if parts else draft.match_path,
            f"changes what match holds the same: {size:,.0f} {UNITS[match.amount]} with {values}, but "
            f"{best.reached:,.0f} with the first values; compare it, or leave it out of tune",
        )
        return


def _whole_numbers(data: Any) -> list[str]:
    """Dotted paths of the model's whole numbers; none where it is not clear which model it is."""
    block = data.get("model")
    kind = block if isinstance(block, str) else block.get("kind") if has(block, "kind") else None
    for model in members(ModelSpec):
        if model.model_fields["kind"].default == kind:
            fields = model.model_fields.items()
            return [f"model.{name}" for name, field in fields if field.annotation is int]
    return []


def _variants(draft: Candidate) -> list[dict[str, Any]]:
    """The model's block with each of the values that are tried of what is tuned in it."""
    block = {"model": draft.data["model"]}
    points = (
        {path: value for path, value in point.items() if path.split(".")[0] == "model"}
        for point in tried_points(draft.tune)
    )
    found = (assign(block, point) for point in points)
    return list({json.dumps(each, sort_keys=True): each for each in found}.values())


def _first_legal(draft: Candidate, *, match: MatchSpec) -> int | None:
    """The least value with which the model can be built, or else the one that stands in the file."""
    variants = _variants(draft)
    value = first_value(lambda value: _legal(variants, by=match.by, value=value))
    if value is not None:
        return value
    given: Any = draft.data
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
    """Whether one of the compared values, a block, says itself what is to be solved."""
    path: Path = tuple(name.split("."))
    for part in path:
        if not has(block, part):
            return False
        block = block[part]
    return True
