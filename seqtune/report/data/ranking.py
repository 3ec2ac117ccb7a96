"""The order of the cells, as far as their runs can tell them apart."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from seqtune.report.data.pairs import MOST_CELLS, Pair, compare, pairs_of
from seqtune.report.data.values import plain
from seqtune.stats.estimates import Estimate, mean_of, middle_of
from seqtune.stats.power import underpowered
from seqtune.training.measurement import HIGHER_IS_BETTER


@dataclass(frozen=True)
class Ranked:
    """A cell in its place.

    Attributes:
        cell: its name.
        family: what it is compared within: its task.
        rank: 1 for the best and for all that cannot be told from it, and so on; None without a value, and where
            the cell is not compared, for there are `pairs.MOST_CELLS` better ones.
        estimate: over its runs.
        middle: of the same runs, their interquartile mean.
    """

    cell: str
    family: str
    rank: int | None
    estimate: Estimate
    middle: Estimate


@dataclass(frozen=True, eq=False)
class Ranking:
    """All cells in order, family by family, and what the order rests on.

    Attributes:
        pairs: those that are compared.
        counted: how many there are, which Holm's adjustment counts.
    """

    metric: str
    rows: tuple[Ranked, ...]
    pairs: tuple[Pair, ...]
    counted: int

    @cached_property
    def families(self) -> tuple[str, ...]:
        """What cells are compared within, in the order of the sweep."""
        return tuple(dict.fromkeys(row.family for row in self.rows))

    def best(self, family: str) -> tuple[Ranked, ...]:
        """The cells of rank 1."""
        return tuple(row for row in self.rows if row.family == family and row.rank == 1)

    def frame(self) -> pd.DataFrame:
        """What ranking.csv holds: a row a cell, in order."""
        return pd.DataFrame(
            {
                "rank": pd.array([row.rank for row in self.rows], dtype="Int64"),
                "family": [row.family for row in self.rows],
                "cell": [row.cell for row in self.rows],
                "n": [row.estimate.n for row in self.rows],
                "mean": [row.estimate.mean for row in self.rows],
                "ci_low": [row.estimate.low for row in self.rows],
                "ci_high": [row.estimate.high for row in self.rows],
                "std": [row.estimate.std for row in self.rows],
                "interquartile_mean": [row.middle.mean for row in self.rows],
                "interval": pd.array([row.estimate.interval or None for row in self.rows], "str"),
                "iqm_low": [row.middle.low for row in self.rows],
                "iqm_high": [row.middle.high for row in self.rows],
            }
        )

    @property
    def underpowered(self) -> str:
        """Why no two cells can be told apart, however they differ; empty if some can."""
        return underpowered(max((pair.n for pair in self.pairs), default=0), pairs=self.counted)


def ranking(
    runs: pd.DataFrame, cells: pd.DataFrame, *, compared: tuple[str, ...], metric: str
) -> Ranking:
    """Ranks cells by the mean over those runs that stand for them.

    Within a family, the cells are taken from the best mean to the worst; one that cannot be told from the
    first of a rank shares it, and the next begins a rank of its own.

    Args:
        runs: as `Results.runs`.
        cells: as `Results.cells`.
        compared: paths whose every combination is a cell.
        metric: to rank by.
    """
    higher = metric in HIGHER_IS_BETTER
    names = [str(name) for name in cells["cell"]]
    values = scores(runs, cells=names, metric=metric)
    families = _families(cells, compared=compared)
    known = {name: each for name, each in values.items() if each}
    pairs = compare(known, families=families, higher_is_better=higher)
    decided = {frozenset((pair.left, pair.right)) for pair in pairs if pair.decided}
    rows: list[Ranked] = []
    for family in dict.fromkeys(families.values()):
        members = [name for name in names if families[name] == family]
        rows += _placed(members, values=values, decided=decided, family=str(family), higher=higher)
    counted = pairs_of(known, families=families)
    return Ranking(metric=metric, rows=tuple(rows), pairs=pairs, counted=counted)


def _placed(
    members: list[str],
    *,
    values: Mapping[str, Mapping[int, float]],
    decided: set[frozenset[str]],
    family: str,
    higher: bool,
) -> list[Ranked]:
    estimates = {name: mean_of([*values[name].values()]) for name in members}
    valued = [name for name in members if not math.isnan(estimates[name].mean)]
    without = [name for name in members if math.isnan(estimates[name].mean)]
    ordered = sorted(valued, key=lambda name: estimates[name].mean, reverse=higher)
    ranks: dict[str, int] = {}
    leader, rank = "", 0
    for place, name in enumerate(ordered[:MOST_CELLS], start=1):
        if not leader or frozenset((leader, name)) in decided:
            leader, rank = name, place
        ranks[name] = rank
    return [
        Ranked(
            cell=name,
            family=family,
            rank=ranks.get(name),
            estimate=estimates[name],
            middle=middle_of([*values[name].values()]),
        )
        for name in (*ordered, *without)
    ]


def scores(runs: pd.DataFrame, *, cells: list[str], metric: str) -> dict[str, dict[int, float]]:
    """By cell and seed, what the runs that stand for it scored last."""
    column = f"{metric}.last"
    found: dict[str, dict[int, float]] = {name: {} for name in cells}
    if column not in runs:
        return found
    for _, run in runs[runs["ranked"] & runs[column].notna()].iterrows():
        found[str(run["cell"])][int(run["seed"])] = float(run[column])
    return found


def _families(cells: pd.DataFrame, *, compared: tuple[str, ...]) -> dict[str, Hashable]:
    """By cell, the compared values of its task; one family where no task has two cells."""
    paths = [path for path in compared if path.split(".")[0] == "task"]
    of = {
        str(row["cell"]): ", ".join(f"{path}={plain(row[path])}" for path in paths)
        for _, row in cells.iterrows()
    }
    alone = len(set(of.values())) == len(of)
    return dict.fromkeys(of, "") if alone else dict(of)
