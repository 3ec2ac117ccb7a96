"""Every cell in figures: compared values, estimate, best tuned values, size."""

import pandas as pd

from seqtune.report import labels
from seqtune.report.data.display_values import shown
from seqtune.report.data.results import Results
from seqtune.report.naming import together
from seqtune.report.sections.section import Section, Table
from seqtune.training.measurement import HIGHER_IS_BETTER


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
    tables = (Table(caption, pd.DataFrame(columns)), *_selection(results))
    return Section(title="Cells", tables=tables)


def _selection(results: Results) -> list[Table]:
    """What the search promised and what fresh seeds kept of it; none where no cell has both."""
    cells, metric = results.cells, results.metric
    cells = cells[cells["best_trial_value"].notna() & cells["mean"].notna()]
    if not len(cells):
        return []
    tuned, low, high = cells["best_trial_value"], cells["ci_low"], cells["ci_high"]
    data = cells[["arm", "cell", *results.compared, "search_trials", "n"]].assign(
        tuned=tuned,
        confirmed=cells["mean"],
        gap=tuned - cells["mean"],
        gap_low=tuned - high,
        gap_high=tuned - low,
    )
    columns = {
        **results.naming.columns(cells),
        "search trials": data["search_trials"],
        "best of them": data["tuned"],
        "n": data["n"],
        "confirmed mean": data["confirmed"],
        "tuned minus confirmed": data["gap"],
        "95 % interval": [
            labels.interval(row["gap_low"], high=row["gap_high"]) for _, row in data.iterrows()
        ],
    }
    advantages = data["gap"] * (1 if metric in HIGHER_IS_BETTER else -1)
    caption = (
        f"Selection against report: {metric} of the search trial that was chosen, and the mean over fresh seeds "
        f"of the values that it chose; the interval is that of the mean. The best of several trials is partly the "
        f"luckiest: in {int((advantages > 0).sum())} of {labels.plural(len(data), 'cell')} it looks better than its "
        f"confirm runs; on average over cells the advantage is {labels.number(float(advantages.mean()))}."
    )
    return [Table(caption, pd.DataFrame(columns), name="selection", data=data)]


def _tuned(values: pd.Series) -> list[str]:
    """Drawn from a continuum, a number needs three digits, not all of them."""
    names = together(value for value in values if not isinstance(value, float))
    return [
        labels.number(each) if isinstance(each, float) else names.get(each, "") for each in values
    ]
