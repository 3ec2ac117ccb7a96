"""Cells: compared values, estimate, best tuned values and size of every cell."""

import pandas as pd

from seqtune.report.data.display_values import display_values
from seqtune.report.data.results import Results
from seqtune.report.naming import labels
from seqtune.report.naming.names import name_values
from seqtune.report.sections.section import Section, Table
from seqtune.training.measurement import HIGHER_IS_BETTER


def section(results: Results) -> Section:
    """Return one row per cell, and the bias of the search where cells were confirmed."""
    values = display_values(results)
    cells = values.cells
    columns: dict[str, object] = {**results.naming.columns(cells), "n": cells["n"]}
    if values.confirmed:
        columns[f"mean {results.metric}"] = cells["value"]
        columns["95 % interval"] = labels.intervals(cells["low"], high=cells["high"])
    if cells["best_trial_value"].notna().any():
        columns["best search trial"] = cells["best_trial_value"]
    columns |= {f"best {path}": _tuned(cells[f"best.{path}"]) for path in results.tuned}
    columns["parameters"] = cells["parameters"]
    caption = f"Cells. The value is {values.what}; {labels.direction(results.metric)}." + (
        " Tuned values are those of the best finished search trial." if results.tuned else ""
    )
    tables = (Table(caption, pd.DataFrame(columns)), *_selection_bias(results))
    return Section(title="Cells", tables=tables)


def _selection_bias(results: Results) -> list[Table]:
    """Compare best search trials with their confirm runs; no table where no cell has both."""
    cells, metric = results.cells, results.metric
    cells = cells[cells["best_trial_value"].notna() & cells["mean"].notna()]
    if not len(cells):
        return []
    tuned = cells["best_trial_value"]
    data = cells[["arm", "cell", *results.compared, "search_trials", "n"]].assign(
        tuned=tuned,
        confirmed=cells["mean"],
        gap=tuned - cells["mean"],
        gap_low=tuned - cells["ci_high"],
        gap_high=tuned - cells["ci_low"],
    )
    columns = {
        **results.naming.columns(cells),
        "search trials": data["search_trials"],
        "best of them": data["tuned"],
        "n": data["n"],
        "confirmed mean": data["confirmed"],
        "tuned minus confirmed": data["gap"],
        "95 % interval": labels.intervals(data["gap_low"], high=data["gap_high"]),
    }
    advantages = data["gap"] * (1 if metric in HIGHER_IS_BETTER else -1)
    caption = (
        f"Selection bias: {metric} of the best search trial, and the mean of its tuned values over "
        "fresh seeds; the interval is that of the mean. The best of several trials is partly lucky:"
        f" in {int((advantages > 0).sum())} of {labels.plural(len(data), 'cell')} it looks better "
        "than its confirm runs; the mean advantage over cells is "
        f"{labels.number(float(advantages.mean()))}."
    )
    return [Table(caption, pd.DataFrame(columns), name="selection", data=data)]


def _tuned(values: pd.Series) -> list[str]:
    # Three digits of a value that was drawn from a continuous range are enough.
    names = name_values(value for value in values if not isinstance(value, float))
    return [
        labels.number(each) if isinstance(each, float) else names.get(each, "") for each in values
    ]
