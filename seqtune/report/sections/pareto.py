"""What quality costs: the cells that no cheaper one beats."""

from seqtune.report import labels
from seqtune.report.data.costs import COUNTED
from seqtune.report.data.pareto import PRICES, points
from seqtune.report.data.results import Results
from seqtune.report.figures.front import front
from seqtune.report.sections.section import Figure, Section
from seqtune.stats.estimates import interval_name


def section(results: Results) -> Section | None:
    """The front of every family; None where fewer than two cells have a value and a price."""
    found = points(results)
    price = next((name for name in PRICES if len(found) and found[name].notna().any()), None)
    if price is None or int(found[price].notna().sum()) < 2:
        return None
    title = f"{results.metric} against the {PRICES[price]}"
    drawn = found.dropna(subset=price)
    figure = Figure(
        name="pareto",
        title=title,
        caption=(
            f"A point is a cell: the mean of {results.metric} over its finished confirm runs with its "
            f"{interval_name(drawn['n'])} ({labels.counts(drawn['n'])}), over the mean {PRICES[price]}; {labels.direction(results.metric)}. "
            "Circles on the line are the front: no cell of the same task is both as cheap and as good, and better in "
            "one of the two. In report.html the price can also be another. " + COUNTED
        ),
        chart=front(found, metric=results.metric, title=title, naming=results.naming),
        data=found,
    )
    return Section(title="Cost and quality", figures=(figure,))
