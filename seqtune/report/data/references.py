"""References: scores of named predictors on the validation data, for when no floor is known."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from seqtune.report.data.frames import REFERENCE
from seqtune.report.naming.labels import is_missing


def of_run(run: "pd.Series[Any]") -> dict[str, float]:
    """Return the references of a row of `Results.runs`: name -> nats per scored token."""
    return {
        str(column).removeprefix(REFERENCE): float(value)
        for column, value in run.items()
        if str(column).startswith(REFERENCE) and not is_missing(value)
    }


def alike(first: Mapping[str, float], second: Mapping[str, float]) -> bool:
    """Return whether both are the same references on the same strings, up to rounding."""
    # Machines differ in the last digits.
    return first.keys() == second.keys() and all(
        math.isclose(value, second[name], rel_tol=1e-6) for name, value in first.items()
    )


def by_cell(runs: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return the references of each cell's first run that has any, without cells that have none."""
    found: dict[str, dict[str, float]] = {}
    named = [str(column) for column in runs if str(column).startswith(REFERENCE)]
    for _, run in runs[["cell", *named]].dropna(subset=named, how="all").iterrows():
        if run["cell"] not in found and (references := of_run(run)):
            found[run["cell"]] = references
    return found


def group(given: Sequence[Mapping[str, float]]) -> list[int]:
    """Number references so that those that are alike get the same number, from 0 in their order."""
    distinct: list[Mapping[str, float]] = []
    groups: list[int] = []
    for each in given:
        places = (place for place, other in enumerate(distinct) if alike(each, other))
        groups.append(next(places, len(distinct)))
        if groups[-1] == len(distinct):
            distinct.append(each)
    return groups


def common(given: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    """Return the references that all share; none if some differ."""
    first = next(iter(given), {})
    return first if all(alike(first, each) for each in given) else {}
