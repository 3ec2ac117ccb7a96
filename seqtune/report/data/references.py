"""References: what named predictors score on the validation data, where no floor is known."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from seqtune.report.data.frames import REFERENCE
from seqtune.report.data.values import is_missing


def of_run(run: "pd.Series[Any]") -> dict[str, float]:
    """Name -> nats a scored token, from a row of `Results.runs`."""
    return {
        str(column).removeprefix(REFERENCE): float(value)
        for column, value in run.items()
        if str(column).startswith(REFERENCE) and not is_missing(value)
    }


def alike(first: Mapping[str, float], second: Mapping[str, float]) -> bool:
    """Whether both are the same references on the same strings, whatever machine they were taken on."""
    return first.keys() == second.keys() and all(
        math.isclose(value, second[name], rel_tol=1e-6) for name, value in first.items()
    )


def by_cell(runs: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Cell -> the references of its first run that has any; without the cells that have none."""
    found: dict[str, dict[str, float]] = {}
    named = [str(column) for column in runs if str(column).startswith(REFERENCE)]
    for _, run in runs[["cell", *named]].dropna(subset=named, how="all").iterrows():
        if run["cell"] not in found and (references := of_run(run)):
            found[run["cell"]] = references
    return found


def grouped(given: Sequence[Mapping[str, float]]) -> list[int]:
    """Numbers that are equal where the references are alike, in the order of their first places."""
    distinct: list[Mapping[str, float]] = []
    groups: list[int] = []
    for each in given:
        places = (place for place, other in enumerate(distinct) if alike(each, other))
        groups.append(next(places, len(distinct)))
        if groups[-1] == len(distinct):
            distinct.append(each)
    return groups


def common(given: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    """The references that a panel's lines share; none if those of one are others."""
    first = next(iter(given), {})
    return first if all(alike(first, each) for each in given) else {}
