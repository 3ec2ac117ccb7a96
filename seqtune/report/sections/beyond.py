"""Beyond training: what the cells score on longer strings, and higher trees, than they learned from."""

from collections.abc import Iterator

import pandas as pd

from seqtune.report import labels
from seqtune.report.data import length_generalization
from seqtune.report.data.display_values import shown
from seqtune.report.data.length_generalization_tables import (
    estimate,
    field_table,
    length_table,
    trained_on,
    with_cells,
)
from seqtune.report.data.results import Results
from seqtune.report.figures import grid
from seqtune.report.figures.growth import Curve, Part, growth, has_floor, off_scale
from seqtune.report.sections.section import Figure, Section, Table
from seqtune.report.shorten import distinct
from seqtune.training.measurement import COMPARED, HIGHER_IS_BETTER

TITLE = "Beyond training"
GROWING = {"cfg": "height", "life": "rows"}
"""By kind of task, the field by which its strings grow and a model can still be asked."""
CELLS_A_PANEL = 9
"""More lines would hide one another; those with the best values of the metric are drawn."""
LONGEST_NAME = 32
"""Letters of a line's name, as far as nothing shorter tells the lines apart."""


def section(results: Results) -> Section | None:
    """Excess and accuracy by a changed field and by length; a sentence where nothing was evaluated."""
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
    """Which command evaluates; nothing where no field grows."""
    field = next(
        (GROWING[task["kind"]] for task in results.tasks if task.get("kind") in GROWING), ""
    )
    values = sorted(
        {task[field] for task in results.tasks if isinstance(task.get(field), int)} if field else ()
    )
    if not values:
        return ""
    asked = ",".join(map(str, [*values, values[-1] + 1]))
    return (
        f"No run was evaluated beyond its training: seqtune evaluate SWEEP --set 'task.{field}=[{asked}]', with this "
        "sweep's directory for SWEEP, does so, and the next report shows it."
    )


def _what(results: Results) -> str:
    found = results.evaluations
    runs, cells = ({getattr(each, name) for each in found} for name in ("run", "cell"))
    fields = length_generalization.changed_fields(found)
    settings = dict.fromkeys(
        length_generalization.setting(each.task, fields=fields) for each in found
    )
    on = [each for each in settings if each]
    asked = (
        f"for more than they were trained on, on {labels.listed(on)}"
        if fields
        else "on their own tasks"
    )
    left = len(results.cells) - len(cells)
    without = f" {labels.plural(left, 'cell')} without an evaluated run: not shown." if left else ""
    return (
        f"seqtune evaluate asked {labels.plural(len(runs), 'run')} of {labels.plural(len(cells), 'cell')} {asked}. "
        f"The weights are each run's best.{without}"
    )


def _field_figure(
    frame: pd.DataFrame, *, field: str, metric: str, results: Results
) -> Iterator[Figure]:
    """Nothing where no run has the metric at two places."""
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
                f"{metric} over the {field} of what was asked: {estimate(frame)}; {_good(metric)}.",
                f"A panel holds the cells of one {field} in training, where the dashed upright line stands.",
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
                f"{metric} of the strings of each group of lengths, at its middle: {estimate(frame)}; "
                f"{_good(metric)}. Strings of different tasks have lines and markers of their own.",
                "The dashed upright line is the longest validation string of the task that was trained on."
                if borders
                else "How long the strings are that were trained on is known where a run was evaluated on its own task too.",
                *_notes(curves, metric=metric, left_out=left_out),
            )
        ),
        chart=growth(curves, borders=borders, metric=metric, x=x, title=title, few=False),
        data=with_cells(frame, results=results),
    )


def _drawn(panels: dict[str, str], *, results: Results) -> tuple[dict[str, str], int]:
    """The cells that are drawn with their names inside their panels, and how many are not."""
    cells = shown(results).cells
    cells = cells[cells["cell"].isin(list(panels))]
    ascending = results.metric not in HIGHER_IS_BETTER
    titles = cells["cell"].map(panels)
    names: dict[str, str] = {}
    for panel in titles.drop_duplicates():
        inside = cells[titles == panel]
        ordered = inside.sort_values("value", ascending=ascending, kind="stable")
        best = set(ordered["cell"].head(CELLS_A_PANEL))
        inside = inside[inside["cell"].isin(list(best))]
        brief = distinct(grid.names(inside, naming=results.naming), longest=LONGEST_NAME)
        names |= dict(zip(inside["cell"], brief, strict=True))
    return names, len(panels) - len(names)


def _part(frame: pd.DataFrame, *, x: "pd.Series[float]", name: str = "") -> Part:
    columns = {
        column: frame[column].astype("float64").tolist()
        for column in ("mean", "low", "high", "best")
    }
    return Part(name=name, x=x.astype("float64").tolist(), **columns)


def _good(metric: str) -> str:
    """Which values are good, and where the floor is that a logarithmic scale has no place for."""
    return labels.direction(metric) + (", and the floor is 0" if metric in COMPARED else "")


def _notes(curves: list[Curve], *, metric: str, left_out: int) -> Iterator[str]:
    if has_floor(curves):
        yield "Dashed: the best possible on these very strings."
    if count := off_scale(curves, metric=metric):
        yield (
            f"Triangles at the lower edge: {labels.plural(count, 'value')} at or below 0, for which a "
            "logarithmic scale has no place."
        )
    if left_out:
        yield (
            f"Drawn are the {CELLS_A_PANEL} best cells of each panel; the data holds all, "
            f"{labels.plural(left_out, 'cell')} more."
        )
