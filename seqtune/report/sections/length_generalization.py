"""Length generalization: scores on longer strings, and higher trees, than in training."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from seqtune.report.data import length_generalization
from seqtune.report.data.display_values import display_values
from seqtune.report.data.results import Results
from seqtune.report.figures.growth import Curve, Part, growth, has_floor, off_scale
from seqtune.report.naming import labels
from seqtune.report.naming.labels import is_missing
from seqtune.report.naming.names import distinct
from seqtune.report.sections.section import Figure, Section, Table
from seqtune.stats.estimates import interval_name
from seqtune.tasks import TASK_SPECS
from seqtune.training.measurement import HIGHER_IS_BETTER, ZERO_FLOOR

TITLE = "Length generalization"
CELLS_A_PANEL = 9
"""More lines would hide one another; those of the best cells are drawn."""
LONGEST_NAME = 32
"""Characters of a line's name, as far as names stay distinct."""
MOST_ROWS = 40
"""Rows of the table by length; its file has all."""


def section(results: Results) -> Section | None:
    """Return excess and accuracy by changed field and by length; a hint without evaluations."""
    found = results.evaluations
    if not found:
        hint = _hint(results)
        return Section(title=TITLE, paragraphs=(hint,)) if hint else None
    metrics = length_generalization.metrics(found)
    figures: list[Figure] = []
    tables: list[Table] = []
    for field in length_generalization.numeric_fields(found):
        frames = {
            name: length_generalization.by_field(results, field=field, metric=name)
            for name in metrics
        }
        for metric, frame in frames.items():
            figures += _field_figure(frame, field=field, metric=metric, results=results)
            tables += field_table(frame, field=field, metric=metric, results=results)
    frames = {name: length_generalization.by_length(results, metric=name) for name in metrics}
    for metric, frame in frames.items():
        figures += _length_figure(frame, metric=metric, results=results)
    tables += length_table(frames, results=results)
    return Section(
        title=TITLE,
        paragraphs=(_what(results),),
        figures=tuple(figures),
        tables=tuple(tables),
    )


def _hint(results: Results) -> str:
    """Return the command that evaluates; empty where no field makes strings longer."""
    fields = {spec.model_fields["kind"].default: spec.size_field for spec in TASK_SPECS}
    field = next((name for task in results.tasks if (name := fields.get(task.get("kind")))), "")
    values = sorted(
        {task[field] for task in results.tasks if isinstance(task.get(field), int)} if field else ()
    )
    if not values:
        return ""
    asked = ",".join(map(str, [*values, values[-1] + 1]))
    return (
        "No run was evaluated beyond its training. To do so, run seqtune evaluate SWEEP --set "
        f"'task.{field}=[{asked}]' with this sweep's directory for SWEEP, then build the report "
        "again."
    )


def _what(results: Results) -> str:
    found = results.evaluations
    runs, cells = ({getattr(each, name) for each in found} for name in ("run", "cell"))
    fields = length_generalization.changed_fields(found)
    settings = dict.fromkeys(
        length_generalization.setting(each.task, fields=fields) for each in found
    )
    on = [each for each in settings if each]
    tasks = f"beyond their training, on {labels.join(on)}" if fields else "on their own tasks"
    left = len(results.cells) - len(cells)
    without = f" {labels.plural(left, 'cell')} without an evaluated run: not shown." if left else ""
    return (
        f"seqtune evaluate scored {labels.plural(len(runs), 'run')} of "
        f"{labels.plural(len(cells), 'cell')} {tasks}. The weights are each run's best.{without}"
    )


def _field_figure(
    frame: pd.DataFrame, *, field: str, metric: str, results: Results
) -> Iterator[Figure]:
    if not len(frame):
        return
    panels = {
        cell: f"trained on {field} {labels.value(own)}" for cell, own in trained_on(frame).items()
    }
    drawn, left_out = _drawn(panels, results=results)
    curves = [
        Curve(panels[cell], name=name, parts=(_part(mine, x=mine["value"]),))
        for cell, name in drawn.items()
        for mine in (frame[frame["cell"] == cell],)
    ]
    borders = {panels[cell]: float(own) for cell, own in trained_on(frame).items()}
    title = f"{metric} by {field}"
    yield Figure(
        name=f"beyond-{field}-{metric.rpartition('/')[2]}",
        title=title,
        caption=" ".join(
            (
                f"{metric} by {field} of the evaluated task: {estimate(frame)}; {_good(metric)}.",
                f"A panel shows the cells trained on one {field}, which the dashed vertical line "
                "marks.",
                *_notes(curves, metric=metric, left_out=left_out),
            )
        ),
        chart=growth(curves, borders=borders, metric=metric, x=field, title=title, few=True),
        data=with_cells(frame, results=results),
    )


def _length_figure(frame: pd.DataFrame, *, metric: str, results: Results) -> Iterator[Figure]:
    if not len(frame):
        return
    panels = {cell: f"trained on {own}" if own else "" for cell, own in trained_on(frame).items()}
    drawn, left_out = _drawn(panels, results=results)
    curves = [
        Curve(
            panels[cell],
            name=name,
            parts=tuple(
                _part(mine, x=(mine["first"] + mine["last"]) / 2, name=str(asked))
                for asked, mine in frame[frame["cell"] == cell].groupby("evaluated", sort=False)
            ),
        )
        for cell, name in drawn.items()
    ]
    longest = frame[frame["own"]].groupby("cell")["last"].max()
    borders = {panels[str(cell)]: float(last) for cell, last in longest.items()}
    title = f"{metric} by length of the strings"
    x = "tokens of the string"
    yield Figure(
        name=f"beyond-length-{metric.rpartition('/')[2]}",
        title=title,
        caption=" ".join(
            (
                f"{metric} by length, at the middle of each group of lengths: {estimate(frame)}; "
                f"{_good(metric)}. Each evaluated task has its own lines and markers.",
                "The dashed vertical line marks the longest validation string of the trained task."
                if borders
                else "The lengths in training are known only where a run was evaluated on its own "
                "task too.",
                *_notes(curves, metric=metric, left_out=left_out),
            )
        ),
        chart=growth(curves, borders=borders, metric=metric, x=x, title=title, few=False),
        data=with_cells(frame, results=results),
    )


def _drawn(panels: dict[str, str], *, results: Results) -> tuple[dict[str, str], int]:
    """Return the cells to draw with their names inside their panels, and how many are left out."""
    cells = display_values(results).cells
    cells = cells[cells["cell"].isin(list(panels))]
    ascending = results.metric not in HIGHER_IS_BETTER
    titles = cells["cell"].map(panels)
    names: dict[str, str] = {}
    for panel in titles.drop_duplicates():
        inside = cells[titles == panel]
        ordered = inside.sort_values("value", ascending=ascending, kind="stable")
        best = set(ordered["cell"].head(CELLS_A_PANEL))
        inside = inside[inside["cell"].isin(list(best))]
        brief = distinct(results.naming.distinguish(inside), longest=LONGEST_NAME)
        names |= dict(zip(inside["cell"], brief, strict=True))
    return names, len(panels) - len(names)


def _part(frame: pd.DataFrame, *, x: "pd.Series[float]", name: str = "") -> Part:
    columns = {
        column: frame[column].astype("float64").tolist()
        for column in ("mean", "low", "high", "best")
    }
    return Part(name=name, x=x.astype("float64").tolist(), **columns)


def _good(metric: str) -> str:
    # A logarithmic scale cannot show a floor of 0, so the caption states it.
    return labels.direction(metric) + (", and the floor is 0" if metric in ZERO_FLOOR else "")


def _notes(curves: list[Curve], *, metric: str, left_out: int) -> Iterator[str]:
    if has_floor(curves):
        yield "Dashed: the floor of the same strings."
    if count := off_scale(curves, metric=metric):
        yield (
            f"Triangles at the lower edge: {labels.plural(count, 'value')} at or below 0, "
            "which a logarithmic scale cannot show."
        )
    if left_out:
        yield (
            f"The {CELLS_A_PANEL} best cells of each panel are drawn; the data has "
            f"{labels.plural(left_out, 'cell')} more."
        )


def field_table(
    frame: pd.DataFrame, *, field: str, metric: str, results: Results
) -> Iterator[Table]:
    """Yield a table with one row per cell and one column per value of the field."""
    if not len(frame):
        return
    cells = results.cells[results.cells["cell"].isin(frame["cell"])]
    trained = trained_on(frame)
    found = {(row["cell"], row["value"]): row for _, row in frame.iterrows()}
    columns: dict[str, object] = {**results.naming.columns(cells)}
    if f"task.{field}" not in results.compared:
        columns["trained on"] = [labels.value(trained[cell]) for cell in cells["cell"]]
    most = {cell: int(frame[frame["cell"] == cell]["n"].max()) for cell in cells["cell"]}
    columns["n"] = list(most.values())
    for value in sorted(frame["value"].unique()):
        columns[f"{field} {labels.value(value)}"] = [
            _text(found.get((cell, value)), of=n) for cell, n in most.items()
        ]
    yield Table(
        f"{metric} by {field}: {estimate(frame)}; {labels.direction(metric)}.",
        pd.DataFrame(columns),
        name=f"beyond-{field}-{metric.rpartition('/')[2]}",
        data=with_cells(frame, results=results),
    )


def length_table(frames: dict[str, pd.DataFrame], *, results: Results) -> Iterator[Table]:
    """Yield a table with one row per best cell, task and group of lengths."""
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
        columns["evaluated on"] = rows["evaluated"].tolist()
    columns["tokens"] = [
        str(first) if first == last else f"{first} to {last}"
        for first, last in zip(rows["first"], rows["last"], strict=True)
    ]
    columns["strings"] = rows["strings"].tolist()
    most = int(data["n"].max())
    for metric, frame in named.items():
        found = {tuple(row[keys]): row for _, row in frame.iterrows()}
        columns[metric] = [_text(found.get(tuple(row)), of=most) for _, row in rows.iterrows()]
    left_out = whole["cell"].nunique() - rows["cell"].nunique()
    few = f" The best cells; the data has {labels.plural(left_out, 'cell')} more."
    yield Table(
        f"Scores by length of the strings: {estimate(data)}.{few if left_out else ''}",
        pd.DataFrame(columns),
        name="beyond-length",
        data=with_cells(data.drop(columns="best"), results=results),
    )


def trained_on(frame: pd.DataFrame) -> dict[str, Any]:
    """Return what each cell's runs were trained on."""
    first = frame.drop_duplicates("cell")
    return {str(cell): own for cell, own in zip(first["cell"], first["trained"], strict=True)}


def estimate(frame: pd.DataFrame) -> str:
    """Describe a value for a caption."""
    counts = [int(n) for n in frame["n"]]
    what = "mean" if max(counts) < 2 else f"mean and {interval_name(counts)}"
    return f"{what} over a cell's evaluated runs ({labels.counts(counts)})"


def with_cells(frame: pd.DataFrame, *, results: Results) -> pd.DataFrame:
    """Return the frame with arm, cell and compared values as its first columns."""
    cells = results.cells[["arm", "cell", *results.compared]]
    merged = frame.merge(cells, on="cell", how="left")
    return merged[[*cells, *(name for name in frame if name not in cells)]]


def _text(row: "pd.Series | None", *, of: int) -> str:
    if row is None or is_missing(row["mean"]):
        return ""
    return labels.estimate(row["mean"], low=row["low"], high=row["high"], n=row["n"], of=of)


def _best_cells(rows: pd.DataFrame, *, results: Results) -> list[str]:
    """Return the best cells, at least one, with at most `MOST_ROWS` rows together."""
    cells = display_values(results).cells
    ascending = results.metric not in HIGHER_IS_BETTER
    ordered = cells.sort_values("value", ascending=ascending, kind="stable")["cell"]
    sizes = rows["cell"].value_counts().reindex(ordered).dropna()
    fitting = sizes[sizes.cumsum() <= MOST_ROWS]
    return [str(cell) for cell in (fitting if len(fitting) else sizes.head(1)).index]
