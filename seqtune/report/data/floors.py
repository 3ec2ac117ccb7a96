"""Floors, and the share of the scored tokens that they cover.

A floor that covers only some of the tokens bounds no score that is taken over all of them.
"""

from typing import Any

import pandas as pd

from seqtune.report.naming import labels
from seqtune.report.naming.labels import is_missing
from seqtune.training.measurement import FLOOR_FIELDS, ZERO_FLOOR

BOUNDED = {name: f"floor.{field}" for name, field in FLOOR_FIELDS.items()}
"""Metrics with a best possible value, and the column that holds it."""


def line(run: "pd.Series[Any]", *, metric: str) -> float | None:
    """Return the best possible value of a metric; None unless known for every scored token."""
    column = BOUNDED.get(metric)
    if column is None or is_missing(run[column]) or run["floor.share"] < 1:
        return None
    return float(run[column])


def note(runs: pd.DataFrame, *, metric: str) -> str:
    """Return a sentence on floors that cover only some of the tokens; empty if all are complete."""
    known = runs[runs["floor.share"].notna()]
    partial = known[known["floor.share"] < 1]
    compared = metric in ZERO_FLOOR
    if not len(partial) or not (compared or metric in BOUNDED):
        return ""
    share = labels.percents(partial["floor.share"])
    cells = "" if len(partial) == len(runs) else f" in {len(partial)} of {len(runs)} cells"
    if compared:
        return f"A floor is known for {share} of the scored tokens{cells}; {metric} covers these."
    return (
        f"A floor is known for only {share} of the scored tokens{cells}, so no line is drawn "
        "there; valid/excess covers these tokens."
    )
