"""Ranking: the order of the cells, and the differences of all pairs."""

import math

import pandas as pd

from seqtune.report.data.ranking import MOST_CELLS
from seqtune.report.data.results import Results
from seqtune.report.naming import labels
from seqtune.report.sections.section import MOST_ROWS, Section, Table
from seqtune.stats.estimates import interval_name


def section(results: Results) -> Section | None:
    """Return the ranking and the comparisons of all pairs; None where no cell has a value."""
    ranking = results.ranking
    if all(row.rank is None for row in ranking.rows):
        return None
    pairs = [_pairs(results)] if ranking.pairs else []
    return Section(title="Ranking", tables=(_ranks(results), *pairs))


def _ranks(results: Results) -> Table:
    ranking, names = results.ranking, results.naming.cells
    rows, data = ranking.rows, ranking.frame()
    columns: dict[str, object] = {
        "rank": ["" if row.rank is None else str(row.rank) for row in rows]
    }
    if len(ranking.groups) > 1:
        columns["task"] = [row.group for row in rows]
    columns |= {
        "cell": [names[row.cell] for row in rows],
        "n": data["n"],
        f"mean {results.metric}": data["mean"],
        "95 % interval": labels.intervals(data["ci_low"], high=data["ci_high"]),
    }
    caption = (
        f"Ranking by the mean of {results.metric} over a cell's finished confirm runs, with its "
        f"{interval_name(data['n'])}; {labels.direction(results.metric)}. A cell shares the rank "
        "of a better one from which it does not differ significantly (ranking.csv has all digits)."
    )
    if data["interquartile_mean"].notna().any():
        columns["interquartile mean"] = data["interquartile_mean"]
        columns["its interval"] = labels.intervals(data["iqm_low"], high=data["iqm_high"])
        caption += " The interquartile mean leaves out the lowest and the highest quarter of runs."
    sizes = [
        sum(row.group == group and row.estimate.n > 0 for row in rows) for group in ranking.groups
    ]
    if max(sizes) > MOST_CELLS:
        caption += " A cell that is not compared has no rank."
    return Table(caption, pd.DataFrame(columns))


def _pairs(results: Results) -> Table:
    pairs, names = results.ranking.pairs, results.naming.cells
    data = pd.DataFrame(
        {
            "left": [pair.left for pair in pairs],
            "right": [pair.right for pair in pairs],
            "n": [pair.n for pair in pairs],
            "difference": [pair.difference.mean for pair in pairs],
            "ci_low": [pair.difference.low for pair in pairs],
            "ci_high": [pair.difference.high for pair in pairs],
            "improvement": [pair.improvement for pair in pairs],
            "p": [pair.p for pair in pairs],
            "p_holm": [pair.adjusted for pair in pairs],
            "interval": [pair.difference.interval or None for pair in pairs],
        }
    )
    shown = pd.DataFrame(
        {
            "cell": data["left"].map(names),
            "against": data["right"].map(names),
            "n": data["n"],
            "difference": data["difference"],
            "95 % interval": labels.intervals(data["ci_low"], high=data["ci_high"]),
            "better in": [
                "" if math.isnan(each) else f"{each:.0%}" for each in data["improvement"]
            ],
            "p (Holm)": data["p_holm"],
        }
    )
    caption = (
        f"Differences in {results.metric}, cell minus the one against it, over runs with the same "
        f"seed: mean and {interval_name(data['n'])}; share of all pairs of their runs in which the "
        "cell is better; p of a sign-flip test, after Holm over all "
        f"{labels.plural(results.ranking.counted, 'pair')}."
    )
    if len(pairs) > MOST_ROWS:
        caption += " The smallest p values come first."
        shown = shown.sort_values("p (Holm)", kind="stable")
    return Table(caption, shown, name="pairs", data=data)
