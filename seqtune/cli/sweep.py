"""The command that runs a sweep."""

from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from seqtune.cli.app import (
    SOME_FAILED,
    JsonOption,
    SetOption,
    command,
    exit_interrupted,
    exit_on_error,
    parse_changes,
    print_json,
)
from seqtune.cli.report import write_report
from seqtune.config.yaml_file import FileError, read_yaml
from seqtune.storage.location import is_remote, parse_location


class Retry(StrEnum):
    """Which runs to repeat, by how they ended."""

    failed = "failed"
    diverged = "diverged"
    oom = "oom"
    timeout = "timeout"
    error = "error"
    lost = "lost"
    all = "all"


_FAILED = frozenset({Retry.oom, Retry.timeout, Retry.error, Retry.lost})
RETRIED: dict[Retry, frozenset[str]] = {
    **{each: frozenset({each.value}) for each in Retry},
    Retry.failed: frozenset(each.value for each in _FAILED),
    Retry.all: frozenset(each.value for each in (*_FAILED, Retry.diverged)),
}
"""What each value stands for, in the words of `runs.directory.cause`."""


@command
def sweep(
    file: Annotated[Path, typer.Argument(help="The sweep, as YAML.")],
    *,
    set_: SetOption = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="Directory or URL (s3://..., gs://...) of the results; results/NAME by default.",
            metavar="LOCATION",
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="A running Ray cluster; RAY_ADDRESS, or else a local one, by default."),
    ] = None,
    retry: Annotated[
        Retry | None,
        typer.Option(help="Repeat runs that ended so; failed ones resume from their last epoch."),
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first run that fails or diverges.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run or resume a sweep, and write its report."""
    from seqtune.sweep.execution.driver import no_effect_lines, read_plan, run_sweep

    console = Console(stderr=True, highlight=False)
    with exit_on_error():
        source = read_yaml(file).override(parse_changes(set_))
        if "task" in source.data and "base" not in source.data:
            raise FileError(f"{file}: is a single run, not a sweep; write: seqtune train {file}")
        plan = read_plan(source)
        root = parse_location(out or f"results/{plan.sweep.name}")
        console.print(
            f"{plan.sweep.name}: {len(plan.cells)} cells, {plan.runs} runs, in {root}",
            markup=False,
            soft_wrap=True,
        )
        for line in no_effect_lines(plan, changed=source.overridden):
            console.print(f"note: {line}", markup=False, soft_wrap=True)
        outcome = run_sweep(
            plan,
            source=source,
            root=root,
            address=address,
            console=console,
            retry=RETRIED[retry] if retry is not None else (),
            fail_fast=fail_fast,
        )
    for cell, reason in outcome.unconfirmed.items():
        typer.echo(f"{cell}: {reason}, so there is nothing to confirm", err=True)
    # With a remote cluster, a directory of the cluster need not exist on this machine.
    is_reachable = is_remote(root) or root.exists()
    has_ended = outcome.done and not outcome.halted
    written = write_report(str(root)) if is_reachable and has_ended else None
    if as_json:
        about = {"name": plan.sweep.name, "directory": str(root), **asdict(outcome)}
        print_json({**about, "report": written})
    exit_resumable = partial(
        exit_interrupted, "sweep", file, set_, out=out, address=address, fail_fast=fail_fast
    )
    if outcome.halted:
        typer.echo("stopped at the first run that failed (--fail-fast)", err=True)
        exit_resumable(status=SOME_FAILED)
    if not outcome.done:
        exit_resumable()
    if written is None:
        line = f"the results are in {root} on the cluster; write there: seqtune report {root}"
        typer.echo(line, err=as_json)
    elif not as_json:
        typer.echo(f"report: {written['report']}")
    if outcome.failed:
        typer.echo(
            f"{outcome.failed} of {outcome.runs} runs failed; the report lists them, and --retry "
            "repeats them",
            err=True,
        )
    if outcome.failed or outcome.unconfirmed:
        raise typer.Exit(SOME_FAILED)
