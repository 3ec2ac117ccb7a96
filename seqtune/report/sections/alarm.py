"""Alarm: runs below the exact floor of their validation strings, which only an error explains."""

import pandas as pd

from seqtune.report.data.results import Results
from seqtune.report.data.train_validation_overlap import (
    CHANCE,
    BelowFloor,
    FloorCheck,
    check_floors,
)
from seqtune.report.naming import labels
from seqtune.report.sections.section import Section, Table


def section(results: Results) -> Section | None:
    """Return one alarm per run below the floor; None without any."""
    check = check_floors(results)
    if not check.found:
        return None
    return Section(
        title="Alarm: runs below the floor",
        alarms=tuple(_alarm(run) for run in check.found),
        paragraphs=(_explain(check, metric=results.metric),),
        tables=(_table(check, results=results),),
    )


def _alarm(run: BelowFloor) -> str:
    return (
        f"{run.run} is {labels.number(-run.nats)} nats below the exact floor of its "
        f"{labels.plural(run.strings, 'validation string')} after epoch {run.epoch} (valid/excess "
        f"{labels.number(run.excess)}); chance and rounding explain at most "
        f"{labels.number(-run.allowed)}. The run must have seen these strings, or the floor is "
        "wrong."
    )


def _explain(check: FloorCheck, *, metric: str) -> str:
    return (
        "Whatever a model is, if it does not know the validation strings, it beats the true "
        "distribution on them by x nats with a probability of at most exp(-x). The probability of "
        f"any false alarm over {labels.plural(check.evaluations, 'evaluation')} of "
        f"{labels.plural(check.runs, 'run')} is at most {CHANCE:g}. Do not trust a ranking by "
        f"{metric} before the cause is found: validation strings in the training data, a model "
        "that reads ahead, or the floor of another language."
    )


def _table(check: FloorCheck, *, results: Results) -> Table:
    found = check.found
    runs = results.runs.set_index("run").loc[[each.run for each in found]]
    data = pd.DataFrame(
        {
            "run": [each.run for each in found],
            "cell": runs["cell"].tolist(),
            "epoch": [each.epoch for each in found],
            "valid/excess": [each.excess for each in found],
            "nats": [each.nats for each in found],
            "allowed": [each.allowed for each in found],
            "strings": [each.strings for each in found],
            "directory": runs["directory"].tolist(),
        }
    )
    caption = (
        "Runs below the floor, at their lowest evaluation: excess per token and of all strings "
        "together in nats, and the lowest total that chance and rounding explain."
    )
    shown = data.assign(cell=data["cell"].map(results.naming.cells))
    return Table(caption, shown, name="alarm", data=data)
