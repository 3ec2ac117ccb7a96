"""Run directories as records, sorted by cell.

Whatever a report counts and ranks is read from run directories, never from the sweep file, the plan
or the studies, so that every number can be checked in the folders that the report names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqtune.config.yaml_file import FileError, path_hint
from seqtune.report.data import measurements
from seqtune.report.data.measurements import Measured
from seqtune.report.naming.labels import order, plain
from seqtune.runs.directory import RunDirectory, run_directories

PHASES = ("search", "confirm")


@dataclass(frozen=True)
class SweepPosition:
    """A run's position in its sweep; a run outside any sweep is a cell of its own."""

    cell: str
    arm: str | None = None
    phase: str | None = None
    trial: int | None = None
    compared: Mapping[str, Any] | None = None
    tuned: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class RecordedRun:
    """The contents of one run directory.

    Attributes:
        directory: path relative to the root of the report.
        info: contents of run.json.
    """

    name: str
    directory: str
    info: Mapping[str, Any]
    measured: Measured
    place: SweepPosition


def read(root: Path) -> list[RecordedRun]:
    """Read every run below `root/runs`, or directly below `root`, sorted by cell.

    Raises:
        FileError: if there is no such directory, or no run in it.
    """
    if not root.is_dir():
        raise FileError(f"{root}: no such directory{path_hint(root)}")
    directories = run_directories(root / "runs") or run_directories(root)
    if not directories:
        raise FileError(
            f"{root}: holds no runs; give the directory of a sweep, or one that contains run "
            "directories"
        )
    # States before measurements: a run that ends in between counts as running, and no finished run
    # lacks its last measurements.
    infos = [directory.info() for directory in directories]
    tables = measurements.read_all(each.path / "measurements.csv" for each in directories)
    found = [
        _recorded(directory, root=root, info=info, measured=measured)
        for directory, info, measured in zip(directories, infos, tables, strict=True)
    ]
    compared = compared_paths(found)
    return sorted(found, key=lambda run: _sort_key(run, compared=compared))


def compared_paths(runs: Iterable[RecordedRun]) -> tuple[str, ...]:
    """Return all compared paths, in the order of the sweep file."""
    return tuple(dict.fromkeys(path for run in runs for path in run.place.compared or {}))


def tuned_paths(runs: Iterable[RecordedRun]) -> tuple[str, ...]:
    """Return all tuned paths, in the order of the sweep file."""
    return tuple(dict.fromkeys(path for run in runs for path in run.place.tuned or {}))


def _recorded(
    directory: RunDirectory, *, root: Path, info: Mapping[str, Any], measured: Measured
) -> RecordedRun:
    sweep = info.get("sweep")
    return RecordedRun(
        name=directory.name,
        directory=directory.path.relative_to(root.absolute()).as_posix(),
        info=info,
        measured=measured,
        place=SweepPosition(cell=directory.name)
        if sweep is None
        else SweepPosition(
            cell=sweep["cell"],
            arm=sweep.get("arm"),
            phase=sweep.get("phase"),
            trial=sweep.get("trial"),
            compared=sweep.get("compared"),
            tuned=sweep.get("tuned"),
        ),
    )


def _sort_key(run: RecordedRun, *, compared: Iterable[str]) -> tuple[Any, ...]:
    place = run.place
    values = place.compared or {}
    phase = PHASES.index(place.phase) if place.phase in PHASES else len(PHASES)
    # Null is a value like any other; only a path that the arm does not compare is missing.
    keys = [order(plain(values[path]) if path in values else None) for path in compared]
    return (place.arm or "", keys, place.cell, phase, order(place.trial), run.name)
