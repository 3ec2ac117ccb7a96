"""Where the numbers come from."""

from collections.abc import Mapping

import pandas as pd

from seqtune.report import labels
from seqtune.report.data import references
from seqtune.report.data.results import Results
from seqtune.report.figures import grid
from seqtune.report.sections.section import Section, Table

REFERENCES = (
    "References: what named predictors score on the same validation data, in nats a scored token. They "
    "are no floor."
)


def section(results: Results) -> Section:
    """Sweep, settings, runs, dates, data, devices, commits, versions, counted where they differ; references."""
    source = results.provenance
    first, last = source.created
    lines = {
        "sweep": _counted(source.sweeps),
        **({} if source.settings is None else {"--set": _set(source.settings)}),
        "runs": f"{len(results.runs):,}",
        "created": first if first == last else f"{first} to {last}",
        **({"data (SHA-256)": _counted(source.data)} if source.data else {}),
        "device": _counted(source.devices),
        "git commit": _counted(source.commits),
        "versions": _counted(source.versions),
        "training time": f"{labels.number(results.cells['seconds'].sum() / 3600)} hours in all runs",
    }
    frame = pd.DataFrame({"what": lines.keys(), "value": lines.values()})
    note = (
        "Every number is from the run directories, and in trials.csv, curves.csv and cells.csv; from "
        "decisions.jsonl are trials refused, runs done again and cells given up, from plan.json what was --set."
    )
    tables = (Table("", frame), *_references(results))
    return Section(title="Provenance", paragraphs=(note,), tables=tables)


def _references(results: Results) -> list[Table]:
    """What named predictors score; a column for all cells that have the same validation strings."""
    given = references.by_cell(results.runs)
    if not given:
        return []
    cells = results.cells[results.cells["cell"].isin(list(given))]
    groups = references.grouped([given[cell] for cell in cells["cell"]])
    named = grid.named_groups(cells, groups=groups, naming=results.naming)
    frame = pd.DataFrame(
        {"reference": list(dict.fromkeys(name for each in given.values() for name in each))}
    )
    for group in dict.fromkeys(groups):
        scores = given[cells["cell"].iloc[groups.index(group)]]
        whose = f", {_few(named[group])}" if len(named) > 1 else ""
        frame[f"nats a token{whose}"] = frame["reference"].map(scores.get)
    return [Table(REFERENCES, frame)]


def _set(settings: tuple[str, ...]) -> str:
    """What was given on the command line beside the sweep's file."""
    return "; ".join(settings) or "nothing"


def _few(names: list[str]) -> str:
    """The first names of a group, and how many more there are."""
    more = f" and {labels.plural(len(names) - 2, 'other')}" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more


def _counted(values: Mapping[str, int]) -> str:
    if len(values) == 1:
        return next(iter(values))
    return "; ".join(f"{value} ({labels.plural(count, 'run')})" for value, count in values.items())
