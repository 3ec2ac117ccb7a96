"""Answer: the best cell of each comparison group, what was measured, and on how many runs."""

from seqtune.report.data import floors
from seqtune.report.data.display_values import display_values
from seqtune.report.data.ranking import MOST_CELLS, RankedCell
from seqtune.report.data.results import Results
from seqtune.report.data.train_validation_overlap import seen_shares
from seqtune.report.naming import labels
from seqtune.report.sections.section import Section
from seqtune.training.measurement import METRICS, ZERO_FLOOR

NAMED = 10
"""Cells that the answer names besides the best one."""
MOST_SHARES = 6
"""With more cells or values to name, only the lowest and highest overlap are given."""


def section(results: Results) -> Section:
    """Return the answer of each group, the metric with its meaning, and the number of runs."""
    ranking = results.ranking
    paragraphs: list[str] = []
    if any(row.rank is not None for row in ranking.rows):
        paragraphs = [
            _answer(group, results=results) + _left_out(group, results=results)
            for group in ranking.groups
        ]
        if ranking.underpowered:
            paragraphs.append(f"This design is too small to decide: {ranking.underpowered}.")
    paragraphs += filter(None, (_measured(results), overlap(results), _size(results)))
    return Section(title="Answer", paragraphs=tuple(paragraphs))


def _answer(group: str, *, results: Results) -> str:
    """Name the best cell of a group in a sentence, or say why there is none."""
    ranking, names = results.ranking, results.naming.cells
    within = f"At {group}: " if group else ""
    rows = ranking.ranked(group)
    if not rows:
        return f"{within}undecided, because no cell has a finished confirm run."
    best = ranking.best(group)
    first = names[best[0].cell]
    value = f"{results.metric} {_estimate(best[0])}"
    if len(rows) == 1:
        return f"{within}{first} has {value}; there is no other cell to compare it with."
    if len(best) == 1:
        return f"{within}{first} is best, with {value}; every other cell is significantly worse."
    if len(best) == len(rows):
        return (
            f"{within}undecided, because no cell differs significantly from the one with the best "
            f"mean, {first} ({value})."
        )
    others = "; ".join(names[row.cell] for row in best[1 : 1 + NAMED])
    more = f" and {len(best) - 1 - NAMED} more" if len(best) - 1 > NAMED else ""
    worse = len(rows) - len(best)
    return (
        f"{within}undecided among {labels.plural(len(best), 'cell')}: {first} has the best mean "
        f"({value}), and does not differ significantly from {others}{more}; "
        f"{labels.plural(worse, 'other')} {'is' if worse == 1 else 'are'} significantly worse."
    )


def _estimate(row: RankedCell) -> str:
    of = row.estimate
    return labels.estimate(of.mean, low=of.low, high=of.high, n=of.n, of=of.n)


def _left_out(group: str, *, results: Results) -> str:
    """Say that only the best cells of a large group are compared."""
    rows = [row for row in results.ranking.rows if row.group == group and row.estimate.n]
    if len(rows) <= MOST_CELLS:
        return ""
    return f" Of {len(rows):,} cells the {MOST_CELLS} with the best means are compared."


def _measured(results: Results) -> str:
    metric = results.metric
    meaning = METRICS[metric].description if metric in METRICS else ""
    unit = labels.UNITS.get(metric, "")
    in_unit = f", in {unit}" if unit and unit.split()[0] not in meaning else ""
    explained = f": {meaning}{in_unit}" if meaning else ""
    what = (
        f"The metric is {metric}{explained}; {labels.direction(metric)}. "
        f"A value is {display_values(results).what}."
    )
    covered = floors.note(results.best, metric=metric) if metric in ZERO_FLOOR else ""
    return " ".join(filter(None, (what, covered)))


def overlap(results: Results) -> str:
    """Return each cell's train-validation overlap, with its meaning; empty if there is none."""
    shares = seen_shares(results)
    if not any(shares.values()):
        return ""
    meaning = (
        "Scores on strings seen in training do not measure generalization beyond the training "
        "strings."
    )
    texts = [labels.percent(share) for share in shares.values()]
    if len(set(texts)) == 1:
        where = "" if len(shares) == 1 else " in every cell"
        return f"Of the validation strings, {texts[0]} were also trained on{where}. {meaning}"
    naming = results.naming
    cells = results.cells[results.cells["cell"].isin(list(shares))]
    groups = naming.name_groups(cells, groups=texts)
    if sum(len(names) for names in groups.values()) <= MOST_SHARES:
        listed = "; ".join(f"{text} in {', '.join(names)}" for text, names in groups.items())
    else:
        ends = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
        listed = "from " + " to ".join(
            f"{labels.percent(shares[cell])} in {naming.cells[cell]}" for cell in ends
        )
    return f"Share of validation strings that were also trained on: {listed}. {meaning}"


def _size(results: Results) -> str:
    runs, cells = results.runs, results.cells
    phases = [
        labels.plural(int((runs["phase"] == phase).sum()), noun)
        for phase, noun in (("search", "search trial"), ("confirm", "confirm run"))
        if (runs["phase"] == phase).any()
    ]
    if alone := int(runs["phase"].isna().sum()):
        phases.append(f"{labels.plural(alone, 'run')} outside any sweep")
    finished = labels.plural(int((runs["state"] == "finished").sum()), "run")
    return f"{labels.plural(len(cells), 'cell')}: {', '.join(phases)}. {finished} finished."
