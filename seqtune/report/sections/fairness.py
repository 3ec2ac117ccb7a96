"""Compute and fairness: what every cell cost, and whether the ranking holds at equal cost."""

from collections.abc import Iterator

import pandas as pd

from seqtune.report.data.costs import (
    BUDGETS,
    COUNTED,
    EqualBudget,
    rank_at_equal_budgets,
    total_costs,
)
from seqtune.report.data.results import Results
from seqtune.report.naming import labels
from seqtune.report.sections.section import Section, Table

COSTS = {
    "parameters": "parameters",
    "search_trials": "search trials",
    "run_tokens": "tokens a run",
    "run_flops": "FLOPs a run",
    "run_seconds": "seconds a run",
    "all_tokens": "tokens in all",
    "all_flops": "FLOPs in all",
    "all_seconds": "seconds in all",
}
"""Columns of the table of costs, and their headings."""


def section(results: Results) -> Section | None:
    """Return costs, and the ranking at equal budgets; None for one cell or without measurements."""
    if results.curves.empty or len(results.cells) < 2:
        return None
    budgets = [
        budget
        for budget in rank_at_equal_budgets(results)
        if any(len(budget.ranking.ranked(group)) > 1 for group in budget.amounts)
    ]
    return Section(
        title="Compute and fairness",
        paragraphs=tuple(_sentences(budgets, results=results)),
        tables=(_costs(results), *([_ranks(budgets, results=results)] if budgets else [])),
    )


def _sentences(budgets: list[EqualBudget], *, results: Results) -> Iterator[str]:
    """Say for every group with several cells whether its best cell changes."""
    for group in results.ranking.groups:
        ranked = results.ranking.ranked(group)
        mine = [budget for budget in budgets if len(budget.ranking.ranked(group)) > 1]
        if not ranked or not mine:
            continue
        first = ranked[0].cell
        same = [each for each in mine if each.ranking.ranked(group)[0].cell == first]
        within = f"At {group}: " if group else ""
        text = f"{within}{results.naming.cells[first]} has the best mean as the cells were trained"
        if same:
            amounts = labels.join([_amount(each, group=group) for each in same], word="or")
            text += f", and also with {amounts} a run"
        others = [
            _other_best(each, group=group, first=first, results=results)
            for each in mine
            if each not in same
        ]
        yield "; ".join((text, *others)) + "."


def _other_best(budget: EqualBudget, *, group: str, first: str, results: Results) -> str:
    """Say which cell is best at a budget where it is not the first of the ranking."""
    ranked, names = budget.ranking.ranked(group), results.naming.cells
    text = f"with {_amount(budget, group=group)} a run it is {names[ranked[0].cell]}"
    if first not in [row.cell for row in ranked]:
        return f"{text} ({names[first]} has no evaluation so early)"
    tied = first in [row.cell for row in budget.ranking.best(group)]
    return f"{text}, {'not significantly' if tied else 'significantly'} better"


def _amount(budget: EqualBudget, *, group: str) -> str:
    return f"{labels.number(budget.amounts[group])} {BUDGETS[budget.cost]}"


def _costs(results: Results) -> Table:
    """Return one row per cell: mean costs of its runs, and the sums over all of them."""
    data = _costs_data(results)
    runs = (
        "a cell's ranked runs, or all its runs where none is ranked"
        if results.runs["ranked"].any()
        else "all runs of the cell"
    )
    devices = len(results.provenance.devices)
    caption = (
        f"Costs of every cell: means over {runs}, then sums over all its runs, search included. "
        f"{COUNTED}" + (f" Seconds are from {devices} different devices." if devices > 1 else "")
    )
    costs = {title: data[name] for name, title in COSTS.items()}
    shown = pd.DataFrame({**results.naming.columns(results.cells), **costs})
    return Table(caption, shown, name="fairness", data=data)


def _costs_data(results: Results) -> pd.DataFrame:
    runs = results.runs[["run", "cell", "ranked"]].merge(total_costs(results), on="run")
    rows: list[dict[str, object]] = []
    for _, cell in results.cells.iterrows():
        mine = runs[runs["cell"] == cell["cell"]]
        ranked = mine[mine["ranked"]] if mine["ranked"].any() else mine
        rows.append(
            {
                "cell": cell["cell"],
                "parameters": cell["parameters"],
                "search_trials": cell["search_trials"],
                "runs": len(mine),
                **{f"run_{name}": ranked[name].mean() for name in BUDGETS},
                # If one cost is unknown, so is the sum.
                **{f"all_{name}": mine[name].sum(skipna=False) for name in BUDGETS},
            }
        )
    return pd.DataFrame(rows)


def _ranks(budgets: list[EqualBudget], *, results: Results) -> Table:
    """Return one row per cell: rank and mean as trained, and at every budget."""
    order = results.ranking.rows
    columns: dict[str, object] = {
        "cell": [results.naming.cells[row.cell] for row in order],
        "rank as trained": [_text(row.rank) for row in order],
    }
    for budget in budgets:
        by_cell = {row.cell: row for row in budget.ranking.rows}
        rows = [by_cell[row.cell] for row in order]
        columns[f"rank at equal {BUDGETS[budget.cost]}"] = [_text(row.rank) for row in rows]
        columns[f"mean at equal {BUDGETS[budget.cost]}"] = [row.estimate.mean for row in rows]
    caption = (
        f"The ranking by {results.metric} at the largest budget that all ranked runs of the same "
        "task have reached, interpolated linearly between evaluations. A run planned for the "
        "smaller budget, with its own learning-rate schedule, might score better."
    )
    return Table(caption, pd.DataFrame(columns), name="budgets", data=_ranks_data(budgets))


def _text(rank: int | None) -> str:
    return "" if rank is None else str(rank)


def _ranks_data(budgets: list[EqualBudget]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "budget": budget.cost,
                "amount": budget.amounts[row.group],
                "family": row.group,
                "cell": row.cell,
                "rank": row.rank,
                **row.estimate.columns,
            }
            for budget in budgets
            for row in budget.ranking.rows
            if row.group in budget.amounts
        ]
    )
