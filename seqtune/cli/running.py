"""Commands that train, and those that need no run: sweep, train, report, describe."""

import shlex
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

from seqtune.cli.app import (
    INTERRUPTED,
    SOME_FAILED,
    JsonOption,
    SetOption,
    changes_of,
    clear_errors,
    command,
    opened,
    print_json,
)
from seqtune.config.errors import SpecError
from seqtune.config.yaml_file import FileError, read_yaml
from seqtune.storage.location import is_remote, parse_location
from seqtune.storage.mirror import LARGE

if TYPE_CHECKING:
    from seqtune.runs.directory import RunDirectory
    from seqtune.runs.spec import RunSpec


class Retry(StrEnum):
    """What can be asked to be done again."""

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
"""The words of `rundir.cause` that each stands for."""


@command
def sweep(
    file: Annotated[Path, typer.Argument(help="The question, as YAML.")],
    *,
    set_: SetOption = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="Directory or URL (s3://..., gs://...) of the results; results/NAME by default.",
            metavar="PLACE",
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="A running Ray cluster; RAY_ADDRESS, or else a local one, by default."),
    ] = None,
    retry: Annotated[
        Retry | None,
        typer.Option(
            help="Do runs again that ended so before: failed ones go on from their last epoch."
        ),
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first run that fails or diverges.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a sweep, or go on with it, and write its report."""
    from seqtune.sweep.execution.driver import no_effect_lines, read_plan, run_sweep

    console = Console(stderr=True, highlight=False)
    with clear_errors():
        source = read_yaml(file).override(changes_of(set_))
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
    here = is_remote(root) or root.exists()
    ended = outcome.done and not outcome.halted
    written = _built(str(root)) if here and ended else None
    if as_json:
        about = {"name": plan.sweep.name, "directory": str(root), **asdict(outcome)}
        print_json({**about, "report": written})
    goes_on = partial(
        _interrupted, "sweep", file, set_, out=out, address=address, fail_fast=fail_fast
    )
    if outcome.halted:
        typer.echo("stopped at the first run that failed (--fail-fast)", err=True)
        goes_on(status=SOME_FAILED)
    if not outcome.done:
        goes_on()
    if written is None:
        line = f"the results are in {root} of the cluster; there: seqtune report {root}"
        typer.echo(line, err=as_json)
    elif not as_json:
        typer.echo(f"report: {written['report']}")
    if outcome.failed:
        typer.echo(
            f"{outcome.failed} of {outcome.runs} runs failed; the report names them, and --retry "
            "does them again",
            err=True,
        )
    if outcome.failed or outcome.unconfirmed:
        raise typer.Exit(SOME_FAILED)


@command
def train(
    file: Annotated[Path, typer.Argument(help="One run, as YAML.")],
    set_: SetOption = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="The run's directory, or its URL; runs/NAME-HASH by default.", metavar="PLACE"
        ),
    ] = None,
    note: Annotated[str, typer.Option(help="A sentence for the model card.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Train one model, or go on with it, and record it in a run directory."""
    from seqtune.runs.directory import RunDirectory, RunInUseError
    from seqtune.runs.no_effect import settings_without_effect
    from seqtune.runs.spec import RunSpec

    with clear_errors():
        source = read_yaml(file).override(changes_of(set_))
        if "base" in source.data and "task" not in source.data:
            raise FileError(f"{file}: is a sweep, not a single run; write: seqtune sweep {file}")
        try:
            spec = RunSpec.parse(source.data)
        except SpecError as error:
            raise source.error(error) from None
    where = out or f"runs/{file.stem}-{spec.hash()}"
    with opened(where) as copy:
        _check_run_directory(RunDirectory(copy.local), spec=spec)
        for each in settings_without_effect(spec):
            typer.echo(f"note: {each}", err=True)
        from seqtune.cli.progress_bar import train_with_bar

        console = Console(stderr=True, highlight=False)
        try:
            state, reason = train_with_bar(spec, copy=copy, note=note, console=console)
        except RunInUseError as error:
            raise FileError(str(error)) from None
        except SpecError as error:
            raise source.error(error) from None
        last = next(reversed(RunDirectory(copy.local).measurements()), None)
    if as_json:
        measured = {"epoch": last.epoch, "metrics": last.metrics} if last is not None else {}
        print_json({"state": state, "reason": reason, "directory": str(copy.place), **measured})
    else:
        typer.echo(f"{state}{f' ({reason})' if reason else ''}: {copy.place}")
    if state == "running":
        _interrupted("train", file, set_, out=str(copy.place))
    if state != "finished":
        raise typer.Exit(SOME_FAILED)


@command
def report(
    directory: Annotated[
        str, typer.Argument(help="A sweep's directory or URL, or one of run directories.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Rebuild the report from the sweep's directory alone."""
    written = _built(directory)
    if as_json:
        print_json(written)
    else:
        typer.echo(f"report: {written['report']}")


@command
def describe(
    language: Annotated[
        str,
        typer.Argument(
            help="A grammar (cfg3b, cfg3f, ..., dyck), a kind of task (cfg, life, text), or a YAML file.",
            metavar="TASK",
        ),
    ],
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a language in figures: sizes, counts, lengths, floors, a few strings.

    --set takes paths of the task (height=3), or of the file where one is given (task.height=3).
    """
    from seqtune.cli.describe_task import describe, show

    with clear_errors():
        description = describe(language, changes=changes_of(set_))
    if as_json:
        print_json(description.to_data())
    else:
        show(description, console=Console(highlight=False))


def _built(where: str) -> dict[str, Any]:
    """Writes the report; says where it is and how the cells rank."""
    from seqtune.report import build
    from seqtune.report.render.outcome import outcome

    with opened(where, without=LARGE) as copy:
        build(copy.local)
        copy.put_back()
        found = outcome(copy.local)
    return {
        name: copy.named(value) if isinstance(value, str) else value
        for name, value in found.items()
    }


def _interrupted(
    command: str,
    file: Path,
    settings: list[str] | None,
    *,
    out: str | None,
    address: str | None = None,
    fail_fast: bool = False,
    status: int = INTERRUPTED,
) -> NoReturn:
    """Says which command goes on, and exits."""
    words = ["seqtune", command, str(file)]
    words += [word for setting in settings or [] for word in ("--set", setting)]
    words += ["--out", out] if out else []
    words += ["--address", address] if address else []
    words += ["--fail-fast"] if fail_fast else []
    typer.echo(f"interrupted; to go on where it stopped: {shlex.join(words)}", err=True)
    raise typer.Exit(status)


def _check_run_directory(directory: "RunDirectory", *, spec: "RunSpec") -> None:
    from seqtune.sweep.search.directory import differences

    if not directory.exists():
        if directory.path.exists() and (
            not directory.path.is_dir() or any(directory.path.iterdir())
        ):
            raise FileError(
                f"{directory.path}: is no run directory and is not empty; give another --out"
            )
        return
    there = directory.info()["spec"]
    for path, old, new in differences(there, spec.to_data()):
        raise FileError(
            f"{directory.path}: holds another run: {path} is {old!r} there and {new!r} here; "
            "give another --out"
        )
