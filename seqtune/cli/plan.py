"""The command that says what a file would do, before anything runs: plan."""

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
from seqtune.config.yaml_file import FileError, Source, read_yaml

if TYPE_CHECKING:
    from seqtune.runs.spec import RunSpec
    from seqtune.sweep.planning.forecast import Forecast
    from seqtune.sweep.planning.plan import Plan
    from seqtune.sweep.planning.saved_probe import OnMachine


@command
def plan(
    file: Annotated[Path, typer.Argument(help="A sweep or one run, as YAML.")],
    *,
    set_: SetOption = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe/--no-probe", help="Time a few steps of every cell on this machine, once."
        ),
    ] = True,
    save_probe: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep what was found here, to be carried elsewhere."),
    ] = None,
    add_probe: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Show the times of the machine on which --save-probe wrote this; may be repeated.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a file would cost: parameters, FLOPs, memory, runs, time and disk of every cell.

    Nothing is trained and nothing is written but how fast a run is here, which is kept in the cache folder.
    Of what is tuned the middle is taken; what differs much between its bounds is given as a range. Times are
    those of runs that go on to their last epoch: pruning saves some of it.

    How long it takes on a machine that is not at hand: plan the same file there with --save-probe, bring what it
    writes, and name it with --add-probe, here with --no-probe if this machine is of no interest.

    A note says what to think about first: unequal budgets, a grace shorter than the warm-up or the first phase
    of forcing, too few seeds to decide anything, cells that differ in two things at once.
    """
    with exit_on_error():
        if save_probe is not None and not probe:
            raise FileError("--save-probe: there is nothing to save with --no-probe; leave one out")
        source = read_yaml(file).override(parse_changes(set_))
        # A wrong file is told before torch is imported.
        if _is_sweep(source):
            from seqtune.sweep.execution.driver import read_plan

            rows, notes = _of_sweep(read_plan(source), source=source, time=probe)
        else:
            rows, notes = _of_run(_run_of(source), name=file.stem, time=probe)
        machines = _machines(rows, saved=add_probe or [], file=file)
        if save_probe is not None:
            from seqtune.sweep.planning.saved_probe import save

            save(save_probe, found=machines[0])
    _print(rows, machines=machines, notes=notes, as_json=as_json)
    if save_probe is not None:
        typer.echo(
            f"written: {save_probe}; elsewhere: seqtune plan {file} --add-probe {save_probe.name}",
            err=True,
        )


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


def _of_sweep(planned: "Plan", *, source: Source, time: bool) -> tuple[list["Forecast"], list[str]]:
    import torch

    from seqtune.runs.timing import measure_speed
    from seqtune.sweep.execution.driver import no_effect_lines
    from seqtune.sweep.planning.design_warnings import design_warnings
    from seqtune.sweep.planning.forecast import forecast_sweep

    rows = forecast_sweep(
        planned, probe=measure_speed if time else None, gpus=torch.cuda.device_count()
    )
    idle = no_effect_lines(planned, changed=source.overridden)
    return rows, [*idle, *design_warnings(planned, forecasts=rows)]


def _of_run(spec: "RunSpec", *, name: str, time: bool) -> tuple[list["Forecast"], list[str]]:
    from seqtune.runs.no_effect import settings_without_effect
    from seqtune.runs.timing import measure_speed
    from seqtune.sweep.planning.forecast import forecast_run

    row = forecast_run(spec, name=name, probe=measure_speed if time else None)
    return [row], [str(each) for each in settings_without_effect(spec)]


def _machines(rows: list["Forecast"], *, saved: list[Path], file: Path) -> list["OnMachine"]:
    """Those of which times are known: this one first, if it was asked."""
    from seqtune.sweep.planning.saved_probe import here, there

    mine = here(rows)
    others = [there(rows, path=path, file=file) for path in saved]
    return [*([mine] if mine.timed else []), *others]


def _print(
    rows: list["Forecast"], *, machines: list["OnMachine"], notes: list[str], as_json: bool
) -> None:
    from seqtune.cli.tables import plan
    from seqtune.sweep.planning.forecast import Totals
    from seqtune.sweep.planning.saved_probe import here

    if as_json:
        data = {
            "cells": [row.to_data() for row in rows],
            "totals": Totals.of(rows).to_data(),
            "machine": here(rows).machine,
            "machines": [each.to_data() for each in machines],
            "notes": notes,
        }
        print_json(data)
        return
    width = None if sys.stdout.isatty() else plan.WIDTH
    console = Console(highlight=False, width=width)
    plan.show(rows, machines=machines, console=console)
    for line in notes:
        typer.echo(f"note: {line}", err=True)
