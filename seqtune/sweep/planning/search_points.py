"""Values of what is tuned: which apply, every point of a grid, and the points tried before anything runs."""

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from seqtune.sweep.planning.distributions import Choice, Range

Tune: TypeAlias = Mapping[str, Range | Choice]
"""What is searched over, by dotted path."""

MOST_TRIED = 128
"""Combinations that are tried before a sweep begins; of more than that, a part."""


def active(tune: Tune, values: Mapping[str, Any]) -> list[str]:
    """The paths that apply: those without a condition, and those whose condition `values` meet."""
    return [
        path
        for path, each in tune.items()
        if all(other in values and values[other] == value for other, value in each.when.items())
    ]


def grid_points(tune: Tune) -> list[dict[str, Any]]:
    """Every combination of the tuned lists, in the order of the file."""
    return _applied(_combinations({path: each.examples() for path, each in tune.items()}), tune)


def first_point(tune: Tune) -> dict[str, Any]:
    """One point of the search: the first value of everything."""
    values = {path: each.examples()[0] for path, each in tune.items()}
    return {path: values[path] for path in active(tune, values)}


def middle_point(tune: Tune) -> dict[str, Any]:
    """The middle of every range, on its own scale, and of every list."""
    values = {path: each.middle() for path, each in tune.items()}
    return {path: values[path] for path in active(tune, values)}


def tried_points(tune: Tune) -> list[dict[str, Any]]:
    """Points that show whether all can be run: every combination of bounds, choices and whole numbers.

    Of more than `MOST_TRIED` combinations, every one of the ends of ranges and lists if these are few
    enough, and every value beside the first of all others.
    """
    values = {path: each.examples() for path, each in tune.items()}
    if math.prod(map(len, values.values())) <= MOST_TRIED:
        return _applied(_combinations(values), tune)
    ends = {path: [each[0], each[-1]] for path, each in values.items()}
    few = 2 ** len(ends) <= MOST_TRIED
    corners = _combinations(ends) if few else _diagonal(ends)
    return _applied(itertools.chain(corners, _one_by_one(values, tune=tune)), tune)


def _combinations(values: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for point in itertools.product(*values.values()):
        yield dict(zip(values, point, strict=True))


def _diagonal(ends: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for end in (0, 1):
        yield {path: each[end] for path, each in ends.items()}


def _one_by_one(values: Mapping[str, list[Any]], *, tune: Tune) -> Iterator[dict[str, Any]]:
    first = {path: each[0] for path, each in values.items()}
    for path, several in values.items():
        for value in several:
            yield {**first, **tune[path].when, path: value}


def _applied(points: Iterable[dict[str, Any]], tune: Tune) -> list[dict[str, Any]]:
    """The points without what a condition leaves out; some of them are the same then."""
    applied = [{path: point[path] for path in active(tune, point)} for point in points]
    return list({json.dumps(point): point for point in applied}.values())
