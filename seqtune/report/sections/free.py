"""What a model scores when it reads the truth, beside what it scores when it reads itself."""

import pandas as pd

from seqtune.report import labels
from seqtune.report.data.cells import estimate_columns
from seqtune.report.data.results import Results
from seqtune.report.sections.section import Section, Table
from seqtune.stats.estimates import interval_name
from seqtune.training.measurement import HIGHER_IS_BETTER, METRICS

FORCED = "valid/loss"
SIDE_BY_SIDE = (FORCED, "free/loss", "free/gap", "generate/valid")
"""What the table shows of each cell: teacher forced, free running, the difference, and generated."""


def section(results: Results) -> Section | None:
    """A row a cell, over its confirm runs; None if no such run was scored without the truth."""
    cells = results.cells
    metrics = [name for name in SIDE_BY_SIDE if f"{name}.n" in cells and cells[f"{name}.n"].any()]
    if not set(metrics) - {FORCED}:
        return None
    data = _data(results, metrics=metrics)
    table = Table(
        _caption(results, metrics=metrics, data=data),
        _frame(results, metrics=metrics),
        name="forced-and-free",
        data=data,
    )
    meanings = [f"{name}: {METRICS[name].description}." for name in metrics]
    return Section(
        title="Teacher forced and free running",
        paragraphs=(" ".join(meanings),),
        tables=(table,),
    )


def _frame(results: Results, *, metrics: list[str]) -> pd.DataFrame:
    cells = results.cells
    n = cells[[f"{name}.n" for name in metrics]].max(axis=1)
    columns: dict[str, object] = {**results.naming.columns(cells), "n": n}
    for name in metrics:
        columns[labels.with_unit(name)] = [
            _text(estimate, n=most)
            for estimate, most in zip(
                cells[list(estimate_columns(name))].itertuples(index=False), n, strict=True
            )
        ]
    return pd.DataFrame(columns)


def _text(estimate: tuple[float, ...], *, n: int) -> str:
    """Mean and interval; with the number of runs where it is not that of the row."""
    count, mean, low, high = estimate
    fewer = f"(n {count:g})" if 0 < count < n else ""
    return " ".join(filter(None, (labels.number(mean), labels.interval(low, high=high), fewer)))


def _data(results: Results, *, metrics: list[str]) -> pd.DataFrame:
    """A row a cell and metric."""
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
    runs = (
        "a finished run" if results.runs["phase"].isna().all() else "a cell's finished confirm runs"
    )
    what = "mean" if max(counts) < 2 else f"mean and {interval_name(counts)}"
    higher = [name for name in metrics if name in HIGHER_IS_BETTER]
    good = f"Lower is better, but for {higher[0]}." if higher else "Lower is better."
    return (
        f"What models score that read the truth or themselves, after the last epoch: {what} over {runs} "
        f"({labels.counts(counts)}). {good}"
    )
