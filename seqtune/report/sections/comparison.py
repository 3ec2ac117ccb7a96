"""Comparison: the metric over the compared paths."""

import pandas as pd

from seqtune.report.data.display_values import DisplayValues, display_values
from seqtune.report.data.results import Results
from seqtune.report.figures import drawing, grid, heatmap, points
from seqtune.report.figures.moving_heatmap import moving_heat_map
from seqtune.report.naming import labels
from seqtune.report.sections.section import Chart, Section


def section(results: Results) -> Section:
    """Return a heat map over two or more compared paths, or points with intervals over fewer."""
    values = display_values(results)
    layouts = grid.layouts(values.cells, compared=results.compared)
    charts = tuple(
        _chart(cells, layout=layout, values=values, results=results, number=number)
        for number, (layout, cells) in enumerate(layouts.items())
    )
    without = int(values.cells["value"].isna().sum())
    paragraphs: tuple[str, ...] = ()
    if without:
        verb = "has" if without == 1 else "have"
        what = "finished run" if not values.confirmed else "finished confirm run"
        paragraphs = (
            f"{without} of {labels.plural(len(values.cells), 'cell')} {verb} no {what} with "
            f"{results.metric}; their values are missing, not imputed.",
        )
    return Section(title="Comparison", paragraphs=paragraphs, charts=charts)


def _chart(
    cells: pd.DataFrame,
    *,
    layout: grid.Layout,
    values: DisplayValues,
    results: Results,
    number: int,
) -> Chart:
    paths = [path for path in (layout.x, layout.y, *layout.panels) if path]
    metric = results.metric
    title = metric + ("" if values.confirmed else " of the best search trial")
    title += f" by {labels.join(paths)}" if paths else ""
    data = cells[["arm", "cell", *paths, *values.columns]]
    seeds = _seeds(results, shown=values)
    several = any(len(each) > 1 for each in seeds.values())
    naming = results.naming
    moving: str | None = None
    how = "Rings are seeds, lines are intervals." if several else ""
    if layout.x is None:
        figure = points.one_below_another(
            cells, seeds=seeds, metric=metric, title=title, naming=naming
        )
    elif layout.y is None:
        figure = points.along_path(
            cells, path=layout.x, seeds=seeds, metric=metric, title=title, naming=naming
        )
    else:
        scale = drawing.colour_scale(values.cells["value"])
        figure = heatmap.heat_map(
            cells, layout=layout, metric=metric, scale=scale, title=title, naming=naming
        )
        logarithmic = drawing.needs_log(values.cells["value"])
        how = "The colour scale is logarithmic. " if logarithmic else ""
        how += "Hatched: no finished run."
        moving = moving_heat_map(cells, layout=layout, metric=metric, scale=scale, naming=naming)
        if layout.panels:
            how += " In report.html the axes and the values of the other paths can be selected."
    if layout.y is None:
        # In one field, so that a row stays a cell; repr keeps all digits.
        texts = [" ".join(map(repr, seeds.get(cell, ()))) for cell in cells["cell"]]
        data = data.assign(seeds=texts)
    return Chart(
        name="comparison" if number == 0 else f"comparison-{number + 1}",
        title=title,
        caption=f"Each value is {values.what}; {labels.direction(metric)}. {how}".strip(),
        figure=figure,
        data=data,
        interactive=moving,
    )


def _seeds(results: Results, *, shown: DisplayValues) -> dict[str, list[float]]:
    """Return last values of confirm runs by cell; empty where search trials are shown."""
    column = f"{results.metric}.last"
    runs = results.runs
    if not shown.confirmed or column not in runs:
        return {}
    return {
        str(cell): [float(value) for value in group[column].dropna()]
        for cell, group in runs[runs["ranked"]].groupby("cell")
    }
