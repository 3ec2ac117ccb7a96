"""Learning curves: mean over seeds and best run of each cell, with floors or references."""

from dataclasses import replace

import pandas as pd

from seqtune.report.data import floors, frames
from seqtune.report.data.bands import Band, bands
from seqtune.report.data.costs import COSTS
from seqtune.report.data.representative_runs import sort_by_metric
from seqtune.report.data.results import Results
from seqtune.report.figures.curves import (
    REFERRED,
    Line,
    Notes,
    best_lines,
    curves,
    mean_line,
)
from seqtune.report.naming import labels
from seqtune.report.sections.section import Figure, Section

MOST_CELLS = 100
"""Cells whose curves are drawn: readers cannot distinguish more, and each takes time and space."""


def section(results: Results) -> Section:
    """Return the curves of valid/loss, and of the sweep's metric if it is another."""
    everything, results = results, _drawn(results)
    best = results.best
    figures = tuple(
        figure
        for metric in dict.fromkeys(("valid/loss", results.metric))
        if f"{metric}.last" in best and best[f"{metric}.last"].notna().any()
        for figure in _figures(results, metric=metric)
    )
    paragraphs: list[str] = [] if figures else ["No finished run has anything to draw."]
    names = results.naming.cells
    with_curve = set(everything.best["cell"])
    missing = [names[cell] for cell in results.cells["cell"] if cell not in with_curve]
    if len(best) < len(everything.best):
        paragraphs.append(
            f"Of {len(everything.best):,} cells, the {len(best)} whose best runs have the best "
            f"last values of {results.metric} are drawn; curves.csv has every run."
        )
    if missing and figures:
        paragraphs.append(f"Without a finished run, and so without a curve: {'; '.join(missing)}.")
    return Section(title="Learning curves", paragraphs=tuple(paragraphs), figures=figures)


def _drawn(results: Results) -> Results:
    """Return the results with only the best runs that are drawn, in the order of the sweep."""
    best = sort_by_metric(results.best, metric=results.metric).head(MOST_CELLS)
    return replace(results, best=best.sort_index())


def _figures(results: Results, *, metric: str) -> list[Figure]:
    """The means where a cell has several runs, then the best runs."""
    found, best = bands(results, metric=metric), best_lines(results, metric=metric)
    figures = [_best_figure(results, lines=best, metric=metric)]
    if any(band.n > 1 for band in found):
        figures.insert(0, _mean_figure(results, found=found, lines=best, metric=metric))
    note = (
        " In report.html the axis can be tokens, steps, FLOPs or seconds, the scale linear or logarithmic, and a "
        "click on a name hides its curve."
    )
    figures[0] = replace(figures[0], caption=figures[0].caption + note)
    return figures


def _mean_figure(
    results: Results, *, found: list[Band], lines: dict[str, Line], metric: str
) -> Figure:
    drawn = [band for band in found if not band.searched and band.drawn]
    title = f"{metric}: mean over the seeds of each cell"
    chart, notes = curves(
        [mean_line(lines[band.cell], band=band) for band in drawn], metric=metric, title=title
    )
    of = (
        f"mean over a cell's finished confirm runs ({labels.counts(band.n for band in drawn)}), "
        "with a band from their minimum to their maximum, as far as they fit the scale."
    )
    if any(len(band.drawn) < len(band.mean) for band in drawn):
        of += " Gaps: at least one of the runs is infinite there."
    cells = results.best[results.best["cell"].isin([band.cell for band in drawn])]
    return Figure(
        name="mean-curves-" + metric.replace("/", "-"),
        title=title,
        caption=_caption(cells, metric=metric, notes=notes, of=of),
        chart=chart,
        data=pd.concat([_band_data(band) for band in drawn], ignore_index=True),
    )


def _band_data(band: Band) -> pd.DataFrame:
    values = {"mean": band.mean, "low": band.low, "high": band.high, "truth": band.truths}
    columns = {"epoch": band.epochs, **{name: band.places[name] for name in COSTS}, **values}
    return pd.DataFrame({"cell": band.cell, "n": band.n, **columns, "floor": band.floor})


def _best_figure(results: Results, *, lines: dict[str, Line], metric: str) -> Figure:
    best = results.best
    title = f"{metric} of the best run of each cell"
    chart, notes = curves([*lines.values()], metric=metric, title=title)
    data = _data(best, metric=metric, results=results)
    if notes.shaded:
        truths = results.curves[results.curves["metric"] == "forcing"]
        truths = truths[["run", "epoch", "value"]].rename(columns={"value": "truth"})
        data = data.merge(truths, on=["run", "epoch"], how="left")
    return Figure(
        name="curves-" + metric.replace("/", "-"),
        title=title,
        caption=_caption(best, metric=metric, notes=notes, of=_chosen(best, results=results)),
        chart=chart,
        data=data,
    )


def _data(best: pd.DataFrame, *, metric: str, results: Results) -> pd.DataFrame:
    mine = results.curves[results.curves["metric"] == metric]
    columns = ["run", "cell", "phase", *results.compared, *_bounds(best, metric=metric)]
    return best[columns].merge(mine[["run", "epoch", "step", "tokens", "value"]], on="run")


def _bounds(best: pd.DataFrame, *, metric: str) -> list[str]:
    """Return the columns of the floor and references drawn with a metric."""
    floor = [floors.BOUNDED[metric], "floor.share"] if metric in floors.BOUNDED else []
    named = [str(column) for column in best if str(column).startswith(frames.REFERENCE)]
    return [*floor, *(named if metric == REFERRED else [])]


def _chosen(best: pd.DataFrame, *, results: Results) -> str:
    """Describe which runs are drawn."""
    if best["phase"].isna().all():
        return "of every finished run; a line is one run (n = 1)."
    searched = (best["phase"] == "search").all()
    return (
        f"of each cell's best finished {'search trial' if searched else 'confirm run'} by the last "
        f"value of {results.metric}; a line is one run (n = 1), selected because it is the best."
    )


def _caption(best: pd.DataFrame, *, metric: str, notes: Notes, of: str) -> str:
    searched = int((best["phase"] == "search").sum())
    sentences = [
        f"{metric} after every epoch over the tokens trained on, {of}",
        "Dashed: the exact floor of the validation strings." if notes.has_floor else "",
        floors.note(best, metric=metric),
        "Dotted: references, which are named predictors on the same validation data; they are no floor."
        if notes.has_references
        else "",
        "Lines of one panel whose strings have different references are drawn without any; Provenance "
        "lists them."
        if notes.mixed_panels
        else "",
        f"Marked (search): the best search trial of {labels.plural(searched, 'cell')} without a "
        "finished confirm run."
        if 0 < searched < len(best)
        else "",
        f"Triangles at the lower edge: {labels.plural(notes.off_scale, 'value')} at or below 0, for which "
        "a logarithmic scale has no place."
        if notes.off_scale
        else "",
        _shading_note(notes),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _shading_note(notes: Notes) -> str:
    if not notes.shaded:
        return ""
    rows = (
        " Where lines of one panel differ in it, a row above the panel shows it for each."
        if notes.has_rows
        else ""
    )
    return (
        "Grey: by how dark it is, how much of its own output a model read in an epoch (1 - forcing); without "
        f"grey it is plain teacher forcing.{rows}"
    )
