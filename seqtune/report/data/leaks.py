"""Runs that know their validation strings: better on them than the language itself, beyond what chance allows.

A run's excess is the log of p / q on the very strings that were drawn from the true distribution p, q being
the model. So it may be below 0 by chance. But q / p, multiplied up token by token, is a fair game against p:
whatever the model, it comes to a factor of R with a probability of at most 1 / R if the model did not know
the strings. A run whose strings have together -ln(R) nats of excess is thus that improbable, exactly and
without any assumption on the model. Every evaluation of every run is one more occasion, so R is the number
of evaluations divided by `CHANCE`.

Source: Ville 1939 (the inequality); Bonferroni for the number of occasions.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seqtune.report.data.results import Results

CHANCE = 1e-3
"""How probable it is at most that a report whose runs know nothing names any of them."""
ROUNDING = 1e-5
"""Nats a token that single precision may make a loss too small; the logits that it is taken of hold no error,
since whatever they are, they are of some distribution."""


@dataclass(frozen=True)
class Leak:
    """A run at its most suspicious evaluation.

    Attributes:
        run: its name.
        epoch: of the evaluation.
        excess: nats a token.
        nats: excess of all strings together; below 0.
        strings: how many these are.
        allowed: the lowest excess of all strings that chance and rounding explain.
    """

    run: str
    epoch: int
    excess: float
    nats: float
    strings: int
    allowed: float


@dataclass(frozen=True)
class Leaks:
    """What was looked at, and what was found.

    Attributes:
        runs: how many could be checked: their floor is known.
        evaluations: of these.
        found: the suspicious ones, in the order of the sweep.
    """

    runs: int
    evaluations: int
    found: tuple[Leak, ...]


def leaks(results: Results) -> Leaks:
    """Checks every evaluation of every run, whatever became of it."""
    curves = results.curves
    wide = [_column(curves, metric=name) for name in ("valid/excess", "valid/excess_string")]
    frame = pd.concat(wide, axis=1, keys=["excess", "string"]).dropna().reset_index()
    frame = frame.assign(strings=frame["run"].map(dict(results.strings)).astype("float64")).dropna()
    count = len(frame)
    nats = frame["string"] * frame["strings"]
    # Both are the same sum, over tokens and over strings.
    tokens = np.where(frame["excess"] != 0, nats / frame["excess"].where(frame["excess"] != 0), 0.0)
    allowed = -(math.log(max(count, 1) / CHANCE) + ROUNDING * tokens)
    frame = frame.assign(nats=nats, allowed=allowed)
    below = frame[frame["nats"] < frame["allowed"]].sort_values("nats", kind="stable")
    worst = below.drop_duplicates("run").set_index("run")
    return Leaks(
        runs=int(frame["run"].nunique()),
        evaluations=count,
        found=tuple(
            _leak(str(run), row=worst.loc[run]) for run in results.runs["run"] if run in worst.index
        ),
    )


def _column(curves: pd.DataFrame, *, metric: str) -> "pd.Series[float]":
    """By run and epoch."""
    mine = curves[curves["metric"] == metric]
    return mine.assign(run=mine["run"].astype("str")).set_index(["run", "epoch"])["value"]


def _leak(run: str, *, row: "pd.Series[float]") -> Leak:
    return Leak(
        run=run,
        epoch=int(row["epoch"]),
        excess=float(row["excess"]),
        nats=float(row["nats"]),
        strings=int(row["strings"]),
        allowed=float(row["allowed"]),
    )
