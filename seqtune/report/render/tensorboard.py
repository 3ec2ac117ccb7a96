"""TensorBoard runs of cells: the mean over confirm runs, with its interval and the floor.

The mean has the metric's own name, so that TensorBoard draws it in one chart with the runs; its interval
and floor have that name with `/low`, `/high` or `/floor` appended.
"""

import hashlib
import math
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pandas as pd

from seqtune.report.data import floors
from seqtune.report.data.results import Results
from seqtune.report.render import replace_folder
from seqtune.runs import tensorboard
from seqtune.stats.estimates import mean_of
from seqtune.training.measurement import ZERO_FLOOR

FOLDER = "tensorboard"
"""Folder of the cells' runs, beside `runs/`."""
PARTS = ("/low", "/high", "/floor")
"""Suffixes of the curves besides the mean."""
_LONGEST = 200
"""Bytes of a folder's name; file systems allow 255."""


def write(results: Results, *, root: Path) -> None:
    """Replace `root/tensorboard/CELL`, an event file for each cell with finished confirm runs.

    Contains scores only (`valid/loss`, not `lr`), for every epoch that some run has. Low and high
    are the bounds of the 95 % interval, for two or more runs.
    """
    confirm = results.runs[results.runs["ranked"] & (results.runs["phase"] == "confirm")]
    if not len(confirm) and not (root / FOLDER).exists():
        return
    curves = results.curves
    measured = curves[curves["run"].isin(confirm["run"].tolist())].dropna(subset="value")
    measured = measured[measured["metric"].str.contains("/", regex=False)]
    measured = measured.merge(confirm[["run", "cell"]], on="run")
    began = _seconds(results.provenance.created[0])
    with replace_folder.replaced(root / FOLDER) as new:
        for cell, curves in measured.groupby("cell", sort=False, observed=True):
            runs = confirm[confirm["cell"] == cell]
            content = tensorboard.encode_events(
                _events(curves, runs=runs, began=began), seconds=began
            )
            place = _make_folder(new, name=results.naming.cells[str(cell)])
            # New contents need a new name: of a known file TensorBoard reads only what is appended.
            digits = hashlib.sha256(content).hexdigest()[:10]
            (place / f"cell.{digits}.{tensorboard.FILE_MARK}").write_bytes(content)


def _events(
    curves: pd.DataFrame, *, runs: pd.DataFrame, began: float
) -> Iterator[tensorboard.Event]:
    """Yield the chart layout, then the points of every curve."""
    bounds = {str(metric): _floor(runs, metric=str(metric)) for metric in curves["metric"].unique()}
    together = {
        f"{metric}: mean of the cell": [metric, *(f"{metric}{part}" for part in PARTS)]
        for metric in bounds
    }
    yield tensorboard.charts_event({"cells": together}, seconds=began)
    points: dict[tuple[str, int], list[tuple[float, float]]] = {}
    columns = (curves[name].tolist() for name in ("metric", "epoch", "value", "seconds"))
    for metric, epoch, value, seconds in zip(*columns, strict=True):
        points.setdefault((metric, epoch), []).append((value, seconds))
    for (metric, epoch), measured in points.items():
        values, times = zip(*measured, strict=True)
        found = mean_of(values)
        time = began + math.fsum(times) / len(times)
        shown = (found.mean, found.low, found.high, bounds[metric])
        for part, value in zip(("", *PARTS), shown, strict=True):
            if not math.isnan(value):
                yield tensorboard.scalar_event(f"{metric}{part}", value, step=epoch, seconds=time)


def _floor(runs: pd.DataFrame, *, metric: str) -> float:
    """Return the mean of the runs' floors; NaN unless every run has one."""
    if metric in ZERO_FLOOR:
        return 0.0
    each = [floors.line(row, metric=metric) for _, row in runs.iterrows()]
    return math.fsum(math.nan if value is None else value for value in each) / len(each)


def _make_folder(folder: Path, *, name: str) -> Path:
    """Create a folder named after a cell, as far as file systems allow."""
    plain = re.sub(r'[\\/:*?"<>|\x00-\x1f]+', "_", name).encode()[:_LONGEST]
    first = plain.decode(errors="ignore").strip(" .") or "cell"
    number, place = 1, folder / first
    while place.exists():
        number += 1
        place = folder / f"{first} ({number})"
    place.mkdir()
    return place


def _seconds(created: str) -> float:
    """Return seconds since 1970; 0 for runs without a creation time."""
    return datetime.fromisoformat(created).timestamp() if created else 0.0
