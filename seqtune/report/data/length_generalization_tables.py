"""Tables of what cells score beyond their training, and what they share with its figures."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from seqtune.report import labels
from seqtune.report.data.display_values import shown
from seqtune.report.data.results import Results
from seqtune.report.data.values import is_missing
from seqtune.report.sections.section import Table
from seqtune.stats.estimates import interval_name
from seqtune.training.measurement import HIGHER_IS_BETTER

MOST_ROWS = 40
"""Of the table by length; its file holds all."""


def field_table(
    frame: pd.DataFrame, *, field: str, metric: str, results: Results
) -> Iterator[Table]:
    """A row a cell, a column a value of the field."""
    if not len(frame):
        return
    cells = results.cells[results.cells["cell"].isin(frame["cell"])]
    trained = trained_on(frame)
    found = {(row["cell"], row["value"]): row for _, row in frame.iterrows()}
    columns: dict[str, object] = {**results.naming.columns(cells)}
    if f"task.{field}" not in results.compared:
        columns["trained on"] = [labels.value(trained[cell]) for cell in cells["cell"]]
    columns["n"] = [int(frame[frame["cell"] == cell]["n"].max()) for cell in cells["cell"]]
    most = dict(zip(cells["cell"], columns["n"], strict=True))
    for value in sorted(frame["value"].unique()):
        columns[f"{field} {labels.value(value)}"] = [
            _text(found.get((cell, value)), most=most[cell]) for cell in cells["cell"]
        ]
    yield Table(
        f"{metric} by {field}: {estimate(frame)}; {labels.direction(metric)}.",
        pd.DataFrame(columns),
        name=f"beyond-{field}-{metric.rpartition('/')[2]}",
        data=with_cells(frame, results=results),
    )


def length_table(frames: dict[str, pd.DataFrame], *, results: Results) -> Iterator[Table]:
    """A row a cell, task and group of lengths, of the best cells; its file holds all."""
    named = {metric: frame for metric, frame in frames.items() if len(frame)}
    if not named:
        return
    data = pd.concat([frame.assign(metric=metric) for metric, frame in named.items()])
    keys = ["cell", "evaluated", "first", "last", "strings"]
    whole = data[keys].drop_duplicates()
    rows = whole[whole["cell"].isin(_best_cells(whole, results=results))]
    cells = rows[["cell"]].merge(results.cells, on="cell", how="left")
    columns: dict[str, object] = {**results.naming.columns(cells)}
    if rows["evaluated"].any():
        columns["asked"] = rows["evaluated"].tolist()
    columns["tokens"] = [
        str(first) if first == last else f"{first} to {last}"
        for first, last in zip(rows["first"], rows["last"], strict=True)
    ]
    columns["strings"] = rows["strings"].tolist()
    for metric, frame in named.items():
        found = {tuple(row[keys]): row for _, row in frame.iterrows()}
        most = int(data["n"].max())
        columns[metric] = [_text(found.get(tuple(row)), most=most) for _, row in rows.iterrows()]
    left_out = whole["cell"].nunique() - rows["cell"].nunique()
    few = f" Of the best cells; the data holds {labels.plural(left_out, 'cell')} more."
    yield Table(
        f"Scores by length of the strings: {estimate(data)}.{few if left_out else ''}",
        pd.DataFrame(columns),
        name="beyond-length",
        data=with_cells(data.drop(columns="best"), results=results),
    )


def trained_on(frame: pd.DataFrame) -> dict[str, Any]:
    """By cell, what its runs were trained on."""
    first = frame.drop_duplicates("cell")
    return {str(cell): own for cell, own in zip(first["cell"], first["trained"], strict=True)}


def estimate(frame: pd.DataFrame) -> str:
    """What a value is, for a caption."""
    counts = [int(n) for n in frame["n"]]
    what = "mean" if max(counts) < 2 else f"mean and {interval_name(counts)}"
    return f"{what} over a cell's evaluated runs ({labels.counts(counts)})"


def with_cells(frame: pd.DataFrame, *, results: Results) -> pd.DataFrame:
    """What tells the cells apart before their numbers."""
    cells = results.cells[["arm", "cell", *results.compared]]
    merged = frame.merge(cells, on="cell", how="left")
    return merged[[*cells, *(name for name in frame if name not in cells)]]


def _text(row: "pd.Series | None", *, most: int) -> str:
    if row is None or is_missing(row["mean"]):
        return ""
    fewer = f"(n {int(row['n'])})" if row["n"] < most else ""
    parts = (labels.number(row["mean"]), labels.interval(row["low"], high=row["high"]), fewer)
    return " ".join(filter(None, parts))


def _best_cells(rows: pd.DataFrame, *, results: Results) -> list[str]:
    """Those with the best values of the metric that have at most `MOST_ROWS` rows together, and one at least."""
    cells = shown(results).cells
    ascending = results.metric not in HIGHER_IS_BETTER
    ordered = cells.sort_values("value", ascending=ascending, kind="stable")["cell"]
    sizes = rows["cell"].value_counts().reindex(ordered).dropna()
    kept = sizes[sizes.cumsum() <= MOST_ROWS]
    return [str(cell) for cell in (kept if len(kept) else sizes.head(1)).index]
