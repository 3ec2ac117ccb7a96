"""Search: importance of the tuned values, the values tried, and their scores."""

from collections.abc import Mapping, Sequence

import pandas as pd

from seqtune.report.data.results import Results
from seqtune.report.data.search_trials import (
    FEWEST,
    TOP,
    TOP_SHARE,
    Importance,
    SearchTrial,
    importance,
    search_trials,
    tried_values,
)
from seqtune.report.figures.coordinates import Axis, axis
from seqtune.report.figures.search import Cells, parallel, slices
from seqtune.report.naming import labels
from seqtune.report.sections.section import Figure, Section, Table
from seqtune.training.measurement import HIGHER_IS_BETTER

MOST_TRIALS = 2000
"""Trials that are drawn; of a larger search, those of the cells with the best trials."""


def section(results: Results) -> Section | None:
    """Return slices, parallel coordinates and importance; None without a finished search trial."""
    found = [trial for trial in search_trials(results) if trial.values]
    if not found:
        return None
    names = results.naming.brief
    cells: dict[str, list[SearchTrial]] = {}
    for trial in found:
        cells.setdefault(names[trial.cell], []).append(trial)
    paths = [path for path in results.tuned if any(path in trial.values for trial in found)]
    axes = {path: axis(tried_values(results, path=path), title=path) for path in paths}
    score = axis([trial.score for trial in found], title=results.metric)
    drawn = best_cells(cells, metric=results.metric)
    figures = [_slices(drawn, axes=axes, score=score, results=results)]
    if len(axes) > 1:
        figures.append(_parallel(drawn, axes=axes, score=score, results=results))
    return Section(
        title="Search",
        paragraphs=(_what(drawn, found=found, results=results),),
        figures=tuple(figures),
        tables=tuple(_importance(cells, axes=axes, results=results)),
    )


def best_cells(
    cells: Cells, *, metric: str, most: int = MOST_TRIALS
) -> dict[str, Sequence[SearchTrial]]:
    """Return the cells with the best trials, at least one, up to a total of `most` trials."""
    kept: list[str] = []
    left = most
    for name in _ordered(cells, metric=metric):
        left -= len(cells[name])
        if kept and left < 0:
            break
        kept.append(name)
    return {name: trials for name, trials in cells.items() if name in kept}


def _ordered(cells: Cells, *, metric: str) -> list[str]:
    """Return the names of the cells, best trial first."""
    sign = -1 if metric in HIGHER_IS_BETTER else 1
    return sorted(cells, key=lambda name: min(sign * trial.score for trial in cells[name]))


def _what(drawn: Cells, *, found: list[SearchTrial], results: Results) -> str:
    asked = results.runs["phase"] == "search"
    left_out = int(asked.sum()) - len(found)
    rest = (
        f" {labels.plural(left_out, 'search trial')} that did not finish are left out, because "
        "their last values are from other epochs."
        if left_out
        else ""
    )
    count = sum(map(len, drawn.values()))
    part = (
        f" The {count:,} trials of the {labels.plural(len(drawn), 'cell')} with the best trials "
        "are drawn."
        if count < len(found)
        else ""
    )
    return f"{labels.plural(len(found), 'search trial')} finished.{rest}{part}"


def _slices(cells: Cells, *, axes: dict[str, Axis], score: Axis, results: Results) -> Figure:
    metric = results.metric
    title = f"{metric} over each tuned value"
    counts = labels.counts(len(each) for each in cells.values())
    log = " The scale of the score is logarithmic." if score.log else ""
    return Figure(
        name="slices",
        title=title,
        caption=(
            f"A point is a finished search trial: its last {metric} over one of its tuned values; "
            f"{labels.direction(metric)} ({counts} in each cell). The other tuned values vary too; "
            f"an axis spans all values that were tried.{log}"
        ),
        chart=slices(cells, axes=axes, score=score, metric=metric, title=title),
        data=_data(cells),
    )


def _parallel(cells: Cells, *, axes: dict[str, Axis], score: Axis, results: Results) -> Figure:
    metric, higher = results.metric, results.metric in HIGHER_IS_BETTER
    title = f"Tuned values and {metric} of every trial"
    best = _ordered(cells, metric=metric)[0]
    chosen = (
        f" The files show the cell with the best trial, {best}; in report.html another can be chosen."
        if len(cells) > 1
        else ""
    )
    return Figure(
        name="parallel",
        title=title,
        caption=(
            f"A line is a finished search trial: it crosses every axis at the value that it was given, and the last "
            f"at its {metric}. The darker, the better in its cell; below an axis, the trial was not given that value.{chosen}"
        ),
        chart=parallel(cells, axes=axes, score=score, title=title, higher=higher),
        data=_data(cells),
    )


def _data(cells: Cells) -> pd.DataFrame:
    """Return one row per trial."""
    rows = [
        {"run": trial.run, "cell": trial.cell, "score": trial.score, **trial.values}
        for each in cells.values()
        for trial in each
    ]
    return pd.DataFrame(rows)


def _importance(cells: Cells, *, axes: Mapping[str, Axis], results: Results) -> list[Table]:
    """Return importance by cell; no table for one tuned value, or without enough trials."""
    logs = {path for path, axis in axes.items() if axis.log}
    found = [importance(each, logs=logs, metric=results.metric) for each in cells.values()]
    known = [each for each in found if each.shares]
    if len(results.tuned) < 2 or not known:
        return []
    shown = pd.DataFrame(
        {
            "cell": [results.naming.cells[each.cell] for each in known],
            "n": [each.n for each in known],
            **{path: [each.shares.get(path) for each in known] for path in results.tuned},
        }
    )
    few = len(found) - len(known)
    without = (
        f" {labels.plural(few, 'cell')} with fewer than {FEWEST} finished trials, or without any "
        f"difference between them, {'is' if few == 1 else 'are'} left out."
        if few
        else ""
    )
    caption = (
        "Importance of the tuned values by Optuna's PED-ANOVA on the n finished trials of the cell:"
        f" how much the distribution of values among the best trials ({TOP}, or "
        f"{labels.percent(TOP_SHARE)} if that is more) differs from that among all; normalized to "
        "sum to 1. A conditional value is judged among the trials that have it. Stopped trials are "
        f"left out, and estimates from few trials are rough.{without}"
    )
    return [Table(caption, shown, name="importance", data=_importance_data(known))]


def _importance_data(known: list[Importance]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"cell": each.cell, "n": each.n, "top": each.top, "path": path, "importance": share}
            for each in known
            for path, share in each.shares.items()
        ]
    )
