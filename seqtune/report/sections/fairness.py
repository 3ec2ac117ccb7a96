"""What every cell was given, and whether the best one is best only because it was given more."""

from collections.abc import Iterator

import pandas as pd

from seqtune.report import labels
from seqtune.report.data.costs import COUNTED, spent
from seqtune.report.data.equal_budget import BUDGETS, Budget, budgets
from seqtune.report.data.ranking import Ranking
from seqtune.report.data.results import Results
from seqtune.report.sections.section import Section, Table


def section(results: Results) -> Section | None:
    """A table of costs, and the ranking under equal budgets; None of a single cell, or where nothing was measured."""
    if results.curves.empty or len(results.cells) < 2:
        return None
    found = [budget for budget in budgets(results) if _has_rivals(budget)]
    tables = [_costs(results)]
    if found:
        tables.append(_ranks(found, results=results))
    return Section(
        title="Fairness",
        paragraphs=tuple(_sentences(found, results=results)),
        tables=tuple(tables),
    )


def _has_rivals(budget: Budget) -> bool:
    """Whether some family has two cells with a value."""
    return any(len(_known(budget.ranking, family=family)) > 1 for family in budget.amounts)


def _known(ranking: Ranking, *, family: str) -> list[str]:
    """The cells of a family that have a value, the best first."""
    return [row.cell for row in ranking.rows if row.family == family and row.rank is not None]


def _sentences(found: list[Budget], *, results: Results) -> Iterator[str]:
    """For every family with rivals, whether its best cell changes."""
    for family in results.ranking.families:
        known = _known(results.ranking, family=family)
        rivals = [budget for budget in found if len(_known(budget.ranking, family=family)) > 1]
        if not known or not rivals:
            continue
        same = [each for each in rivals if _known(each.ranking, family=family)[0] == known[0]]
        within = f"At {family}: " if family else ""
        text = (
            f"{within}{results.naming.cells[known[0]]} has the best mean as the cells were trained"
        )
        if same:
            text += f", and also with {_or([_amount(each, family=family) for each in same])} a run"
        others = [
            _other(each, family=family, first=known[0], results=results)
            for each in rivals
            if each not in same
        ]
        yield "; ".join((text, *others)) + "."


def _other(budget: Budget, *, family: str, first: str, results: Results) -> str:
    """Which cell is best under a budget, where it is not the first of the ranking."""
    known, names = _known(budget.ranking, family=family), results.naming.cells
    text = f"with {_amount(budget, family=family)} a run it is {names[known[0]]}"
    if first not in known:
        return f"{text} ({names[first]} has no value so early)"
    tied = first in [row.cell for row in budget.ranking.best(family)]
    return f"{text}, {'which cannot be told from it' if tied else 'beyond chance'}"


def _amount(budget: Budget, *, family: str) -> str:
    return f"{labels.number(budget.amounts[family])} {BUDGETS[budget.cost]}"


def _or(texts: list[str]) -> str:
    *first, last = texts
    return f"{', '.join(first)} or {last}" if first else last


def _costs(results: Results) -> Table:
    """A row a cell: what a run of it cost, and what all of its runs did."""
    data, names = _costs_data(results), results.naming
    whose = (
        "those runs that stand for the cell, or all where none does"
        if results.runs["ranked"].any()
        else "all runs of the cell"
    )
    devices = len(results.provenance.devices)
    caption = (
        f"What every cell was given: means over {whose}, then sums over all its runs, search included. {COUNTED}"
        + (f" Seconds are those of {devices} kinds of devices." if devices > 1 else "")
    )
    shown = pd.DataFrame(
        {
            **names.columns(results.cells),
            **{
                title: data[name]
                for name, title in {
                    "parameters": "parameters",
                    "search_trials": "search trials",
                    "run_tokens": "tokens a run",
                    "run_flops": "FLOPs a run",
                    "run_seconds": "seconds a run",
                    "all_tokens": "tokens in all",
                    "all_flops": "FLOPs in all",
                    "all_seconds": "seconds in all",
                }.items()
            },
        }
    )
    return Table(caption, shown, name="fairness", data=data)


def _costs_data(results: Results) -> pd.DataFrame:
    runs = results.runs[["run", "cell", "ranked"]].merge(spent(results), on="run")
    rows: list[dict[str, object]] = []
    for _, cell in results.cells.iterrows():
        mine = runs[runs["cell"] == cell["cell"]]
        standing = mine[mine["ranked"]] if mine["ranked"].any() else mine
        rows.append(
            {
                "cell": cell["cell"],
                "parameters": cell["parameters"],
                "search_trials": cell["search_trials"],
                "runs": len(mine),
                **{f"run_{name}": standing[name].mean() for name in BUDGETS},
                # A sum over what is not known is not known.
                **{f"all_{name}": mine[name].sum(skipna=False) for name in BUDGETS},
            }
        )
    return pd.DataFrame(rows)


def _ranks(found: list[Budget], *, results: Results) -> Table:
    """A row a cell of the ranking: its rank and mean as trained, and under every budget."""
    columns: dict[str, object] = {
        "cell": [results.naming.cells[row.cell] for row in results.ranking.rows],
        "rank as trained": [_text(row.rank) for row in results.ranking.rows],
    }
    for budget in found:
        of = {row.cell: row for row in budget.ranking.rows}
        rows = [of[row.cell] for row in results.ranking.rows]
        columns[f"rank at equal {BUDGETS[budget.cost]}"] = [_text(row.rank) for row in rows]
        columns[f"mean at equal {BUDGETS[budget.cost]}"] = [row.estimate.mean for row in rows]
    frame = pd.DataFrame(columns)
    caption = (
        f"The ranking by {results.metric} at the largest budget that every ranked run of the same task has "
        "reached; between two evaluations a score is read off the line between them. A run that was planned "
        "for the smaller budget, with its own learning-rate schedule, might score better."
    )
    return Table(caption, frame, name="budgets", data=_ranks_data(found))


def _text(rank: int | None) -> str:
    return "" if rank is None else str(rank)


def _ranks_data(found: list[Budget]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "budget": budget.cost,
                "amount": budget.amounts[row.family],
                "family": row.family,
                "cell": row.cell,
                "rank": row.rank,
                "n": row.estimate.n,
                "mean": row.estimate.mean,
                "ci_low": row.estimate.low,
                "ci_high": row.estimate.high,
            }
            for budget in found
            for row in budget.ranking.rows
            if row.family in budget.amounts
        ]
    )
