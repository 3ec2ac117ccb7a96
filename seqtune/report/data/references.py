"""References: what named predictors score on the validation data, where no floor is known.

On a learning curve they are dotted lines in greys, the darker the better, each named at its right end.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from seqtune.report import labels
from seqtune.report.data.frames import REFERENCE
from seqtune.report.data.values import is_missing
from seqtune.report.figures import drawing

LIGHT, DARK = 0.62, 0.3
"""Greys of the worst and of the best reference, from black 0 to white 1."""
DOTTED = (0, (1, 2))


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


def draw(axes: Axes, references: Mapping[str, float]) -> None:
    """Draws the lines; they get their names from `ends`, once the axes' limits are final."""
    for _, value, colour in _coloured(axes, references):
        axes.axhline(value, color=colour, lw=1.1, ls=DOTTED, zorder=1)


def ends(axes: Axes, references: Mapping[str, float]) -> list[drawing.End]:
    """The lines' names at their right ends."""
    right = float(axes.get_xlim()[1])
    return [
        drawing.End(right, value, text=short(name), colour=colour)
        for name, value, colour in _coloured(axes, references)
    ]


def short(name: str) -> str:
    """A name that fits beside a chart."""
    return labels.clipped(name, longest=28)


def _coloured(axes: Axes, references: Mapping[str, float]) -> Iterator[tuple[str, float, str]]:
    """Name, value and grey of every reference that the scale has a place for, the worst first."""
    step = (LIGHT - DARK) / max(1, len(references) - 1)
    worst_first = sorted(references.items(), key=lambda each: -each[1])
    for rank, (name, value) in enumerate(worst_first):
        if value > 0 or axes.get_yscale() != "log":
            yield name, value, f"{LIGHT - step * rank:.3f}"
