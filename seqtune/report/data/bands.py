"""A cell's learning curve: the mean over its runs, and how far they lie apart."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd

from seqtune.report.data import floors
from seqtune.report.data.costs import COSTS, costed
from seqtune.report.data.results import Results


@dataclass(frozen=True)
class Band:
    """The curve of those runs that stand for a cell, at the evaluations that all of them have.

    Attributes:
        cell: as runs and CSV files have it.
        runs: their names; where no confirm run has finished, that of the best search trial alone.
        searched: whether it is that of a search trial.
        epochs: when they were evaluated.
        places: by name in `COSTS`, the mean over the runs at every evaluation; NaN where unknown.
        mean: of the metric; `low` and `high` are the least and the greatest of the runs.
        truths: the probability of reading the true token; NaN where it was not measured.
        floor: the best possible value; None if unknown.
    """

    cell: str
    runs: tuple[str, ...]
    searched: bool
    epochs: list[int]
    places: Mapping[str, list[float]]
    mean: list[float]
    low: list[float]
    high: list[float]
    truths: list[float]
    floor: float | None

    @property
    def n(self) -> int:
        """Runs that the mean is taken over."""
        return len(self.runs)

    @property
    def drawn(self) -> list[int]:
        """The evaluations whose mean is finite, as places in the lists."""
        return [row for row, value in enumerate(self.mean) if math.isfinite(value)]


def bands(results: Results, *, metric: str) -> list[Band]:
    """One for every cell of `Results.best` whose runs have the metric, in the order of the sweep."""
    runs = results.runs
    # Of thousands of trials only a few stand for their cells.
    names = {*runs["run"][runs["ranked"]], *results.best["run"]}
    known = costed(results, metric=metric, names=names)
    points = {str(run): each for run, each in known.groupby("run")}
    truths = _truths(results, names=names)
    ranked = runs[runs["ranked"] & runs["run"].isin(list(points))].groupby("cell")["run"]
    stand = {str(cell): [str(name) for name in names] for cell, names in ranked}
    found: list[Band] = []
    for _, best in results.best.iterrows():
        names = stand.get(str(best["cell"]), [str(best["run"])])
        frame = pd.concat([points[name] for name in names if name in points] or [pd.DataFrame()])
        if len(frame):
            found.append(_band(best, frame=frame, names=names, metric=metric, truths=truths))
    return found


def _band(
    best: pd.Series,
    *,
    frame: pd.DataFrame,
    names: list[str],
    metric: str,
    truths: Mapping[tuple[str, int], float],
) -> Band:
    shared = frame.groupby("epoch").filter(lambda each: len(each) == len(names)).groupby("epoch")
    means = shared[[*COSTS, "value"]].mean()
    epochs = [int(epoch) for epoch in means.index]
    return Band(
        cell=str(best["cell"]),
        runs=tuple(names),
        searched=best["phase"] == "search",
        epochs=epochs,
        places={name: means[name].tolist() for name in COSTS},
        mean=means["value"].tolist(),
        low=shared["value"].min().tolist(),
        high=shared["value"].max().tolist(),
        # Runs of one cell have one schedule.
        truths=[truths.get((names[0], epoch), float("nan")) for epoch in epochs],
        floor=floors.line(best, metric=metric),
    )


def _truths(results: Results, *, names: Collection[str]) -> dict[tuple[str, int], float]:
    """By run and epoch."""
    curves = results.curves
    mine = curves[(curves["metric"] == "forcing") & curves["run"].isin(list(names))]
    rows = zip(mine["run"], mine["epoch"], mine["value"], strict=True)
    return {(str(run), int(epoch)): float(value) for run, epoch, value in rows}
