"""Comparison: the metric over the compared paths."""

import pandas as pd

from seqtune.report.data.display_values import DisplayValues, display_values
from seqtune.report.data.results import Results
from seqtune.report.figures import grid, theme
from seqtune.report.figures.heatmap import heat_map
from seqtune.report.figures.points import points
from seqtune.report.naming import labels
from seqtune.report.sections.section import Figure, Section


def section(results: Results) -> Section:
    """Return a heat map over two or more compared paths, or points with intervals over fewer."""
    values = display_values(results)
    layouts = grid.layouts(values.cells, compared=results.compared)
    figures = tuple(
        _figure(cells, layout=layout, values=values, results=results, number=number)
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
    return Section(title="Comparison", paragraphs=paragraphs, figures=figures)


def _figure(
    cells: pd.DataFrame,
    *,
    layout: grid.Layout,
    values: DisplayValues,
    results: Results,
    number: int,
) -> Figure:
    paths = [path for path in (layout.x, layout.y, *layout.panels) if path]
    metric = results.metric
    title = metric + ("" if values.confirmed else " of the best search trial")
    title += f" by {labels.join(paths)}" if paths else ""
    data = cells[["arm", "cell", *paths, *values.columns]]
    seeds = _seeds(results, shown=values)
    several = any(len(each) > 1 for each in seeds.values())
    naming = results.naming
    if layout.x is None or layout.y is None:
        how = "Rings are the seeds, a line is the interval." if several else ""
        chart = points(cells, path=layout.x, seeds=seeds, metric=metric, title=title, naming=naming)
    else:
        # One colour means one value in all heat maps of a report.
        known = values.cells["value"].dropna()
        log = theme.needs_log(known)
        chart = heat_map(
            cells,
            layout=layout,
            metric=metric,
            domain=(float(known.min()), float(known.max())) if len(known) else (0.0, 1.0),
            log=log,
            title=title,
            naming=naming,
        )
        how = "The colour scale is logarithmic. " if log else ""
        how += "Grey: no such run, or none that has finished."
        if layout.panels:
            how += " In report.html any two of the paths can be chosen as axes."
    if layout.y is None:
        # In one field, so that a row stays a cell; repr keeps all digits.
        texts = [" ".join(map(repr, seeds.get(cell, ()))) for cell in cells["cell"]]
        data = data.assign(seeds=texts)
    return Figure(
        name="comparison" if number == 0 else f"comparison-{number + 1}",
        title=title,
        caption=f"Each value is {values.what}; {labels.direction(metric)}. {how}".strip(),
        chart=chart,
        data=data,
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
