"""The command that scores trained runs: one, or all that stand for the cells of a sweep."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from seqtune.cli.app import (
    SOME_FAILED,
    WRONG,
    JsonOption,
    changes_of,
    clear_errors,
    command,
    fetched,
    print_json,
)
from seqtune.cli.ask import UNREAD, ChangeOption, warn
from seqtune.config.yaml_file import FileError
from seqtune.storage.location import parse_location, reached
from seqtune.storage.mirror import LARGE

if TYPE_CHECKING:
    from seqtune.report.data.representative_runs import RepresentativeRun
    from seqtune.trained.evaluate import EvaluationResult

Entry = dict[str, Any]


@command
def evaluate(
    run: Annotated[
        str, typer.Argument(help="The directory or URL of a trained run, or of a sweep.")
    ],
    set_: ChangeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a trained run: on its own task, or on longer or higher strings than it was trained on.

    Every score comes with its standard error and the number of strings that it was taken of, then tables of
    where the model errs. A share of exactly 0 or 1 comes with a bound in place of the error: what it is at
    most, or at least, at 95 % confidence.

    --set takes paths of the task and of the evaluation, such as task.height=5 or evaluation.strings=4096. Of
    a list, such as task.height=[3,4,5], each value is asked in turn.

    Of a sweep every run is scored that the report ranks: the finished confirm runs of each cell, or its best
    search trial where there are none, a line each. The next report shows them.

    All of it, with samples, is kept in the run's evaluation.json, one entry for each set of changes: the same
    call again takes the place of its own entry, and of no other.
    """
    with clear_errors():
        changes, place = changes_of(set_), parse_location(run)
        with reached(place):
            alone = (place / "run.json").exists()
        if alone:
            _one(place, name=run, changes=changes, as_json=as_json)
        else:
            _sweep(place, changes=changes, as_json=as_json)


def _one(place: Path, *, name: str, changes: Mapping[str, object], as_json: bool) -> None:
    """All that was found, in full; a list of entries where several were asked for."""
    from seqtune.cli.tables import scores

    console = Console(highlight=False, width=None if sys.stdout.isatty() else scores.WIDTH)
    entries: list[Entry] = []
    several = False
    for found, entry, several in _found(place, name=name, changes=changes):
        if as_json and not several:
            print_json(entry)
        elif as_json:
            entries.append(entry)
        else:
            scores.show(found, console=console)
    if as_json and several:
        print_json(entries)


def _sweep(place: Path, *, changes: Mapping[str, object], as_json: bool) -> None:
    """A line for each run and setting; what cannot be evaluated is told, and the others go on."""
    from seqtune.cli.tables import scores

    runs = _standing(place)
    entries: list[Entry] = []
    told: dict[str, None] = {}
    for standing in runs:
        try:
            for found, entry, _ in _found(place / standing.directory, name="", changes=changes):
                entries.append({"run": standing.run, "cell": standing.cell, **entry})
                if not as_json:
                    typer.echo(f"{standing.run}, {scores.line(found)}")
        except FileError as error:
            # What is wrong with the call is wrong with it for every run.
            if str(error) not in told:
                typer.echo(str(error), err=True)
            told[str(error)] = None
    if not entries:
        raise typer.Exit(WRONG)
    if as_json:
        print_json(entries)
    typer.echo(f"to see them together: seqtune report {place}", err=True)
    if told:
        raise typer.Exit(SOME_FAILED)


def _standing(place: Path) -> "tuple[RepresentativeRun, ...]":
    """The runs that stand for the cells of a sweep.

    Raises:
        FileError: if it is the directory of neither a run nor a sweep, or nothing in it has finished.
    """
    from seqtune.report import load
    from seqtune.runs.directory import run_directories

    with fetched(place, without=LARGE) as copy:
        if not (run_directories(copy.local / "runs") or run_directories(copy.local)):
            raise FileError(
                f"{place}: is no run directory: it has no run.json; nor is it a sweep's: it holds no runs"
            )
        runs = load(copy.local).representatives
    if not runs:
        raise FileError(f"{place}: holds no finished run, so there is nothing to evaluate")
    return runs


def _found(
    place: Path, *, name: str, changes: Mapping[str, object]
) -> "Iterator[tuple[EvaluationResult, Entry, bool]]":
    """What each combination of changes gives, with its entry and whether a list of values was asked for.

    An entry is kept once the caller has seen it, so that what was found is not lost where it cannot be kept.

    Args:
        place: of a run.
        name: what a person calls it, to say what is done; nothing is said if it is empty.
        changes: new values by dotted path, or lists of them.
    """
    from seqtune.runs.directory import RunDirectory
    from seqtune.trained import evaluate
    from seqtune.trained.load import load

    with fetched(place, without=UNREAD) as copy:
        asked = evaluate.crossed(changes, spec=RunDirectory(copy.local).info()["spec"])
        several = asked != [dict(changes)]
        for number, each in enumerate(asked):
            trained = load(copy.local, changes=each)
            evaluate.check(trained)
            if number == 0:
                warn(copy.named(trained.warning))
            if name:
                count = trained.spec.evaluation.strings
                typer.echo(
                    f"{name}: weights of epoch {trained.epoch}, on {count:,} strings ...", err=True
                )
            found = evaluate.evaluate(trained)
            entry = found.to_data()
            yield found, entry, several
            evaluate.keep(trained.directory, entry)
            copy.put_back()
