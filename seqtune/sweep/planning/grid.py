"""The combinations of compared values that a `compare` block describes.

Lists are crossed. `zip: [[paths], [values], ...]` pairs paths instead: each further row is one
combination. `exclude: [{path: value, ...}, ...]` drops every combination that has all the values of
an entry.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from seqtune.config.errors import Path, Problem, SpecError, nearest

Compared = dict[str, Any]


def combinations(block: Mapping[str, Any], *, at: Path) -> list[Compared]:
    """Return every combination of a `compare` block, in the order of the file, first path slowest.

    `exclude` is not applied yet: an arm's block and the sweep's are crossed first.

    Raises:
        SpecError: with every malformed entry; `at` is the path of the block.
    """
    problems: list[Problem] = []
    axes: list[list[Compared]] = []
    for name, values in block.items():
        match name:
            case "exclude":
                problems += _exclude_problems(values, at=(*at, name))
            case "zip":
                found = _zip_problems(values, at=(*at, name))
                problems += found
                axes += [] if found else [_zip_rows(values)]
            case path:
                found = list(_list_problems(values, at=(*at, path)))
                problems += found
                axes += [] if found else [[{path: value} for value in values]]
    if problems:
        raise SpecError(problems)
    crossed = (
        {key: v for part in parts for key, v in part.items()} for parts in itertools.product(*axes)
    )
    return list(crossed)


def filter_combinations(
    found: list[Compared], *, block: Mapping[str, Any], at: Path
) -> list[Compared]:
    """Return the combinations that the block's `exclude` leaves.

    Raises:
        SpecError: if an entry names a path that is not compared.
    """
    entries = block.get("exclude", [])
    known = list(dict.fromkeys(path for each in found for path in each))
    problems = [
        Problem((*at, "exclude", index), f"{path} is not compared{nearest(path, known)}")
        for index, entry in enumerate(entries)
        for path in entry
        if path not in known
    ]
    if problems:
        raise SpecError(problems)
    return [each for each in found if not any(_matches(each, entry) for entry in entries)]


def _zip_rows(rows: list[list[Any]]) -> list[Compared]:
    paths, *values = rows
    return [dict(zip(paths, row, strict=True)) for row in values]


def _matches(compared: Compared, entry: Mapping[str, Any]) -> bool:
    return all(path in compared and compared[path] == value for path, value in entry.items())


def _list_problems(values: Any, *, at: Path) -> Iterator[Problem]:
    if not isinstance(values, list):
        yield Problem(at, f"must be a list of values to compare, but got {values!r}")
    elif not values:
        yield Problem(at, "needs at least one value to compare, but the list is empty")


def _zip_problems(rows: Any, *, at: Path) -> list[Problem]:
    form = "must be [[paths], [values], ...]"
    if (
        not isinstance(rows, list)
        or len(rows) < 2
        or not all(isinstance(row, list) for row in rows)
    ):
        return [Problem(at, f"{form}, but got {rows!r}")]
    if not all(isinstance(path, str) for path in rows[0]):
        return [Problem((*at, 0), f"must be a list of paths, but got {rows[0]!r}")]
    return [
        Problem((*at, index), f"needs a value for each of {len(rows[0])} paths, but got {row!r}")
        for index, row in enumerate(rows)
        if len(row) != len(rows[0])
    ]


def _exclude_problems(entries: Any, *, at: Path) -> list[Problem]:
    if not isinstance(entries, list) or not all(isinstance(e, Mapping) and e for e in entries):
        return [Problem(at, f"must be a list of {{path: value}} entries, but got {entries!r}")]
    return []
