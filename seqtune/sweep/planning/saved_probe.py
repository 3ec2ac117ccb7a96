"""What a probe found on one machine, as a file that another reads: expected times without having been there.

A file says of every cell which run was timed, so that it is used for that run alone.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isclose
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field

from seqtune import provenance
from seqtune.config.errors import SpecError
from seqtune.config.spec import Spec
from seqtune.config.yaml_file import FileError
from seqtune.runs.spec import RunSpec
from seqtune.runs.timing import NotMeasured, Speed, machine
from seqtune.storage.files import read_json, replace_text
from seqtune.sweep.planning.forecast import Forecast, Totals, at_once
from seqtune.sweep.search.directory import differences


class ProbedSpeed(Spec):
    """How fast a run was found to be: `timed.Speed`."""

    step_seconds: float = Field(ge=0)
    mixed_step_seconds: float | None = Field(ge=0)
    evaluation_seconds: float = Field(ge=0)


class ProbedCell(Spec):
    """What was found of a cell."""

    run: dict[str, Any]
    """The run that was timed, without its seed."""

    threads: int | None
    """What it had of them; null for as many as torch takes by itself."""

    speed: ProbedSpeed | None
    untimed: str | None
    """Why there is no speed."""


class SavedProbe(Spec):
    """What was found on one machine."""

    kind: Literal["seqtune plan --save-probe"] = "seqtune plan --save-probe"
    name: str
    """Of its GPU, or else of its processor."""

    machine: str
    device: Literal["cpu", "cuda"]
    cores: int = Field(ge=1)
    gpus: int = Field(ge=0)
    versions: dict[str, str]
    cells: dict[str, ProbedCell]


@dataclass(frozen=True)
class OnMachine:
    """What all cells take on one machine.

    Attributes:
        name: of its GPU, or else of its processor.
        machine: all of it, in words.
        versions: of what ran there.
        rows: the cells' figures, with that machine's times.
        file: where they were read; None where they are this machine's.
    """

    name: str
    machine: str
    versions: Mapping[str, str]
    rows: Sequence[Forecast]
    file: Path | None

    @property
    def timed(self) -> bool:
        """Whether anybody asked how fast it is."""
        return any(row.speed is not None for row in self.rows)

    @property
    def words(self) -> str:
        """The machine, and what of its software decides how fast it is."""
        return f"{self.machine}, torch {self.versions.get('torch', '?')}"

    def to_data(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "machine": self.machine,
            "versions": dict(self.versions),
            "file": None if self.file is None else str(self.file),
            "cells": [
                {
                    "cell": row.name,
                    "run_seconds": row.run_seconds,
                    "seconds": row.seconds,
                    "untimed": row.untimed,
                    "at_once": row.at_once,
                }
                for row in self.rows
            ],
            "totals": Totals.of(self.rows).to_data(),
        }


def here(rows: Sequence[Forecast]) -> OnMachine:
    """This machine, with what was found here."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    name = gpu or provenance.cpu_name()
    return OnMachine(name, machine(device), provenance.versions(), rows, file=None)


def save(path: Path, *, found: OnMachine) -> None:
    """Writes what was found on this machine.

    Raises:
        FileError: if something else is there that would be lost.
        OSError: if it cannot be written.
    """
    if path.exists():
        try:
            read(path)
        except FileError as error:
            raise FileError(f"{error}; to save a probe, give another name") from None
    cells = {}
    for row in found.rows:
        speed = row.speed
        assert speed is not None, "only what was probed is saved"
        timed = isinstance(speed, Speed)
        cells[row.name] = ProbedCell(
            run=_run(row.spec),
            threads=row.threads,
            speed=ProbedSpeed(**vars(speed)) if timed else None,
            untimed=None if timed else speed.reason,
        )
    probe = SavedProbe(
        name=found.name,
        machine=found.machine,
        device="cuda" if torch.cuda.is_available() else "cpu",
        cores=os.cpu_count() or 1,
        gpus=torch.cuda.device_count(),
        versions=dict(found.versions),
        cells=cells,
    )
    replace_text(path, json.dumps(probe.to_data(), indent=2) + "\n")


def read(path: Path) -> SavedProbe:
    """What another machine has saved.

    Raises:
        FileError: if that is not what the file holds.
        OSError: if it cannot be read.
    """
    data = read_json(path)
    try:
        return SavedProbe.parse(data)
    except SpecError as error:
        raise FileError(
            f"{path}: is no saved probe: {error.problems[0]}; --save-probe writes one"
        ) from None


def there(rows: Sequence[Forecast], *, path: Path, file: Path) -> OnMachine:
    """The machine of a saved probe, with the times of these cells there.

    Args:
        rows: of this plan.
        path: of the probe.
        file: the plan's, to say how a probe is made.

    Raises:
        FileError: if the probe is of other runs, or `read` does.
    """
    probe = read(path)
    anew = f"make it anew there: seqtune plan {file} --save-probe {path.name}"
    found = []
    for row in rows:
        # One run alone is called after its file, which may have another name there.
        alone = len(rows) == len(probe.cells) == 1
        cell = next(iter(probe.cells.values())) if alone else probe.cells.get(row.name)
        if cell is None:
            raise FileError(f"{path}: knows nothing of the cell ({row.name}); {anew}")
        for name, before, now in _differences(cell, row):
            raise FileError(
                f"{path}: is of another run than ({row.name}): {name} is {json.dumps(before)} there and "
                f"{json.dumps(now)} here; {anew}"
            )
        found.append(_elsewhere(row, cell=cell, probe=probe))
    return OnMachine(probe.name, probe.machine, probe.versions, found, file=path)


def _elsewhere(row: Forecast, *, cell: ProbedCell, probe: SavedProbe) -> Forecast:
    speed: Speed | NotMeasured = NotMeasured(cell.untimed or "it was not")
    if cell.speed is not None:
        speed = Speed(**cell.speed.to_data())
    return replace(
        row,
        speed=speed,
        run_seconds=speed.run_seconds(row.spec) if isinstance(speed, Speed) else None,
        at_once=at_once(row.request, cores=probe.cores, gpus=probe.gpus),
    )


def _differences(cell: ProbedCell, row: Forecast) -> list[tuple[str, Any, Any]]:
    # The middle of what is tuned is computed, and not to the last bit alike everywhere.
    found = [
        (name, before, now)
        for name, before, now in differences(cell.run, _run(row.spec))
        if not (isinstance(before, float) and isinstance(now, float) and isclose(before, now))
    ]
    if cell.threads != row.threads:
        found.append(("resources.cpu", cell.threads, row.threads))
    return found


def _run(spec: RunSpec) -> dict[str, Any]:
    return {name: value for name, value in spec.to_data().items() if name != "seed"}
