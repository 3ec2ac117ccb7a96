"""Every cell in figures: compared values, estimate, best tuned values, size."""

import pandas as pd

from seqtune.report import labels
from seqtune.report.naming import together
from seqtune.report.results import Results
from seqtune.report.section import Section, Table
from seqtune.report.shown import shown


def section(results: Results) -> Section:
    """A row a cell."""
    values = shown(results)
    cells = values.cells
    columns: dict[str, object] = {**results.naming.columns(cells), "n": cells["n"]}
    if values.confirmed:
        columns[f"mean {results.metric}"] = cells["value"]
        columns["95 % interval"] = [
            labels.interval(row["low"], high=row["high"]) for _, row in cells.iterrows()
        ]
    if cells["best_trial_value"].notna().any():
        columns["best search trial"] = cells["best_trial_value"]
    columns |= {f"best {path}": _tuned(cells[f"best.{path}"]) for path in results.tuned}
    columns["parameters"] = cells["parameters"]
    caption = f"Cells. The value is {values.what}; {labels.direction(results.metric)}." + (
        " Tuned values are those of the best finished search trial." if results.tuned else ""
    )
    return Section(title="Cells", tables=(Table(caption, pd.DataFrame(columns)),))


def _tuned(values: pd.Series) -> list[str]:
    """Drawn from a continuum, a number needs three digits, not all of them."""
    names = together(value for value in values if not isinstance(value, float))
    return [
        labels.number(each) if isinstance(each, float) else names.get(each, "") for each in values
    ]
