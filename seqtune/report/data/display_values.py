"""The value that figures and tables show for a cell: its confirm runs' mean, if there are any."""

import math
from dataclasses import dataclass

import pandas as pd

from seqtune.report.data.results import Results
from seqtune.report.naming import labels
from seqtune.report.naming.labels import is_missing
from seqtune.stats.estimates import interval_name


@dataclass(frozen=True, eq=False)
class DisplayValues:
    """The cells with the values to show.

    Attributes:
        cells: `Results.cells` with the columns `value`, `low`, `high` and `note` (how many runs
            the value is from, or why there is none); `arm` is text, empty where there is none.
        confirmed: false if no cell has a finished confirm run and search trials are shown instead.
        what: description of a value, for a caption.
        columns: columns of `Results.cells` that the values come from.
    """

    cells: pd.DataFrame
    confirmed: bool
    what: str
    columns: tuple[str, ...]


def display_values(results: Results) -> DisplayValues:
    """Return confirm runs' means or, if no cell has any, the values of best search trials."""
    cells = results.cells
    if cells["n"].sum() > 0 or cells["best_trial_value"].isna().all():
        return DisplayValues(
            cells=_with_notes(
                cells.assign(value=cells["mean"], low=cells["ci_low"], high=cells["ci_high"]),
                notes=[f"n {count}" for count in cells["n"]],
                missing="no finished\nconfirm run",
            ),
            confirmed=True,
            what=_describe_confirmed(results),
            columns=("n", "mean", "ci_low", "ci_high"),
        )
    what = (
        f"{results.metric} after the last epoch of a cell's best search trial: no confirm run has "
        "finished, and the best of several trials is biased towards looking good"
    )
    return DisplayValues(
        cells=_with_notes(
            cells.assign(value=cells["best_trial_value"], low=math.nan, high=math.nan),
            notes=[f"best of {count}" for count in cells["search_trials"]],
            missing="no finished\nsearch trial",
        ),
        confirmed=False,
        what=what,
        columns=("search_trials", "best_trial_value"),
    )


def _with_notes(cells: pd.DataFrame, *, notes: list[str], missing: str) -> pd.DataFrame:
    arms = ["" if is_missing(arm) else str(arm) for arm in cells["arm"]]
    given = [
        missing if is_missing(value) else note
        for value, note in zip(cells["value"], notes, strict=True)
    ]
    return cells.assign(arm=arms, note=given)


def _describe_confirmed(results: Results) -> str:
    counts = [int(count) for count in results.cells["n"] if count]
    n = labels.counts(counts)
    if results.runs["phase"].isna().all():
        return f"{results.metric} after the last epoch of a finished run ({n})"
    runs = f"{results.metric} after the last epoch over a cell's finished confirm runs"
    if max(counts, default=0) < 2:
        return f"the mean of {runs} ({n}, too few for an interval)"
    return f"the mean of {runs}, with its {interval_name(counts)} ({n})"
