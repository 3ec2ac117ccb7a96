"""Cost and quality: the Pareto front of the cells."""

from seqtune.report.data.costs import COUNTED
from seqtune.report.data.pareto import PRICES, pareto_points
from seqtune.report.data.results import Results
from seqtune.report.figures.front import front
from seqtune.report.naming import labels
from seqtune.report.sections.section import Figure, Section
from seqtune.stats.estimates import interval_name


def section(results: Results) -> Section | None:
    """Return the front of every comparison group; None for fewer than two cells of known price."""
    found = pareto_points(results)
    price = next((name for name in PRICES if len(found) and found[name].notna().any()), None)
    if price is None or int(found[price].notna().sum()) < 2:
        return None
    title = f"{results.metric} against the {PRICES[price]}"
    drawn = found.dropna(subset=price)
    figure = Figure(
        name="pareto",
        title=title,
        caption=(
            f"A point is a cell: the mean of {results.metric} over its finished confirm runs with "
            f"its {interval_name(drawn['n'])} ({labels.counts(drawn['n'])}), over the mean "
            f"{PRICES[price]}; {labels.direction(results.metric)}. The line joins the Pareto front:"
            " no other cell of the same task is at least as cheap and as good, and better in one "
            "of the two. In report.html another price can be selected. " + COUNTED
        ),
        chart=front(found, metric=results.metric, title=title, naming=results.naming),
        data=found,
    )
    return Section(title="Cost and quality", figures=(figure,))
