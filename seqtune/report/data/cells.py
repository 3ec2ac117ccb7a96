"""A row a cell: what its confirm runs say, what its search chose, and what became of every run."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from seqtune.report.data.frames import frame
from seqtune.report.data.runs import RecordedRun, SweepPosition, compared_paths, tuned_paths
from seqtune.report.data.values import plain
from seqtune.runs.directory import STATES
from seqtune.stats.estimates import mean_of, middle_of
from seqtune.training.measurement import FREE, HIGHER_IS_BETTER, METRICS

ESTIMATED = tuple(
    name for name in METRICS if name in FREE or name in ("valid/loss", "generate/valid")
)
"""Besides the sweep's own metric: what tells a model that reads the truth from one that reads itself."""
SHARES = {state: f"share_{state}" for state in STATES}
"""State -> the column of its share of a cell's runs."""


def cells_frame(
    runs: pd.DataFrame, *, recorded: Sequence[RecordedRun], metric: str
) -> pd.DataFrame:
    """A row a cell, in the order of `runs`. Only finished runs are ranked; every state is counted.

    A cell's value is the mean of the metric's last value over its finished confirm runs. A run that was
    made outside any sweep was selected from nothing: it stands for its cell as a confirm run does.
    The same runs' means of other scores have the columns `free/loss.n`, `free/loss.mean`,
    `free/loss.ci_low` and `free/loss.ci_high`, and so on for every metric of `ESTIMATED` that any run has.
    `interval` names the method of every interval of the row that has as many runs: t or bootstrap.
    `share_finished` and so on are shares of all runs of the cell, search trials and confirm runs.

    Args:
        runs: the frame of `runs_frame`.
        recorded: the same runs, for their places in the sweep.
        metric: what the sweep is judged by.
    """
    places = {run.name: run.place for run in recorded}
    compared, tuned = compared_paths(recorded), tuned_paths(recorded)
    measured = [name for name in ESTIMATED if f"{name}.last" in runs]
    rows = [
        _row(group, places=places, metric=metric, measured=measured)
        for _, group in runs.groupby("cell", sort=False)
    ]
    columns = (
        *("arm", "cell", *compared, "n", "mean", "ci_low", "ci_high", "std", "best_trial_value"),
        *(f"best.{path}" for path in tuned),
        *(*STATES, "search_trials", "parameters", "flops", "seconds", "floor.loss"),
        *(column for name in measured for column in estimate_columns(name)),
        *("interval", "interquartile_mean", "iqm_low", "iqm_high", *SHARES.values()),
    )
    return frame(rows, columns=columns)


def ranked(
    runs: pd.DataFrame, *, recorded: Sequence[RecordedRun], metric: str
) -> "pd.Series[bool]":
    """Which runs stand for their cells: the finished ones that confirm the search's winner.

    A sweep that was given more trials may have a new winner. The runs that confirmed the old one
    stay and are counted, but they are of another setting. A run of no sweep stands for itself.
    """
    tuned = {run.name: run.place.tuned for run in recorded}
    finished = runs[runs["state"] == "finished"]
    winners: dict[str, Any] = {}
    for cell, group in finished[finished["phase"] == "search"].groupby("cell"):
        for name in _best(group, metric=metric)["run"]:
            winners[str(cell)] = tuned[name]
    flags = {
        run.name: run.info["state"] == "finished"
        and run.place.phase != "search"
        and run.place.tuned == winners.get(run.place.cell, run.place.tuned)
        for run in recorded
    }
    return runs["run"].map(flags).astype(bool)


def estimate_columns(metric: str) -> tuple[str, str, str, str]:
    """The columns of a metric's number of runs, mean, and 95 % interval."""
    return f"{metric}.n", f"{metric}.mean", f"{metric}.ci_low", f"{metric}.ci_high"


def _row(
    group: pd.DataFrame,
    *,
    places: Mapping[str, SweepPosition],
    metric: str,
    measured: Iterable[str],
) -> dict[str, Any]:
    place = places[group["run"].iloc[0]]
    finished = group[group["state"] == "finished"]
    selected = _best(finished[finished["phase"] == "search"], metric=metric)
    standing = group[group["ranked"]]
    ranked = _scored(standing, metric=metric)
    values = ranked["score"].tolist()
    estimate, middle = mean_of(values), middle_of(values)
    counts = {state: int((group["state"] == state).sum()) for state in STATES}
    # Those whose value is shown: the confirm runs, else the chosen trial, else whatever there is.
    shown = next(each for each in (ranked, selected, group) if len(each))
    settings = next((each for each in (selected, ranked) if len(each)), None)
    tuned = {} if settings is None else places[settings["run"].iloc[0]].tuned or {}
    return {
        "arm": place.arm,
        "cell": place.cell,
        **{path: plain(value) for path, value in (place.compared or {}).items()},
        "n": estimate.n,
        "mean": estimate.mean,
        "ci_low": estimate.low,
        "ci_high": estimate.high,
        "std": estimate.std,
        "best_trial_value": float(selected["score"].iloc[0]) if len(selected) else math.nan,
        **{f"best.{path}": plain(value) for path, value in tuned.items()},
        **counts,
        "search_trials": int((group["phase"] == "search").sum()),
        "parameters": _mean(shown["parameters"]),
        "flops": _mean(shown["flops"]),
        "seconds": float(pd.to_numeric(group["seconds"]).sum()),
        "floor.loss": _mean(shown["floor.loss"]),
        **{name: value for each in measured for name, value in _columns(standing, metric=each)},
        "interval": estimate.interval or None,
        "interquartile_mean": middle.mean,
        "iqm_low": middle.low,
        "iqm_high": middle.high,
        **{SHARES[state]: count / len(group) for state, count in counts.items()},
    }


def _columns(standing: pd.DataFrame, *, metric: str) -> Iterable[tuple[str, float]]:
    """One metric's estimate over the runs that stand for a cell, by the names of its columns."""
    found = mean_of(standing[f"{metric}.last"].dropna().tolist())
    values = (found.n, found.mean, found.low, found.high)
    return zip(estimate_columns(metric), values, strict=True)


def _scored(runs: pd.DataFrame, *, metric: str) -> pd.DataFrame:
    """The runs that have the metric, with its last value as `score`."""
    column = f"{metric}.last"
    values = runs[column] if column in runs else pd.Series(math.nan, index=runs.index)
    return runs.assign(score=values.astype("float64")).dropna(subset="score")


def _best(runs: pd.DataFrame, *, metric: str) -> pd.DataFrame:
    """The run with the best score, the earlier one of equals; no row if there is none."""
    higher = metric in HIGHER_IS_BETTER
    scored = _scored(runs, metric=metric)
    return scored.sort_values("score", ascending=not higher, kind="stable").head(1)


def _mean(values: pd.Series) -> float | int:
    """The mean; a whole number stays one."""
    numbers = [float(value) for value in values.dropna()]
    mean = math.fsum(numbers) / len(numbers) if numbers else math.nan
    return int(mean) if pd.api.types.is_integer_dtype(values) and mean.is_integer() else mean
