"""What became of every run: counts by state, and each run that is not over."""

import pandas as pd

from seqtune.report import labels
from seqtune.report.naming import Naming
from seqtune.report.results import Results
from seqtune.report.section import Section, Table
from seqtune.rundir import STATES


def section(results: Results) -> Section:
    """Every state counted in every cell; runs that still run by name."""
    runs = results.runs
    tables = [Table("Runs by state. Only finished runs are ranked.", _counts(results))]
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
            )
        )
    return Section(title="States", paragraphs=tuple(paragraphs), tables=tuple(tables))


def _counts(results: Results) -> pd.DataFrame:
    cells = results.cells[["cell", *STATES]]
    runs = cells[list(STATES)].sum(axis=1)
    counts = cells.assign(runs=runs, cell=cells["cell"].map(results.naming.cells))
    total = counts.drop(columns="cell").sum().to_dict() | {"cell": "total"}
    return pd.concat([counts, pd.DataFrame([total])], ignore_index=True)[counts.columns]


def _named(runs: pd.DataFrame, *, naming: Naming) -> pd.DataFrame:
    columns = ["cell", "phase", "trial", "seed", "epoch", "directory"]
    named = runs[columns].reset_index(drop=True)
    # A seed is a name, not a quantity: no commas.
    return named.assign(cell=named["cell"].map(naming.cells), seed=named["seed"].map(labels.value))
