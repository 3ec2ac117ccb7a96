"""The answer: which cell is best, as far as the seeds can tell, and what every difference is."""

import math

import pandas as pd

from seqtune.report import labels
from seqtune.report.data.pairs import MOST_CELLS
from seqtune.report.data.ranking import Ranked
from seqtune.report.data.results import Results
from seqtune.report.sections.section import MOST_ROWS, Section, Table
from seqtune.stats.estimates import interval_name

NAMED = 10
"""Cells that the answer's sentence names beside the best one."""


def section(results: Results) -> Section | None:
    """A sentence a family, the ranking, and all pairs; None where no cell has a value."""
    found = results.ranking
    if all(row.rank is None for row in found.rows):
        return None
    paragraphs = [
        f"{_answer(family, results=results)}{_left_out(family, results=results)}"
        for family in found.families
    ]
    if found.underpowered:
        paragraphs.append(f"This design is too small to decide: {found.underpowered}.")
    tables = [_ranks(results)]
    if found.pairs:
        tables.append(_pairs(results))
    return Section(title="Ranking", paragraphs=tuple(paragraphs), tables=tuple(tables))


def _answer(family: str, *, results: Results) -> str:
    """The best cell of a family in a sentence, or why there is none."""
    found, names = results.ranking, results.naming.cells
    within = f"At {family}: " if family else ""
    rows = [row for row in found.rows if row.family == family and row.rank is not None]
    if not rows:
        return f"{within}undecided, because no cell has a finished confirm run."
    best = found.best(family)
    first = names[best[0].cell]
    value = f"{results.metric} {labels.number(best[0].estimate.mean)}{_interval(best[0])}"
    if len(rows) == 1:
        return f"{within}{first} has {value}; there is no other cell to compare it with."
    if len(best) == 1:
        return f"{within}{first} is best, with {value}; every other cell is worse beyond chance."
    if len(best) == len(rows):
        return f"{within}undecided, because no cell can be told from the one with the best mean, {first} ({value})."
    others = "; ".join(names[row.cell] for row in best[1 : 1 + NAMED])
    more = f" and {len(best) - 1 - NAMED} more" if len(best) - 1 > NAMED else ""
    worse = len(rows) - len(best)
    return (
        f"{within}undecided among {labels.plural(len(best), 'cell')}: {first} has the best mean ({value}), and "
        f"cannot be told from {others}{more}; {labels.plural(worse, 'other')} "
        f"{'is' if worse == 1 else 'are'} worse beyond chance."
    )


def _left_out(family: str, *, results: Results) -> str:
    """That there are cells which are not compared."""
    rows = [row for row in results.ranking.rows if row.family == family and row.estimate.n]
    if len(rows) <= MOST_CELLS:
        return ""
    return f" Of {len(rows):,} cells the {MOST_CELLS} with the best means are compared."


def _interval(row: Ranked) -> str:
    return f" {text}" if (text := labels.interval(row.estimate.low, high=row.estimate.high)) else ""


def _ranks(results: Results) -> Table:
    found, names = results.ranking, results.naming.cells
    data = found.frame()
    columns: dict[str, object] = {"rank": [_rank(row) for row in found.rows]}
    if len(found.families) > 1:
        columns["task"] = [row.family for row in found.rows]
    columns |= {
        "cell": [names[row.cell] for row in found.rows],
        "n": data["n"],
        f"mean {results.metric}": data["mean"],
        "95 % interval": [
            labels.interval(row.estimate.low, high=row.estimate.high) for row in found.rows
        ],
    }
    middle = ""
    if data["interquartile_mean"].notna().any():
        columns["interquartile mean"] = data["interquartile_mean"]
        columns["its interval"] = [
            labels.interval(row.middle.low, high=row.middle.high) for row in found.rows
        ]
        middle = " The interquartile mean is that of the runs without the lowest and the highest quarter."
    caption = (
        f"Ranking by the mean of {results.metric} over a cell's finished confirm runs, with its {interval_name(data['n'])}; "
        f"{labels.direction(results.metric)}. A cell shares the rank of a better one that it cannot be told from (ranking.csv has every digit).{middle}"
    )
    if any(_left_out(family, results=results) for family in found.families):
        caption += " A cell that is not compared has no rank."
    return Table(caption, pd.DataFrame(columns))


def _rank(row: Ranked) -> str:
    return "" if row.rank is None else str(row.rank)


def _pairs(results: Results) -> Table:
    found, names = results.ranking.pairs, results.naming.cells
    data = pd.DataFrame(
        {
            "left": [pair.left for pair in found],
            "right": [pair.right for pair in found],
            "n": [pair.n for pair in found],
            "difference": [pair.difference.mean for pair in found],
            "ci_low": [pair.difference.low for pair in found],
            "ci_high": [pair.difference.high for pair in found],
            "improvement": [pair.improvement for pair in found],
            "p": [pair.p for pair in found],
            "p_holm": [pair.adjusted for pair in found],
            "interval": [pair.difference.interval or None for pair in found],
        }
    )
    shown = pd.DataFrame(
        {
            "cell": [names[pair.left] for pair in found],
            "against": [names[pair.right] for pair in found],
            "n": data["n"],
            "difference": data["difference"],
            "95 % interval": [
                labels.interval(pair.difference.low, high=pair.difference.high) for pair in found
            ],
            "better in": [_share(pair.improvement) for pair in found],
            "p (Holm)": data["p_holm"],
        }
    )
    caption = (
        f"Differences of {results.metric}, cell minus the one against it, over runs with the same seed: mean and "
        f"{interval_name(data['n'])}; in what share of all pairs of their runs the cell is better; p of a sign-flip test, after Holm over "
        f"all {labels.plural(results.ranking.counted, 'pair')}."
    )
    if len(found) > MOST_ROWS:
        caption += " The most certain differences come first."
        shown = shown.sort_values("p (Holm)", kind="stable")
    return Table(caption, shown, name="pairs", data=data)


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.0%}"
