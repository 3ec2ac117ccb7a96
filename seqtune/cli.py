"""The command line: parse, call, print. stdout is for results, stderr for progress and errors.

Exit status: 0 done, 1 some runs failed, 2 the file or the call is wrong, 130 interrupted.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from seqtune.source import FileError, parse_value, read_yaml
from seqtune.spec import SpecError

if TYPE_CHECKING:
    from seqtune.run import RunSpec
    from seqtune.rundir import RunDirectory

app = typer.Typer(
    help="Which sequence model, how deep, trained how?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

WRONG = 2
SOME_FAILED = 1
INTERRUPTED = 130

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Replace a value of the file; may be repeated."
    ),
]


@app.callback()
def main(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what is done.")] = False,
) -> None:
    """Which sequence model, how deep, trained how?"""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(message)s")


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(help="The question, as YAML.")],
    set_: SetOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory of the results; results/NAME by default.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="A running Ray cluster; RAY_ADDRESS, or else a local one, by default."),
    ] = None,
) -> None:
    """Run a sweep, or go on with it, and write its report."""
    from seqtune.sweep.drive import drive, read_plan

    console = Console(stderr=True, highlight=False)
    try:
        source = read_yaml(file).override(_changes(set_))
        plan = read_plan(source)
        root = (out or Path("results") / plan.sweep.name).absolute()
        console.print(
            f"{plan.sweep.name}: {len(plan.cells)} cells, {plan.runs} runs, in {root}",
            markup=False,
            soft_wrap=True,
        )
        outcome = drive(plan, source=source, root=root, address=address, console=console)
    except FileError as error:
        raise _wrong(error) from None
    for cell in outcome.unconfirmed:
        typer.echo(f"{cell}: no search trial finished, so there is nothing to confirm", err=True)
    if not outcome.done:
        words = " ".join(["seqtune sweep", str(file), *([f"--out {out}"] if out else [])])
        typer.echo(f"interrupted; to go on where it stopped: {words}", err=True)
        raise typer.Exit(INTERRUPTED)
    _report(root)
    if outcome.failed:
        typer.echo(f"{outcome.failed} of {plan.runs} runs failed; the report names them", err=True)
    if outcome.failed or outcome.unconfirmed:
        raise typer.Exit(SOME_FAILED)


@app.command()
def train(
    file: Annotated[Path, typer.Argument(help="One run, as YAML.")],
    set_: SetOption = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's directory; runs/NAME-HASH by default.")
    ] = None,
    note: Annotated[str, typer.Option(help="A sentence for the model card.")] = "",
) -> None:
    """Train one model, or go on with it, and record it in a run directory."""
    from seqtune.run import RunSpec
    from seqtune.rundir import RunDirectory

    try:
        source = read_yaml(file).override(_changes(set_))
        try:
            spec = RunSpec.parse(source.data)
        except SpecError as error:
            raise source.error(error) from None
        directory = RunDirectory(out or Path("runs") / f"{file.stem}-{spec.hash()}")
        _check_run_directory(directory, spec=spec)
    except FileError as error:
        raise _wrong(error) from None
    from seqtune.training_bar import train_with_bar

    state, reason = train_with_bar(
        spec, directory=directory, note=note, console=Console(stderr=True, highlight=False)
    )
    typer.echo(f"{state}{f' ({reason})' if reason else ''}: {directory.path}")
    if state == "running":
        typer.echo(
            f"to go on where it stopped: seqtune train {file} --out {directory.path}", err=True
        )
        raise typer.Exit(INTERRUPTED)
    if state != "finished":
        raise typer.Exit(SOME_FAILED)


@app.command()
def report(
    directory: Annotated[
        Path, typer.Argument(help="A sweep's directory, or one of run directories.")
    ],
) -> None:
    """Rebuild the report from the run directories alone."""
    _report(directory)


def _report(root: Path) -> None:
    from seqtune.report import build

    try:
        path = build(root)
    except ValueError as error:
        raise _wrong(error) from None
    typer.echo(f"report: {path}")


def _check_run_directory(directory: "RunDirectory", *, spec: "RunSpec") -> None:
    from seqtune.sweep.directory import differences

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


def _changes(settings: list[str] | None) -> dict[str, object]:
    changes: dict[str, object] = {}
    for setting in settings or []:
        path, equals, text = setting.partition("=")
        if not equals or not path:
            raise FileError(f"--set {setting}: must be PATH=VALUE, such as model.layers=2")
        try:
            changes[path] = parse_value(text)
        except FileError as error:
            raise FileError(f"--set {path}={error}") from None
    return changes


def _wrong(error: Exception) -> typer.Exit:
    typer.echo(str(error), err=True)
    return typer.Exit(WRONG)
