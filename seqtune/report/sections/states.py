"""What became of every run: counts by state, and each run that is not over."""

import pandas as pd

from seqtune.report import labels
from seqtune.report.data.cells import SHARES
from seqtune.report.data.results import Results
from seqtune.report.naming import Naming
from seqtune.report.sections.section import Section, Table
from seqtune.runs.directory import STATES

NAMED = ["cell", "phase", "trial", "seed", "epoch", "directory"]
"""Columns that tell which run it is, and how far it has come."""


def section(results: Results) -> Section:
    """Every state counted in every cell; runs that still run by name."""
    runs = results.runs
    tables = [
        Table("Runs by state. Only finished runs are ranked.", _counts(results)),
        _shares(results),
    ]
    paragraphs: list[str] = []
    running = runs[runs["state"] == "running"]
    if len(running):
        paragraphs.append(
            f"{labels.plural(len(running), 'run')} {'is' if len(running) == 1 else 'are'} still in state running: the sweep was going on when the "
            "report was built, or it was interrupted. The same command again goes on with them."
        )
        tables.append(
            Table(
                "Running, or interrupted.",
                _named(running, naming=results.naming),
                name="running",
                data=running[NAMED].reset_index(drop=True),
            )
        )
    return Section(title="States", paragraphs=tuple(paragraphs), tables=tuple(tables))


def _counts(results: Results) -> pd.DataFrame:
    cells = results.cells[["cell", *STATES]]
    runs = cells[list(STATES)].sum(axis=1)
    counts = cells.assign(runs=runs, cell=cells["cell"].map(results.naming.cells))
    total = counts.drop(columns="cell").sum().to_dict() | {"cell": "total"}
    return pd.concat([counts, pd.DataFrame([total])], ignore_index=True)[counts.columns]


def _shares(results: Results) -> Table:
    """Of the states that any run is in."""
    cells = results.cells
    data = cells[["arm", "cell", *results.compared, *SHARES.values()]].assign(
        runs=cells[list(STATES)].sum(axis=1)
    )
    shown = pd.DataFrame({"cell": cells["cell"].map(results.naming.cells)}).assign(
        **{
            f"{state}, %": (100 * cells[share]).round(1)
            for state, share in SHARES.items()
            if cells[share].any()
        }
    )
    caption = (
        "Runs by state as shares of all runs of the cell, search trials and confirm runs together "
        f"({labels.counts(data['runs'])})."
    )
    return Table(caption, shown, name="states", data=data)


def _named(runs: pd.DataFrame, *, naming: Naming) -> pd.DataFrame:
    named = runs[NAMED].reset_index(drop=True)
    # A seed is a name, not a quantity: no commas.
    return named.assign(cell=named["cell"].map(naming.cells), seed=named["seed"].map(labels.value))
