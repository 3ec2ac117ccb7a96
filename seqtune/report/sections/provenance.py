"""Where the numbers come from."""

from collections.abc import Mapping

import pandas as pd

from seqtune.report import labels
from seqtune.report.results import Results
from seqtune.report.section import Section, Table


def section(results: Results) -> Section:
    """Sweep, runs, dates, devices, commits and versions; with counts where they differ."""
    source = results.provenance
    first, last = source.created
    lines = {
        "sweep": _counted(source.sweeps),
        "runs": f"{len(results.runs):,}",
        "created": first if first == last else f"{first} to {last}",
        "device": _counted(source.devices),
        "git commit": _counted(source.commits),
        "versions": _counted(source.versions),
        "training time": f"{labels.number(results.cells['seconds'].sum() / 3600)} hours in all runs",
    }
    frame = pd.DataFrame({"what": lines.keys(), "value": lines.values()})
    note = "Built from the run directories alone; every number is in trials.csv, curves.csv and cells.csv."
    return Section(title="Provenance", paragraphs=(note,), tables=(Table("", frame),))


def _counted(values: Mapping[str, int]) -> str:
    if len(values) == 1:
        return next(iter(values))
    return "; ".join(f"{value} ({labels.plural(count, 'run')})" for value, count in values.items())
