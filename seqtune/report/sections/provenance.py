"""Provenance: sweep, data, devices, commits and versions behind the numbers, and references."""

from collections.abc import Mapping

import pandas as pd

from seqtune.report.data import references
from seqtune.report.data.results import Results
from seqtune.report.naming import labels
from seqtune.report.sections.section import Section, Table

REFERENCES = (
    "References: scores of named predictors on the same validation data, in nats per scored token. "
    "They are not floors."
)


def section(results: Results) -> Section:
    """Return where the runs come from, with counts where they differ, and their references."""
    source = results.provenance
    first, last = source.created
    settings, hours = source.settings, results.cells["seconds"].sum() / 3600
    lines = {
        "sweep": _count(source.sweeps),
        **({} if settings is None else {"--set": "; ".join(settings) or "nothing"}),
        "runs": f"{len(results.runs):,}",
        "created": first if first == last else f"{first} to {last}",
        **({"data (SHA-256)": _count(source.data)} if source.data else {}),
        "device": _count(source.devices),
        "git commit": _count(source.commits),
        "versions": _count(source.versions),
        "training time": f"{labels.number(hours)} hours in all runs",
    }
    frame = pd.DataFrame({"what": lines.keys(), "value": lines.values()})
    note = (
        "All numbers are from the run directories, and in trials.csv, curves.csv and cells.csv. "
        "Rejected trials, retried runs and cells given up are from decisions.jsonl; --set is from "
        "plan.json."
    )
    tables = (Table("", frame), *_references(results))
    return Section(title="Provenance", paragraphs=(note,), tables=tables)


def _references(results: Results) -> list[Table]:
    """Return scores of references, one column for all cells with the same validation strings."""
    given = references.by_cell(results.runs)
    if not given:
        return []
    cells = results.cells[results.cells["cell"].isin(list(given))]
    groups = references.group([given[cell] for cell in cells["cell"]])
    named = results.naming.name_groups(cells, groups=groups)
    frame = pd.DataFrame(
        {"reference": list(dict.fromkeys(name for each in given.values() for name in each))}
    )
    for group in dict.fromkeys(groups):
        scores = given[cells["cell"].iloc[groups.index(group)]]
        whose = f", {_first_two(named[group])}" if len(named) > 1 else ""
        frame[f"nats a token{whose}"] = frame["reference"].map(scores.get)
    return [Table(REFERENCES, frame)]


def _first_two(names: list[str]) -> str:
    more = f" and {labels.plural(len(names) - 2, 'other')}" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more


def _count(values: Mapping[str, int]) -> str:
    if len(values) == 1:
        return next(iter(values))
    return "; ".join(f"{value} ({labels.plural(count, 'run')})" for value, count in values.items())
