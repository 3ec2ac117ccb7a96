"""Which panel a cell's learning curve stands in, and what it is called there."""

from dataclasses import dataclass

import pandas as pd

from seqtune.report.data import floors, references
from seqtune.report.data.results import Results
from seqtune.report.figures import lines, shading
from seqtune.report.naming.labels import is_missing
from seqtune.report.naming.names import Naming, task_first

REFERRED = "valid/loss"
"""The metric that references are measured in."""


def best_lines(results: Results, *, metric: str) -> dict[str, lines.Line]:
    """The curve of the best run of every cell that has one, by cell."""
    arrangement = _arrangement(results.best, compared=results.compared)
    # Once, not cell by cell: there may be millions of values.
    curves = results.curves[results.curves["run"].isin(results.best["run"].tolist())]
    found = {
        str(row["cell"]): _line(
            row, curves=curves, metric=metric, arrangement=arrangement, naming=results.naming
        )
        for _, row in results.best.iterrows()
    }
    return {cell: line for cell, line in found.items() if line.values}


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
    row: pd.Series, *, curves: pd.DataFrame, metric: str, arrangement: _Arrangement, naming: Naming
) -> lines.Line:
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
