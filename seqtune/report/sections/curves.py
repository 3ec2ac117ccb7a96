"""Learning curves: the best run of every cell, against the floor, or against references."""

from dataclasses import dataclass

import pandas as pd

from seqtune.report import floors, frames, labels, lines, references, shading
from seqtune.report.grid import task_first
from seqtune.report.naming import Naming
from seqtune.report.results import Results
from seqtune.report.section import Chart, Section
from seqtune.report.values import is_missing

REFERRED = "valid/loss"
"""The metric that references are measured in."""


def section(results: Results) -> Section:
    """valid/loss with its floor, and the sweep's own metric where it is another."""
    best = results.best
    charts = tuple(
        _chart(best, metric=metric, results=results)
        for metric in dict.fromkeys(("valid/loss", results.metric))
        if f"{metric}.last" in best and best[f"{metric}.last"].notna().any()
    )
    paragraphs: list[str] = [] if charts else ["No finished run has anything to draw."]
    names = results.naming.cells
    missing = [names[cell] for cell in results.cells["cell"] if cell not in set(best["cell"])]
    if missing and charts:
        paragraphs.append(f"Without a finished run, and so without a curve: {'; '.join(missing)}.")
    return Section(title="Learning curves", paragraphs=tuple(paragraphs), charts=charts)


def _chart(best: pd.DataFrame, *, metric: str, results: Results) -> Chart:
    arrangement = _arrangement(best, compared=results.compared)
    curves = [
        _line(row, metric=metric, arrangement=arrangement, results=results)
        for _, row in best.iterrows()
    ]
    title = f"{metric} of the best run of each cell"
    picture = lines.small_multiples(
        [curve for curve in curves if curve.values], metric=metric, title=title
    )
    data = _data(best, metric=metric, results=results)
    if picture.shaded:
        truths = results.curves[results.curves["metric"] == "forcing"]
        truths = truths[["run", "epoch", "value"]].rename(columns={"value": "truth"})
        data = data.merge(truths, on=["run", "epoch"], how="left")
    return Chart(
        name="curves-" + metric.replace("/", "-"),
        title=title,
        caption=_caption(best, metric=metric, picture=picture, results=results),
        figure=picture.figure,
        data=data,
    )


def _data(best: pd.DataFrame, *, metric: str, results: Results) -> pd.DataFrame:
    mine = results.curves[results.curves["metric"] == metric]
    columns = ["run", "cell", "phase", *results.compared, *_bounds(best, metric=metric)]
    return best[columns].merge(mine[["run", "epoch", "step", "tokens", "value"]], on="run")


def _bounds(best: pd.DataFrame, *, metric: str) -> list[str]:
    """Columns of what a metric is drawn against."""
    floor = [floors.BOUNDED[metric], "floor.share"] if metric in floors.BOUNDED else []
    named = [str(column) for column in best if str(column).startswith(frames.REFERENCE)]
    return [*floor, *(named if metric == REFERRED else [])]


def _caption(best: pd.DataFrame, *, metric: str, picture: lines.Picture, results: Results) -> str:
    searched = int((best["phase"] == "search").sum())
    if best["phase"].isna().all():
        of = "of every finished run; a line is one run (n = 1)."
    else:
        kind = "search trial" if searched == len(best) else "confirm run"
        of = (
            f"of each cell's best finished {kind} by the last value of {results.metric}; a line is one run "
            "(n = 1), chosen for being the best."
        )
    sentences = [
        f"{metric} after every epoch over the tokens trained on, {of}",
        "Dashed: the exact floor of the validation strings." if picture.has_floor else "",
        floors.note(best, metric=metric),
        "Dotted: references, which are named predictors on the same validation data; they are no floor."
        if picture.has_references
        else "",
        "Lines of one panel whose strings have different references are drawn without any; Provenance "
        "lists them."
        if picture.mixed_panels
        else "",
        f"Marked (search): the best search trial of {labels.plural(searched, 'cell')} without a finished "
        "confirm run."
        if 0 < searched < len(best)
        else "",
        f"Triangles at the lower edge: {labels.plural(picture.off_scale, 'value')} at or below 0, for which "
        "a logarithmic scale has no place."
        if picture.off_scale
        else "",
        _shading_note(picture),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _shading_note(picture: lines.Picture) -> str:
    if not picture.shaded:
        return ""
    rows = (
        " Where lines of one panel differ in it, a row above the panel shows it for each."
        if picture.has_rows
        else ""
    )
    return (
        "Grey: by how dark it is, how much of its own output a model read in an epoch (1 - forcing); white "
        f"is plain teacher forcing, and dashes in it are where that jumps.{rows}"
    )


@dataclass(frozen=True)
class _Arrangement:
    """What makes a panel, and what tells its lines apart."""

    panel: str | None
    arms_apart: bool
    inside: tuple[str, ...]


def _arrangement(best: pd.DataFrame, *, compared: tuple[str, ...]) -> _Arrangement:
    """A panel a value of the first path; an arm has its own if together they would crowd it."""
    paths = task_first(compared)
    if not paths or (len(paths) == 1 and best["arm"].isna().all()):
        return _Arrangement(panel=None, arms_apart=False, inside=tuple(paths))
    first, *others = paths
    crowd = int(best.groupby(first, dropna=False).size().max()) if len(best) else 0
    return _Arrangement(panel=first, arms_apart=crowd > lines.LINES_A_PANEL, inside=tuple(others))


def _line(
    row: pd.Series, *, metric: str, arrangement: _Arrangement, results: Results
) -> lines.Line:
    naming, curves = results.naming, results.curves
    curve = curves[(curves["run"] == row["run"]) & (curves["metric"] == metric)]
    curve = curve.dropna(subset="value")
    arm = "" if is_missing(row["arm"]) else str(row["arm"])
    inside = {path: row[path] for path in arrangement.inside}
    settings = naming.settings(row, paths=inside)
    panel = _panel_title(row, path=arrangement.panel, naming=naming)
    if arrangement.arms_apart:
        panel, arm = _joined(panel, arm), ""
    named = bool(inside) or arrangement.panel is not None or bool(arm)
    return lines.Line(
        panel=panel,
        name=_joined(arm, settings) if named else naming.brief[row["cell"]],
        rank=next(iter(inside.values())) if len(inside) == 1 and not arm else None,
        tokens=[float(value) for value in curve["tokens"]],
        values=[float(value) for value in curve["value"]],
        floor=floors.line(row, metric=metric),
        references=references.of_run(row) if metric == REFERRED else {},
        searched=row["phase"] == "search",
        forced=shading.of_run(curves, run=str(row["run"])),
    )


def _panel_title(row: pd.Series, *, path: str | None, naming: Naming) -> str:
    if path is None or is_missing(row[path]):
        return ""
    return f"{path} = {naming.value(row[path], path=path)}"


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
