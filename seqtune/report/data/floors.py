"""Floors and the share of the scored tokens that they cover: one of a part is no line on the whole."""

from typing import Any

import pandas as pd

from seqtune.report import labels
from seqtune.report.data.values import is_missing
from seqtune.training.measurement import FLOOR_FIELDS, ZERO_FLOOR

BOUNDED = {name: f"floor.{field}" for name, field in FLOOR_FIELDS.items()}
"""Metrics with a best possible value, and the column that holds it."""


def line(run: "pd.Series[Any]", *, metric: str) -> float | None:
    """The best possible value of a metric; None where it is not known of every scored token."""
    column = BOUNDED.get(metric)
    if column is None or is_missing(run[column]) or run["floor.share"] < 1:
        return None
    return float(run[column])


def note(runs: pd.DataFrame, *, metric: str) -> str:
    """What a reader of the metric must know where floors cover a part of the tokens; else nothing."""
    known = runs[runs["floor.share"].notna()]
    partial = known[known["floor.share"] < 1]
    compared = metric in ZERO_FLOOR
    if not len(partial) or not (compared or metric in BOUNDED):
        return ""
    share = labels.percents(partial["floor.share"])
    of = "" if len(partial) == len(runs) else f" in {len(partial)} of {len(runs)} cells"
    if compared:
        return f"A floor is known of {share} of the scored tokens{of}; {metric} is over these."
    return (
        f"A floor is known of only {share} of the scored tokens{of}, so that no line is drawn there; "
        "valid/excess is over these."
    )
