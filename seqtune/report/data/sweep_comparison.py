"""Comparison of two sweeps: the cells that both have, and what else differs between them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqtune.config.yaml_file import FileError
from seqtune.report.data.frames import leaves
from seqtune.report.data.ranking import Pair, compare, scores
from seqtune.report.data.results import Results, load
from seqtune.runs.directory import RunDirectory
from seqtune.stats.estimates import Estimate, mean_of
from seqtune.training.measurement import HIGHER_IS_BETTER


@dataclass(frozen=True)
class SharedCell:
    """A cell of both sweeps.

    Attributes:
        left: estimate over the first sweep's runs; `right` over the second's.
        pair: first minus second, over runs with the same seed; None if there are none.
    """

    cell: str
    left: Estimate
    right: Estimate
    pair: Pair | None


@dataclass(frozen=True)
class Difference:
    """A setting, version or data hash that differs."""

    what: str
    left: str
    right: str


@dataclass(frozen=True)
class SweepComparison:
    """The comparison of two sweeps.

    Attributes:
        metric: of both sweeps.
        cells: those that both have, in the order of the first.
        only: cells of the first sweep alone, and of the second alone.
        differences: settings, versions and data that differ.
    """

    metric: str
    cells: tuple[SharedCell, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]
    differences: tuple[Difference, ...]

    def to_data(self) -> dict[str, Any]:
        """Return the comparison as plain data for JSON."""
        return {
            "metric": self.metric,
            "cells": [_cell_data(each) for each in self.cells],
            "only_left": list(self.only[0]),
            "only_right": list(self.only[1]),
            "differences": [vars(each) for each in self.differences],
        }


def compare_sweeps(left: Path, right: Path) -> SweepComparison:
    """Read two sweeps and compare them.

    Raises:
        FileError: if one has no runs, or their metrics differ.
    """
    both = load(left), load(right)
    metrics = [each.metric for each in both]
    if metrics[0] != metrics[1]:
        raise FileError(
            f"{right}: has the metric {metrics[1]}, but {left} has {metrics[0]}; compare sweeps "
            "that have the same metric"
        )
    names = [[str(name) for name in each.cells["cell"]] for each in both]
    shared = [name for name in names[0] if name in names[1]]
    found = [
        scores(each.runs, cells=names[side], metric=metrics[0]) for side, each in enumerate(both)
    ]
    pairs = _pairs(found[0], found[1], shared=shared, metric=metrics[0])
    return SweepComparison(
        metric=metrics[0],
        cells=tuple(
            SharedCell(
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
    """Compare each cell with its counterpart, with Holm's adjustment over all shared cells."""
    both = [name for name in shared if set(left[name]) & set(right[name])]
    values = {
        (side, name): each[name]
        for name in both
        for side, each in (("left", left), ("right", right))
    }
    found = compare(
        {"\0".join(key): each for key, each in values.items()},
        groups={"\0".join(key): key[1] for key in values},
        higher_is_better=metric in HIGHER_IS_BETTER,
    )
    return dict(zip(both, found, strict=True))


def _settings(
    left: Path, right: Path, *, both: tuple[Results, Results], shared: list[str]
) -> list[Difference]:
    """Return fixed settings that differ in a shared cell; tuned values and seeds always differ."""
    found: dict[Difference, None] = {}
    varying = {"seed", *both[0].tuned, *both[1].tuned}
    for cell in shared:
        specs = [
            _spec(root, results, cell=cell)
            for root, results in zip((left, right), both, strict=True)
        ]
        for path in dict.fromkeys((*specs[0], *specs[1])):
            values = [spec.get(path) for spec in specs]
            within = any(path == each or path.startswith(f"{each}.") for each in varying)
            if values[0] != values[1] and not within:
                texts = ["" if value is None else str(value) for value in values]
                found[Difference(path, *texts)] = None
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


def _cell_data(shared: SharedCell) -> dict[str, Any]:
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
    # JSON has no NaN.
    found = {**vars(estimate), "interval": estimate.interval or None}
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in found.items()
    }
