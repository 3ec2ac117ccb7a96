"""The command that evaluates trained runs: one run, or the representative runs of a sweep."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from seqtune.cli.app import (
    SOME_FAILED,
    UNUSED_FILES,
    WRONG,
    ChangeOption,
    JsonOption,
    command,
    exit_on_error,
    fetch,
    parse_changes,
    print_json,
    warn,
)
from seqtune.config.yaml_file import FileError
from seqtune.storage.location import parse_location, report_unreachable
from seqtune.storage.mirror import LARGE

if TYPE_CHECKING:
    from seqtune.report.data.representative_runs import RepresentativeRun
    from seqtune.trained.evaluate import EvaluationResult

Entry = dict[str, Any]


@command
def evaluate(
    run: Annotated[str, typer.Argument(help="Directory or URL of a trained run, or of a sweep.")],
    set_: ChangeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a trained run on its own task, or on longer strings than it was trained on.

    Prints every score with its standard error and number of strings, then tables of where the model
    errs. A share of exactly 0 or 1 has a 95 % bound in place of the standard error.

    --set takes paths of the task and of the evaluation, such as task.height=5 or
    evaluation.strings=4096. With a list, such as task.height=[3,4,5], each value is evaluated in
    turn.

    For a sweep, evaluates every run that the report ranks, one line each: the finished confirm runs
    of each cell, or its best search trial if there are none. The next report shows the results.

    Results, with samples, are stored in the run's evaluation.json, one entry per set of changes.
    The same command again replaces its own entry only.
    """
    with exit_on_error():
        changes, location = parse_changes(set_), parse_location(run)
        with report_unreachable(location):
            is_run = (location / "run.json").exists()
        if is_run:
            _evaluate_run(location, name=run, changes=changes, as_json=as_json)
        else:
            _evaluate_sweep(location, changes=changes, as_json=as_json)


def _evaluate_run(
    location: Path, *, name: str, changes: Mapping[str, object], as_json: bool
) -> None:
    """Print the results in full; as JSON, a list of entries if a list of values was given."""
    from seqtune.cli.tables import scores

    console = Console(highlight=False, width=None if sys.stdout.isatty() else scores.WIDTH)
    entries: list[Entry] = []
    several = False
    for found, entry, several in _results(location, name=name, changes=changes):
        if as_json and not several:
            print_json(entry)
        elif as_json:
            entries.append(entry)
        else:
            scores.print_evaluation(found, console=console)
    if as_json and several:
        print_json(entries)


def _evaluate_sweep(location: Path, *, changes: Mapping[str, object], as_json: bool) -> None:
    """Print a line per run and setting; report runs that cannot be evaluated, and go on."""
    from seqtune.cli.tables import scores

    entries: list[Entry] = []
    errors: set[str] = set()
    for run in _representative_runs(location):
        try:
            for found, entry, _ in _results(location / run.directory, name="", changes=changes):
                entries.append({"run": run.run, "cell": run.cell, **entry})
                if not as_json:
                    typer.echo(f"{run.run}, {scores.summary_line(found)}")
        except FileError as error:
            # A mistake in the arguments would be reported again for every run.
            if str(error) not in errors:
                typer.echo(str(error), err=True)
            errors.add(str(error))
    if not entries:
        raise typer.Exit(WRONG)
    if as_json:
        print_json(entries)
    typer.echo(f"to see them together: seqtune report {location}", err=True)
    if errors:
        raise typer.Exit(SOME_FAILED)


def _representative_runs(location: Path) -> "tuple[RepresentativeRun, ...]":
    """Return the representative runs of a sweep's cells.

    Raises:
        FileError: if the location holds neither a run nor a sweep, or no finished run.
    """
    from seqtune.report import load
    from seqtune.runs.directory import run_directories

    with fetch(location, without=LARGE) as mirror:
        if not (run_directories(mirror.local / "runs") or run_directories(mirror.local)):
            raise FileError(
                f"{location}: is neither a run directory (no run.json) nor a sweep's (no runs)"
            )
        runs = load(mirror.local).representatives
    if not runs:
        raise FileError(f"{location}: holds no finished run, so there is nothing to evaluate")
    return runs


def _results(
    location: Path, *, name: str, changes: Mapping[str, object]
) -> "Iterator[tuple[EvaluationResult, Entry, bool]]":
    """Yield each combination's result, its entry, and whether a list of values was given.

    An entry is stored after the caller has printed it, so it is not lost if storing fails.

    Args:
        location: a run's directory or URL.
        name: the run as the user named it, to print progress; empty for no progress.
        changes: new values, or lists of them, by dotted path.
    """
    from seqtune.runs.directory import RunDirectory
    from seqtune.trained import evaluate
    from seqtune.trained.load import load

    with fetch(location, without=UNUSED_FILES) as mirror:
        spec = RunDirectory(mirror.local).info()["spec"]
        combinations = evaluate.expand_changes(changes, spec=spec)
        several = combinations != [dict(changes)]
        for index, each in enumerate(combinations):
            trained = load(mirror.local, changes=each)
            evaluate.check_saveable(trained)
            if index == 0:
                warn(mirror.restore_paths(trained.warning))
            if name:
                count = trained.spec.evaluation.strings
                typer.echo(
                    f"{name}: weights of epoch {trained.epoch}, on {count:,} strings ...", err=True
                )
            found = evaluate.evaluate(trained)
            entry = found.to_data()
            yield found, entry, several
            evaluate.save_entry(trained.directory, entry)
            mirror.put_back()
