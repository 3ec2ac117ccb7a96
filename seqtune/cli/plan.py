"""The command that says what a file would cost, before anything runs: plan."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from seqtune.cli.app import (
    JsonOption,
    SetOption,
    command,
    exit_on_error,
    parse_changes,
    print_json,
)
from seqtune.config.errors import SpecError
from seqtune.config.yaml_file import Source, read_yaml

if TYPE_CHECKING:
    from seqtune.runs.spec import RunSpec
    from seqtune.sweep.planning.forecast import Forecast
    from seqtune.sweep.planning.plan import Plan


@command
def plan(
    file: Annotated[Path, typer.Argument(help="A sweep or one run, as YAML.")],
    *,
    set_: SetOption = None,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure/--no-measure", help="Time a few steps of every cell on this machine, once."
        ),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Say what a file would cost: parameters, FLOPs, memory, runs, time and disk of every cell.

    Nothing is trained and nothing is written but how fast a run is here, which is kept in the cache
    folder. Of what is tuned the middle is taken; what differs much between its bounds is given as a
    range. Times are those of runs that go on to their last epoch: pruning saves some of it.

    A note says what to consider first: unequal budgets, a grace period shorter than the warm-up or
    the first phase of forcing, too few seeds to decide anything, cells that differ in two things at
    once.
    """
    with exit_on_error():
        source = read_yaml(file).override(parse_changes(set_))
        # A wrong file is reported before torch is imported.
        if _is_sweep(source):
            from seqtune.sweep.execution.driver import read_plan

            rows, notes = _of_sweep(read_plan(source), source=source, measure=measure)
        else:
            rows, notes = _of_run(_run_of(source), name=file.stem, measure=measure)
    _print(rows, notes=notes, as_json=as_json)


def _is_sweep(source: Source) -> bool:
    """Whether the file has any field of a sweep: it has none in common with a run."""
    from seqtune.sweep.planning.spec import SweepSpec

    return any(name in SweepSpec.model_fields for name in source.data)


def _run_of(source: Source) -> "RunSpec":
    from seqtune.runs.spec import RunSpec

    try:
        return RunSpec.parse(source.data)
    except SpecError as error:
        raise source.error(error) from None


def _of_sweep(
    planned: "Plan", *, source: Source, measure: bool
) -> tuple[list["Forecast"], list[str]]:
    import torch

    from seqtune.runs.timing import measure_speed
    from seqtune.sweep.execution.driver import no_effect_lines
    from seqtune.sweep.planning.design_warnings import design_warnings
    from seqtune.sweep.planning.forecast import forecast_sweep

    rows = forecast_sweep(
        planned, measure=measure_speed if measure else None, gpus=torch.cuda.device_count()
    )
    idle = no_effect_lines(planned, changed=source.overridden)
    return rows, [*idle, *design_warnings(planned, forecasts=rows)]


def _of_run(spec: "RunSpec", *, name: str, measure: bool) -> tuple[list["Forecast"], list[str]]:
    from seqtune.runs.no_effect import settings_without_effect
    from seqtune.runs.timing import measure_speed
    from seqtune.sweep.planning.forecast import forecast_run

    row = forecast_run(spec, name=name, measure=measure_speed if measure else None)
    return [row], [str(each) for each in settings_without_effect(spec)]


def _print(rows: list["Forecast"], *, notes: list[str], as_json: bool) -> None:
    import torch

    from seqtune import provenance
    from seqtune.cli.tables import plan
    from seqtune.runs.timing import machine
    from seqtune.sweep.planning.forecast import Totals

    found = machine(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    if as_json:
        data = {
            "cells": [row.to_data() for row in rows],
            "totals": Totals.of(rows).to_data(),
            "machine": found,
            "versions": provenance.versions(),
            "notes": notes,
        }
        print_json(data)
        return
    width = None if sys.stdout.isatty() else plan.WIDTH
    console = Console(highlight=False, width=width)
    version = provenance.versions().get("torch", "?")
    plan.show(rows, machine=f"{found}, torch {version}", console=console)
    for line in notes:
        typer.echo(f"note: {line}", err=True)
