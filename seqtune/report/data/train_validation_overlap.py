"""Train-validation overlap: validation strings that were trained on, and runs that beat the floor.

A run's excess is the mean of log(p / q) on strings drawn from the true distribution p, where q is
the model. By chance it may be below 0. But the product of q / p over tokens is a nonnegative
martingale under p: whatever the model, it reaches a factor R with a probability of at most 1 / R if
the model does not know the strings. Strings with a total excess of -ln(R) nats are that improbable,
without any assumption on the model. Every evaluation of every run is one more test, so R is the
number of evaluations divided by `CHANCE`.

Source: Ville 1939 (the inequality); Bonferroni for the number of tests.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seqtune.report.data.results import Results

SEEN = "valid/seen.last"
CHANCE = 1e-3
"""Bound on the probability that a report on honest runs names any of them."""
ROUNDING = 1e-5
"""Nats per token by which single precision may underestimate a loss. Errors of the logits do not
count: whatever they are, they are the logits of some distribution."""


def seen_shares(results: Results) -> dict[str, float]:
    """Return each cell's share of validation strings that were trained on.

    It is the mean of the cell's ranked runs, or of its other finished runs where none is ranked.
    """
    runs = results.runs
    if SEEN not in runs:
        return {}
    runs = runs[(runs["state"] == "finished") & runs[SEEN].notna()]
    found: dict[str, float] = {}
    for cell in results.cells["cell"]:
        mine = runs[runs["cell"] == cell]
        values = (mine[mine["ranked"]] if mine["ranked"].any() else mine)[SEEN].tolist()
        if values:
            found[cell] = math.fsum(values) / len(values)
    return found


@dataclass(frozen=True)
class BelowFloor:
    """A run at the evaluation where it is furthest below the floor.

    Attributes:
        run: its name.
        epoch: of the evaluation.
        excess: nats per token.
        nats: excess of all strings together; below 0.
        strings: number of strings.
        allowed: the lowest total excess that chance and rounding explain.
    """

    run: str
    epoch: int
    excess: float
    nats: float
    strings: int
    allowed: float


@dataclass(frozen=True)
class FloorCheck:
    """Result of checking all runs of known floor.

    Attributes:
        runs: number of runs that could be checked.
        evaluations: number of their evaluations.
        found: suspicious runs, in the order of the sweep.
    """

    runs: int
    evaluations: int
    found: tuple[BelowFloor, ...]


def check_floors(results: Results) -> FloorCheck:
    """Check every evaluation of every run, whatever its state."""
    curves = results.curves
    wide = [_column(curves, metric=name) for name in ("valid/excess", "valid/excess_string")]
    frame = pd.concat(wide, axis=1, keys=["excess", "string"]).dropna().reset_index()
    frame = frame.assign(strings=frame["run"].map(dict(results.strings)).astype("float64")).dropna()
    count = len(frame)
    nats = frame["string"] * frame["strings"]
    # The same sum over tokens and over strings, so their ratio is the number of tokens.
    tokens = np.where(frame["excess"] != 0, nats / frame["excess"].where(frame["excess"] != 0), 0.0)
    allowed = -(math.log(max(count, 1) / CHANCE) + ROUNDING * tokens)
    frame = frame.assign(nats=nats, allowed=allowed)
    below = frame[frame["nats"] < frame["allowed"]].sort_values("nats", kind="stable")
    worst = below.drop_duplicates("run").set_index("run")
    return FloorCheck(
        runs=int(frame["run"].nunique()),
        evaluations=count,
        found=tuple(
            _below_floor(str(run), row=worst.loc[run])
            for run in results.runs["run"]
            if run in worst.index
        ),
    )


def _column(curves: pd.DataFrame, *, metric: str) -> "pd.Series[float]":
    """Return a metric's values by run and epoch."""
    mine = curves[curves["metric"] == metric]
    return mine.assign(run=mine["run"].astype("str")).set_index(["run", "epoch"])["value"]


def _below_floor(run: str, *, row: "pd.Series[float]") -> BelowFloor:
    return BelowFloor(
        run=run,
        epoch=int(row["epoch"]),
        excess=float(row["excess"]),
        nats=float(row["nats"]),
        strings=int(row["strings"]),
        allowed=float(row["allowed"]),
    )
