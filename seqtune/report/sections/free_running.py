"""Teacher-forced scores beside those of models that read their own predictions."""

import pandas as pd

from seqtune.report.data.cells import estimate_columns
from seqtune.report.data.results import Results
from seqtune.report.naming import labels
from seqtune.report.sections.section import Section, Table
from seqtune.stats.estimates import interval_name
from seqtune.training.measurement import HIGHER_IS_BETTER, METRICS

FORCED = "valid/loss"
SIDE_BY_SIDE = (FORCED, "free/loss", "free/gap", "generate/valid")
"""Columns of the table: teacher forced, free running, their difference, and generated."""


def section(results: Results) -> Section | None:
    """Return one row per cell over its ranked runs; None without free-running scores."""
    cells = results.cells
    metrics = [name for name in SIDE_BY_SIDE if f"{name}.n" in cells and cells[f"{name}.n"].any()]
    if not set(metrics) - {FORCED}:
        return None
    data = _data(results, metrics=metrics)
    caption = _caption(results, metrics=metrics, data=data)
    frame = _frame(results, metrics=metrics)
    return Section(
        title="Teacher forced and free running",
        paragraphs=(" ".join(f"{name}: {METRICS[name].description}." for name in metrics),),
        tables=(Table(caption, frame, name="forced-and-free", data=data),),
    )


def _frame(results: Results, *, metrics: list[str]) -> pd.DataFrame:
    cells = results.cells
    most = cells[[f"{name}.n" for name in metrics]].max(axis=1)
    columns: dict[str, object] = {**results.naming.columns(cells), "n": most}
    for name in metrics:
        rows = cells[list(estimate_columns(name))].itertuples(index=False)
        columns[labels.with_unit(name)] = [
            labels.estimate(mean, low=low, high=high, n=n, of=of)
            for (n, mean, low, high), of in zip(rows, most, strict=True)
        ]
    return pd.DataFrame(columns)


def _data(results: Results, *, metrics: list[str]) -> pd.DataFrame:
    """Return one row per cell and metric."""
    cells = results.cells
    parts = [
        cells[["arm", "cell", *results.compared]].assign(
            metric=name,
            **{column.removeprefix(f"{name}."): cells[column] for column in estimate_columns(name)},
        )
        for name in metrics
    ]
    return pd.concat(parts, ignore_index=True)


def _caption(results: Results, *, metrics: list[str], data: pd.DataFrame) -> str:
    counts = [int(n) for n in data["n"] if n]
    alone = results.runs["phase"].isna().all()
    runs = "a finished run" if alone else "a cell's finished confirm runs"
    what = "mean" if max(counts) < 2 else f"mean and {interval_name(counts)}"
    higher = [name for name in metrics if name in HIGHER_IS_BETTER]
    good = f"Lower is better, except for {higher[0]}." if higher else "Lower is better."
    return (
        "Scores of models that read the true tokens or their own predictions, after the last epoch:"
        f" {what} over {runs} ({labels.counts(counts)}). {good}"
    )
