"""What was measured, over how many runs, and on strings of which some were seen in training."""

from seqtune.report import labels
from seqtune.report.data import floors, overlap
from seqtune.report.data.display_values import shown
from seqtune.report.data.results import Results
from seqtune.report.sections.section import Section
from seqtune.training.measurement import METRICS, ZERO_FLOOR


def section(results: Results) -> Section:
    """The metric with its meaning, what a value is, and how many runs there are."""
    metric = results.metric
    meaning = METRICS[metric].description if metric in METRICS else ""
    unit = labels.UNITS.get(metric, "")
    in_unit = f", in {unit}" if unit and unit.split()[0] not in meaning else ""
    told = f": {meaning}{in_unit}" if meaning else ""
    measured = (
        f"Measured is {metric}{told}; {labels.direction(metric)}. A value is {shown(results).what}."
    )
    covered = floors.note(results.best, metric=metric) if metric in ZERO_FLOOR else ""
    paragraphs = (
        " ".join(filter(None, (measured, covered))),
        overlap.sentences(results),
        _size(results),
    )
    return Section(title="What was measured", paragraphs=tuple(filter(None, paragraphs)))


def _size(results: Results) -> str:
    runs, cells = results.runs, results.cells
    phases = [
        labels.plural(int((runs["phase"] == phase).sum()), noun)
        for phase, noun in (("search", "search trial"), ("confirm", "confirm run"))
        if (runs["phase"] == phase).any()
    ]
    alone = int(runs["phase"].isna().sum())
    if alone:
        phases.append(f"{labels.plural(alone, 'run')} outside any sweep")
    finished = labels.plural(int((runs["state"] == "finished").sum()), "run")
    return f"{labels.plural(len(cells), 'cell')}: {', '.join(phases)}. {finished} finished."
