"""What earlier sittings left: run directories, with which the log catches up when a sitting starts."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from seqtune.runs.directory import RunDirectory, cause, run_directories
from seqtune.sweep.search.decisions import Decisions
from seqtune.training.measurement import Measurement


def values_of(directory: RunDirectory, *, metric: str) -> dict[int, float]:
    """A metric by epoch, as far as it was measured."""
    return values_in(directory.measurements(), metric=metric)


def values_in(measured: Iterable[Measurement], *, metric: str) -> dict[int, float]:
    """A metric by epoch, of measurements."""
    return {each.epoch: each.metrics[metric] for each in measured if metric in each.metrics}


def last_of(values: Mapping[int, float]) -> float | None:
    """The last of the values by epoch; None if there is none."""
    return values[max(values)] if values else None


def epoch_left(directory: RunDirectory) -> int:
    """The epoch after which a run goes on; 0 if it begins anew."""
    measured = directory.measurements() if directory.checkpoint.exists() else []
    return measured[-1].epoch if measured else 0


def reopen(runs: Path, *, decisions: Decisions, metric: str, retry: Collection[str] = ()) -> None:
    """Lets the log catch up with the runs, and opens those again that are to be done again.

    Args:
        runs: the directory of the run directories.
        decisions: the log.
        metric: what the sweep is judged by.
        retry: words of `rundir.cause`.
    """
    for directory in run_directories(runs):
        info = directory.info()
        if not decisions.knows(directory.name, info):
            value = last_of(values_of(directory, metric=metric))
            decisions.catch_up(directory.name, info, value=value)
        if cause(info) in retry:
            decisions.retried(directory.name, info)
            directory.reopen()


def drop_unbegun(runs: Path, *, decisions: Decisions, queued: Collection[str]) -> None:
    """Notes which runs were proposed, never began, and will not: they are not among those queued again."""
    for run in decisions.known.in_state("running"):
        if run.name not in queued and not RunDirectory(runs / run.name).exists():
            decisions.dropped(run.name, reason="other values are confirmed now")
