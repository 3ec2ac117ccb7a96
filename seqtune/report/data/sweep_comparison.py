"""Two sweeps side by side: the cells that both have, and what else differs between them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqtune.config.yaml_file import FileError
from seqtune.report.data.frames import leaves
from seqtune.report.data.pairs import Pair, compare
from seqtune.report.data.ranking import scores
from seqtune.report.data.results import Results, load
from seqtune.runs.directory import RunDirectory
from seqtune.stats.estimates import Estimate, mean_of
from seqtune.training.measurement import HIGHER_IS_BETTER


@dataclass(frozen=True)
class Shared:
    """A cell of both sweeps.

    Attributes:
        left: over the first sweep's runs; `right` over the other's.
        pair: first minus second, over runs with the same seed; None if there are none.
    """

    cell: str
    left: Estimate
    right: Estimate
    pair: Pair | None


@dataclass(frozen=True)
class Difference:
    """Something that is not the same in both."""

    what: str
    left: str
    right: str


@dataclass(frozen=True)
class SideBySide:
    """Two sweeps, compared.

    Attributes:
        metric: by which both are judged.
        cells: those that both have, in the order of the first.
        only: the cells of the first alone, and of the second alone.
        differences: settings, versions and data that are not the same.
    """

    metric: str
    cells: tuple[Shared, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]
    differences: tuple[Difference, ...]

    def to_data(self) -> dict[str, Any]:
        """For a machine to read."""
        return {
            "metric": self.metric,
            "cells": [_cell_data(each) for each in self.cells],
            "only_left": list(self.only[0]),
            "only_right": list(self.only[1]),
            "differences": [vars(each) for each in self.differences],
        }


def side_by_side(left: Path, right: Path) -> SideBySide:
    """Reads two sweeps and compares them.

    Raises:
        FileError: if one holds no runs, or they are judged by different metrics.
    """
    both = load(left), load(right)
    metrics = [each.metric for each in both]
    if metrics[0] != metrics[1]:
        raise FileError(
            f"{right}: is judged by {metrics[1]}, but {left} by {metrics[0]}; sweeps are compared by one metric"
        )
    names = [[str(name) for name in each.cells["cell"]] for each in both]
    shared = [name for name in names[0] if name in names[1]]
    found = [
        scores(each.runs, cells=names[side], metric=metrics[0]) for side, each in enumerate(both)
    ]
    pairs = _pairs(found[0], found[1], shared=shared, metric=metrics[0])
    return SideBySide(
        metric=metrics[0],
        cells=tuple(
            Shared(
                cell=name,
                left=mean_of([*found[0][name].values()]),
                right=mean_of([*found[1][name].values()]),
                pair=pairs.get(name),
            )
            for name in shared
        ),
        only=(
            tuple(name for name in names[0] if name not in names[1]),
            tuple(name for name in names[1] if name not in names[0]),
        ),
        differences=(
            *_settings(left, right, both=both, shared=shared),
            *_origins(both),
        ),
    )


def _pairs(
    left: Mapping[str, Mapping[int, float]],
    right: Mapping[str, Mapping[int, float]],
    *,
    shared: list[str],
    metric: str,
) -> dict[str, Pair]:
    """Cell by cell, with Holm over all shared cells."""
    both = [name for name in shared if set(left[name]) & set(right[name])]
    values = {
        (side, name): each[name]
        for name in both
        for side, each in (("left", left), ("right", right))
    }
    found = compare(
        {"\0".join(key): each for key, each in values.items()},
        families={"\0".join(key): key[1] for key in values},
        higher_is_better=metric in HIGHER_IS_BETTER,
    )
    return dict(zip(both, found, strict=True))


def _settings(
    left: Path, right: Path, *, both: tuple[Results, Results], shared: list[str]
) -> list[Difference]:
    """Fixed settings that differ in a shared cell; tuned values and seeds differ by their nature."""
    found: dict[Difference, None] = {}
    free = {"seed", *both[0].tuned, *both[1].tuned}
    for cell in shared:
        specs = [
            _spec(root, results, cell=cell)
            for root, results in zip((left, right), both, strict=True)
        ]
        for path in dict.fromkeys((*specs[0], *specs[1])):
            values = [spec.get(path) for spec in specs]
            within = any(path == each or path.startswith(f"{each}.") for each in free)
            if values[0] != values[1] and not within:
                found[Difference(path, _text(values[0]), _text(values[1]))] = None
    return list(found)


def _spec(root: Path, results: Results, *, cell: str) -> dict[str, Any]:
    runs = results.runs
    directory = runs[runs["cell"] == cell]["directory"].iloc[0]
    return leaves(RunDirectory(root / str(directory)).info()["spec"])


def _origins(both: tuple[Results, Results]) -> list[Difference]:
    found = []
    for what in ("data", "versions", "commits", "devices"):
        texts = ["; ".join(getattr(each.provenance, what)) for each in both]
        if texts[0] != texts[1]:
            found.append(Difference(what, *texts))
    return found


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _cell_data(shared: Shared) -> dict[str, Any]:
    data: dict[str, Any] = {
        "cell": shared.cell,
        "left": _estimate_data(shared.left),
        "right": _estimate_data(shared.right),
    }
    if shared.pair is not None:
        data["difference"] = {
            **_estimate_data(shared.pair.difference),
            "improvement": shared.pair.improvement,
            "p": shared.pair.p,
            "p_holm": shared.pair.adjusted,
        }
    return data


def _estimate_data(estimate: Estimate) -> dict[str, float | int | str | None]:
    """JSON knows no NaN."""
    found = {**vars(estimate), "interval": estimate.interval or None}
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in found.items()
    }
