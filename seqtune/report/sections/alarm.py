"""The alarm: runs that beat the exact floor of their validation strings, which no honest run can."""

import pandas as pd

from seqtune.report import labels
from seqtune.report.data.leaks import CHANCE, Leak, Leaks, leaks
from seqtune.report.data.results import Results
from seqtune.report.sections.section import Section, Table


def section(results: Results) -> Section | None:
    """A line a run; None if there is none."""
    found = leaks(results)
    if not found.found:
        return None
    return Section(
        title="Alarm",
        alarms=tuple(_alarm(leak) for leak in found.found),
        paragraphs=(_meaning(found, metric=results.metric),),
        tables=(_table(found, results=results),),
    )


def _alarm(leak: Leak) -> str:
    return (
        f"{leak.run} beats the exact floor of its {labels.plural(leak.strings, 'validation string')} by "
        f"{labels.number(-leak.nats)} nats after epoch {leak.epoch} (valid/excess {labels.number(leak.excess)}); "
        f"chance and rounding allow {labels.number(-leak.allowed)}. It must have seen these strings, or the floor is wrong."
    )


def _meaning(found: Leaks, *, metric: str) -> str:
    return (
        "A model that does not know the validation strings beats the true distribution on them by x nats with a "
        f"probability of at most exp(-x), whatever the model is. Over {labels.plural(found.evaluations, 'evaluation')} "
        f"of {labels.plural(found.runs, 'run')}, a false alarm has a probability of at most {CHANCE:g} in all. Do not "
        f"trust a ranking by {metric} before the cause is found: validation strings among the training data, a model "
        "that reads ahead, or a floor of another language."
    )


def _table(found: Leaks, *, results: Results) -> Table:
    runs = results.runs.set_index("run").loc[[leak.run for leak in found.found]]
    data = pd.DataFrame(
        {
            "run": [leak.run for leak in found.found],
            "cell": runs["cell"].tolist(),
            "epoch": [leak.epoch for leak in found.found],
            "valid/excess": [leak.excess for leak in found.found],
            "nats": [leak.nats for leak in found.found],
            "allowed": [leak.allowed for leak in found.found],
            "strings": [leak.strings for leak in found.found],
            "directory": runs["directory"].tolist(),
        }
    )
    caption = (
        "Runs below the floor, at their lowest evaluation: excess in nats a token and of all strings together, and "
        "the lowest that chance and rounding allow."
    )
    shown = data.assign(cell=data["cell"].map(results.naming.cells))
    return Table(caption, shown, name="alarm", data=data)
