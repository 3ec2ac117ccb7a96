"""Every cell in figures: compared values, estimate, best tuned values, size."""

import pandas as pd

from seqtune.report import labels
from seqtune.report.results import Results
from seqtune.report.section import Section, Table
from seqtune.report.shown import shown


def section(results: Results) -> Section:
    """A row a cell."""
    values = shown(results)
    cells = values.cells
    columns: dict[str, object] = {}
    if any(cells["arm"]):
        columns["arm"] = cells["arm"]
    columns |= {path: cells[path].map(labels.value) for path in results.compared}
    if not results.compared:
        columns["cell"] = cells["cell"]
    columns["n"] = cells["n"]
    if values.confirmed:
        columns[f"mean {results.metric}"] = cells["value"]
        columns["95 % interval"] = [
            labels.interval(row["low"], high=row["high"]) for _, row in cells.iterrows()
        ]
    if cells["best_trial_value"].notna().any():
        columns["best search trial"] = cells["best_trial_value"]
    columns |= {f"best {path}": cells[f"best.{path}"].map(_tuned) for path in results.tuned}
    columns["parameters"] = cells["parameters"]
    caption = f"Cells. The value is {values.what}; {labels.direction(results.metric)}." + (
        " Tuned values are those of the best finished search trial." if results.tuned else ""
    )
    return Section(title="Cells", tables=(Table(caption, pd.DataFrame(columns)),))


def _tuned(value: object) -> str:
    """Drawn from a continuum, a number needs three digits, not all of them."""
    return labels.number(value) if isinstance(value, float) else labels.value(value)
