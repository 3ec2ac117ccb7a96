"""The command that says what a file would do, before anything runs: plan."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from seqtune.cli.app import SetOption, changes_of, clear_errors, command
from seqtune.problem import SpecError
from seqtune.source import Source, read_yaml

if TYPE_CHECKING:
    from seqtune.run import RunSpec
    from seqtune.sweep.forecast import Forecast
    from seqtune.sweep.plan import Plan


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
    as_json: Annotated[bool, typer.Option("--json", help="For a machine to read.")] = False,
) -> None:
    """Say what a file would cost: parameters, FLOPs, memory, runs, time and disk of every cell.

    Nothing is trained and nothing is written but how fast a run is here, which is kept in the cache folder.
    Of what is tuned the middle is taken; what differs much between its bounds is given as a range. Times are
    those of runs that go on to their last epoch: pruning saves some of it.

    A note says what to think about first: unequal budgets, a grace shorter than the warm-up or the first phase
    of forcing, too few seeds to decide anything, cells that differ in two things at once.
    """
    with clear_errors():
        source = read_yaml(file).override(changes_of(set_))
        # A wrong file is told before torch is imported.
        if _is_sweep(source):
            from seqtune.sweep.drive import read_plan

            rows, notes = _of_sweep(read_plan(source), source=source, time=probe)
        else:
            rows, notes = _of_run(_run_of(source), name=file.stem, time=probe)
    _print(rows, notes=notes, as_json=as_json)


def _is_sweep(source: Source) -> bool:
    """Whether the file has any field of a sweep: it has none in common with a run."""
    from seqtune.sweep.spec import SweepSpec

    return any(name in SweepSpec.model_fields for name in source.data)


def _run_of(source: Source) -> "RunSpec":
    from seqtune.run import RunSpec

    try:
        return RunSpec.parse(source.data)
    except SpecError as error:
        raise source.error(error) from None


def _of_sweep(planned: "Plan", *, source: Source, time: bool) -> tuple[list["Forecast"], list[str]]:
    import torch

    from seqtune.sweep.cautions import cautions
    from seqtune.sweep.drive import idle_lines
    from seqtune.sweep.forecast import forecast_sweep
    from seqtune.timed import timed

    rows = forecast_sweep(planned, probe=timed if time else None, gpus=torch.cuda.device_count())
    idle = idle_lines(planned, changed=source.overridden)
    return rows, [*idle, *cautions(planned, forecasts=rows)]


def _of_run(spec: "RunSpec", *, name: str, time: bool) -> tuple[list["Forecast"], list[str]]:
    from seqtune.idle import idle_settings
    from seqtune.sweep.forecast import forecast_run
    from seqtune.timed import timed

    row = forecast_run(spec, name=name, probe=timed if time else None)
    return [row], [str(each) for each in idle_settings(spec)]


def _print(rows: list["Forecast"], *, notes: list[str], as_json: bool) -> None:
    import torch

    from seqtune import printed_plan
    from seqtune.sweep.forecast import Totals
    from seqtune.timed import machine

    totals = Totals.of(rows)
    here = machine(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    if as_json:
        data = {"cells": [row.to_data() for row in rows], "totals": totals.to_data()}
        typer.echo(json.dumps({**data, "machine": here, "notes": notes}, indent=2))
        return
    width = None if sys.stdout.isatty() else printed_plan.WIDTH
    console = Console(highlight=False, width=width)
    printed_plan.show(rows, totals=totals, machine=here, console=console)
    for line in notes:
        typer.echo(f"note: {line}", err=True)
