"""One row per cell: estimates over its confirm runs, best tuned values, and runs by state."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from seqtune.report.data.frames import frame
from seqtune.report.data.runs import RecordedRun, SweepPosition, compared_paths, tuned_paths
from seqtune.report.naming.labels import plain
from seqtune.runs.directory import STATES
from seqtune.stats.estimates import mean_of, middle_of
from seqtune.training.measurement import FREE, HIGHER_IS_BETTER, METRICS

ESTIMATED = tuple(
    name for name in METRICS if name in FREE or name in ("valid/loss", "generate/valid")
)
"""Metrics estimated besides the sweep's own, to compare teacher forcing with free running."""
SHARES = {state: f"share_{state}" for state in STATES}
"""By state, the column with its share of a cell's runs."""


def cells_frame(
    runs: pd.DataFrame, *, recorded: Sequence[RecordedRun], metric: str
) -> pd.DataFrame:
    """Return one row per cell, in the order of `runs`.

    A cell's value is the mean of the metric's last value over its ranked runs; every state is
    counted. The columns `free/loss.n`, `free/loss.mean`, `free/loss.ci_low` and `free/loss.ci_high`
    hold the same runs' estimate of another score, and so on for every metric of `ESTIMATED` that
    any run has. `interval` names the method of the row's intervals: t or bootstrap.
    `share_finished` and so on are shares of all runs of the cell, search trials and confirm runs.

    Args:
        runs: the frame of `runs_frame`, with the column `ranked`.
        recorded: the same runs, for their positions in the sweep.
        metric: the sweep's metric.
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


def ranked_runs(
    runs: pd.DataFrame, *, recorded: Sequence[RecordedRun], metric: str
) -> "pd.Series[bool]":
    """Return which runs are ranked: the finished ones that confirm the best search trial.

    A sweep that is extended by more trials may have a new best trial. Runs that confirmed the old
    one are counted by state but not ranked, because they have other tuned values. A run outside any
    sweep was not selected, so it is ranked like a confirm run.
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
    """Return the columns of a metric's number of runs, mean, and 95 % interval."""
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
    representative = group[group["ranked"]]
    ranked = _with_score(representative, metric=metric)
    values = ranked["score"].tolist()
    estimate, middle = mean_of(values), middle_of(values)
    counts = {state: int((group["state"] == state).sum()) for state in STATES}
    # Costs are those of the runs whose value is shown: ranked ones, else the selected trial.
    shown = next(each for each in (ranked, selected, group) if len(each))
    settings = next((each for each in (selected, ranked) if len(each)), None)
    tuned = {} if settings is None else places[settings["run"].iloc[0]].tuned or {}
    return {
        "arm": place.arm,
        "cell": place.cell,
        **{path: plain(value) for path, value in (place.compared or {}).items()},
        **estimate.columns,
        "std": estimate.std,
        "best_trial_value": float(selected["score"].iloc[0]) if len(selected) else math.nan,
        **{f"best.{path}": plain(value) for path, value in tuned.items()},
        **counts,
        "search_trials": int((group["phase"] == "search").sum()),
        "parameters": _mean(shown["parameters"]),
        "flops": _mean(shown["flops"]),
        "seconds": float(pd.to_numeric(group["seconds"]).sum()),
        "floor.loss": _mean(shown["floor.loss"]),
        **{
            name: value
            for each in measured
            for name, value in _columns(representative, metric=each)
        },
        "interval": estimate.interval or None,
        "interquartile_mean": middle.mean,
        "iqm_low": middle.low,
        "iqm_high": middle.high,
        **{SHARES[state]: count / len(group) for state, count in counts.items()},
    }


def _columns(runs: pd.DataFrame, *, metric: str) -> Iterable[tuple[str, float]]:
    found = mean_of(runs[f"{metric}.last"].dropna().tolist())
    return zip(estimate_columns(metric), found.columns.values(), strict=True)


def _with_score(runs: pd.DataFrame, *, metric: str) -> pd.DataFrame:
    """Return the runs that have the metric, with its last value as `score`."""
    column = f"{metric}.last"
    values = runs[column] if column in runs else pd.Series(math.nan, index=runs.index)
    return runs.assign(score=values.astype("float64")).dropna(subset="score")


def _best(runs: pd.DataFrame, *, metric: str) -> pd.DataFrame:
    """Return the run with the best score, the first of equals; no row if there is none."""
    higher = metric in HIGHER_IS_BETTER
    scored = _with_score(runs, metric=metric)
    return scored.sort_values("score", ascending=not higher, kind="stable").head(1)


def _mean(values: pd.Series) -> float | int:
    """Return the mean; whole numbers of an integer column stay integers."""
    numbers = [float(value) for value in values.dropna()]
    mean = math.fsum(numbers) / len(numbers) if numbers else math.nan
    return int(mean) if pd.api.types.is_integer_dtype(values) and mean.is_integer() else mean
