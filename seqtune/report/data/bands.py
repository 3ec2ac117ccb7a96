"""Mean learning curves of cells, with the range of their runs."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd

from seqtune.report.data import floors
from seqtune.report.data.costs import COSTS, cost_curves
from seqtune.report.data.results import Results


@dataclass(frozen=True)
class Band:
    """The mean curve of a cell's ranked runs, at the evaluations that all of them have.

    Attributes:
        cell: its key in runs and CSV files.
        runs: names of the runs; the best search trial alone where no confirm run has finished.
        searched: whether it is the curve of a search trial.
        epochs: of the evaluations.
        places: by key of `COSTS`, the mean over the runs at every evaluation; NaN where unknown.
        mean: of the metric; `low` and `high` are the minimum and maximum of the runs.
        truths: teacher-forcing rate; NaN where it was not measured.
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
        """Number of runs."""
        return len(self.runs)

    @property
    def drawn(self) -> list[int]:
        """Indices of the evaluations whose mean is finite."""
        return [row for row, value in enumerate(self.mean) if math.isfinite(value)]


def bands(results: Results, *, metric: str) -> list[Band]:
    """Return a band for every cell of `Results.best` whose runs have the metric, in its order."""
    runs = results.runs
    # Only a few of thousands of trials are drawn, so compute nothing for the others.
    names = {*runs["run"][runs["ranked"]], *results.best["run"]}
    curves = cost_curves(results, metric=metric, names=names)
    points = {str(run): each for run, each in curves.groupby("run")}
    rates = _forcing_rates(results, names=names)
    ranked = runs[runs["ranked"] & runs["run"].isin(list(points))].groupby("cell")["run"]
    of_cell = {str(cell): [str(name) for name in names] for cell, names in ranked}
    found: list[Band] = []
    for _, best in results.best.iterrows():
        names = of_cell.get(str(best["cell"]), [str(best["run"])])
        frame = pd.concat([points[name] for name in names if name in points] or [pd.DataFrame()])
        if len(frame):
            found.append(_band(best, frame=frame, names=names, metric=metric, rates=rates))
    return found


def _band(
    best: pd.Series,
    *,
    frame: pd.DataFrame,
    names: list[str],
    metric: str,
    rates: Mapping[tuple[str, int], float],
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
        # All runs of a cell have the same schedule.
        truths=[rates.get((names[0], epoch), float("nan")) for epoch in epochs],
        floor=floors.line(best, metric=metric),
    )


def _forcing_rates(results: Results, *, names: Collection[str]) -> dict[tuple[str, int], float]:
    """Return teacher-forcing rates by run and epoch."""
    curves = results.curves
    mine = curves[(curves["metric"] == "forcing") & curves["run"].isin(list(names))]
    rows = zip(mine["run"], mine["epoch"], mine["value"], strict=True)
    return {(str(run), int(epoch)): float(value) for run, epoch, value in rows}
