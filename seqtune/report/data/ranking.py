"""Which cells differ: every pair of cells compared seed by seed, and the ranking that follows.

The confirm runs of all cells have the same seeds, and a seed fixes the order of the data and, for
one task, the validation strings. Therefore cells are compared by differences of runs with the same
seed.
"""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from statistics import fmean

import pandas as pd

from seqtune.report.naming.labels import plain
from seqtune.stats.estimates import Estimate, mean_of, middle_of
from seqtune.stats.paired_tests import holm, probability_of_improvement, sign_flip_test
from seqtune.stats.power import ALPHA, underpowered
from seqtune.training.measurement import HIGHER_IS_BETTER

MOST_CELLS = 200
"""Compared cells of a group, those with the best means: the number of pairs grows quadratically."""


@dataclass(frozen=True)
class Pair:
    """A comparison of two cells.

    Attributes:
        left: name of one cell; `right` of the other.
        n: number of seeds that both have.
        difference: left minus right over these seeds, with its 95 % interval.
        improvement: probability that a run of left beats one of right (Agarwal et al. 2021).
        p: p value of the sign-flip test.
        adjusted: p after Holm's adjustment over all compared pairs.
    """

    left: str
    right: str
    n: int
    difference: Estimate
    improvement: float
    p: float
    adjusted: float

    @property
    def significant(self) -> bool:
        """Whether the adjusted p value is below alpha."""
        return self.adjusted < ALPHA


def compare(
    values: Mapping[str, Mapping[int, float]],
    *,
    groups: Mapping[str, Hashable],
    higher_is_better: bool,
) -> tuple[Pair, ...]:
    """Compare every pair of cells within each group, among the `MOST_CELLS` best of the group.

    Holm's adjustment counts the pairs of all cells nevertheless, because which cells are best was
    seen in the same runs.

    Args:
        values: scores of runs by cell and seed; at least one run each.
        groups: comparison group of each cell.
        higher_is_better: whether a larger score is better.
    """
    names = [
        pair
        for members in _members(values, groups=groups)
        for pair in combinations(_best(members, values=values, higher=higher_is_better), 2)
    ]
    found = [_differences(values[left], values[right]) for left, right in names]
    p_values = [sign_flip_test(differences) for differences in found]
    adjusted = holm(p_values, unseen=count_pairs(values, groups=groups) - len(names))
    return tuple(
        Pair(
            left=left,
            right=right,
            n=len(differences),
            difference=mean_of(differences),
            improvement=probability_of_improvement(
                [*values[left].values()],
                [*values[right].values()],
                higher_is_better=higher_is_better,
            ),
            p=p,
            adjusted=after,
        )
        for (left, right), differences, p, after in zip(
            names, found, p_values, adjusted, strict=True
        )
    )


def count_pairs(
    values: Mapping[str, Mapping[int, float]], *, groups: Mapping[str, Hashable]
) -> int:
    """Count all pairs of cells within groups, compared or not; the arguments are `compare`'s."""
    return sum(math.comb(len(members), 2) for members in _members(values, groups=groups))


def _members(
    values: Mapping[str, Mapping[int, float]], *, groups: Mapping[str, Hashable]
) -> list[list[str]]:
    """Return the cells of each group, in the order of `values`."""
    found: dict[Hashable, list[str]] = {}
    for name in values:
        found.setdefault(groups[name], []).append(name)
    return list(found.values())


def _best(
    members: list[str], *, values: Mapping[str, Mapping[int, float]], higher: bool
) -> list[str]:
    """Return the members with the best means, at most `MOST_CELLS`, in their order."""
    if len(members) <= MOST_CELLS:
        return members
    means = {name: fmean(values[name].values()) for name in members}
    best = set(sorted(members, key=means.__getitem__, reverse=higher)[:MOST_CELLS])
    return [name for name in members if name in best]


def _differences(left: Mapping[int, float], right: Mapping[int, float]) -> list[float]:
    return [left[seed] - right[seed] for seed in left if seed in right]


@dataclass(frozen=True)
class RankedCell:
    """A cell of the ranking.

    Attributes:
        cell: its name.
        group: comparison group: the task that the cell shares with others.
        rank: 1 for the best cell and for all that do not differ significantly from it, and so on;
            None without a value, and for a cell below the `MOST_CELLS` best, which is not compared.
        estimate: mean over its runs.
        middle: interquartile mean over the same runs.
    """

    cell: str
    group: str
    rank: int | None
    estimate: Estimate
    middle: Estimate


@dataclass(frozen=True, eq=False)
class Ranking:
    """All cells in order, group by group, with the comparisons behind the order.

    Attributes:
        pairs: the compared pairs.
        counted: number of all pairs, which Holm's adjustment counts.
    """

    metric: str
    rows: tuple[RankedCell, ...]
    pairs: tuple[Pair, ...]
    counted: int

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The comparison groups, in the order of the sweep."""
        return tuple(dict.fromkeys(row.group for row in self.rows))

    def ranked(self, group: str) -> tuple[RankedCell, ...]:
        """The cells of a group that have a rank, best first."""
        return tuple(row for row in self.rows if row.group == group and row.rank is not None)

    def best(self, group: str) -> tuple[RankedCell, ...]:
        """The cells of rank 1."""
        return tuple(row for row in self.ranked(group) if row.rank == 1)

    def frame(self) -> pd.DataFrame:
        """Return the contents of ranking.csv: one row per cell, in order."""
        rows = self.rows
        return pd.DataFrame(
            {
                "rank": pd.array([row.rank for row in rows], dtype="Int64"),
                "family": [row.group for row in rows],
                "cell": [row.cell for row in rows],
                "n": [row.estimate.n for row in rows],
                "mean": [row.estimate.mean for row in rows],
                "ci_low": [row.estimate.low for row in rows],
                "ci_high": [row.estimate.high for row in rows],
                "std": [row.estimate.std for row in rows],
                "interquartile_mean": [row.middle.mean for row in rows],
                "interval": pd.array([row.estimate.interval or None for row in rows], "str"),
                "iqm_low": [row.middle.low for row in rows],
                "iqm_high": [row.middle.high for row in rows],
            }
        )

    @property
    def underpowered(self) -> str:
        """Why no pair can be significant, however large its difference; empty if some can."""
        return underpowered(max((pair.n for pair in self.pairs), default=0), pairs=self.counted)


def ranking(
    runs: pd.DataFrame, cells: pd.DataFrame, *, compared: tuple[str, ...], metric: str
) -> Ranking:
    """Rank cells by the mean over their ranked runs.

    Within a group, cells are taken from the best mean to the worst. A cell that does not differ
    significantly from the first one of a rank shares that rank; the next one begins a new rank.

    Args:
        runs: `Results.runs`.
        cells: `Results.cells`.
        compared: the compared paths.
        metric: to rank by.
    """
    higher = metric in HIGHER_IS_BETTER
    names = [str(name) for name in cells["cell"]]
    values = scores(runs, cells=names, metric=metric)
    groups = _comparison_groups(cells, compared=compared)
    known = {name: each for name, each in values.items() if each}
    pairs = compare(known, groups=groups, higher_is_better=higher)
    significant = {frozenset((pair.left, pair.right)) for pair in pairs if pair.significant}
    rows: list[RankedCell] = []
    for group in dict.fromkeys(groups.values()):
        members = {name: values[name] for name in names if groups[name] == group}
        rows += _rank(members, significant=significant, group=str(group), higher=higher)
    counted = count_pairs(known, groups=groups)
    return Ranking(metric=metric, rows=tuple(rows), pairs=pairs, counted=counted)


def _rank(
    values: Mapping[str, Mapping[int, float]],
    *,
    significant: set[frozenset[str]],
    group: str,
    higher: bool,
) -> list[RankedCell]:
    estimates = {name: mean_of([*each.values()]) for name, each in values.items()}
    without = [name for name, each in estimates.items() if math.isnan(each.mean)]
    valued = [name for name in estimates if name not in without]
    ordered = sorted(valued, key=lambda name: estimates[name].mean, reverse=higher)
    ranks: dict[str, int] = {}
    leader, rank = "", 0
    for place, name in enumerate(ordered[:MOST_CELLS], start=1):
        if not leader or frozenset((leader, name)) in significant:
            leader, rank = name, place
        ranks[name] = rank
    return [
        RankedCell(
            cell=name,
            group=group,
            rank=ranks.get(name),
            estimate=estimates[name],
            middle=middle_of([*values[name].values()]),
        )
        for name in (*ordered, *without)
    ]


def scores(runs: pd.DataFrame, *, cells: list[str], metric: str) -> dict[str, dict[int, float]]:
    """Return the last scores of ranked runs, by cell and seed."""
    column = f"{metric}.last"
    found: dict[str, dict[int, float]] = {name: {} for name in cells}
    if column not in runs:
        return found
    for _, run in runs[runs["ranked"] & runs[column].notna()].iterrows():
        found[str(run["cell"])][int(run["seed"])] = float(run[column])
    return found


def _comparison_groups(cells: pd.DataFrame, *, compared: tuple[str, ...]) -> dict[str, Hashable]:
    """Return the compared values of each cell's task; one group where no task has two cells."""
    paths = [path for path in compared if path.split(".")[0] == "task"]
    tasks = {
        str(row["cell"]): ", ".join(f"{path}={plain(row[path])}" for path in paths)
        for _, row in cells.iterrows()
    }
    alone = len(set(tasks.values())) == len(tasks)
    return dict.fromkeys(tasks, "") if alone else dict(tasks)
