"""The command that trains one model, with a progress bar and a line per epoch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from seqtune.cli.app import (
    SOME_FAILED,
    JsonOption,
    SetOption,
    command,
    exit_interrupted,
    exit_on_error,
    open_location,
    parse_changes,
    print_json,
)
from seqtune.config.errors import SpecError
from seqtune.config.yaml_file import FileError, read_yaml

if TYPE_CHECKING:
    from seqtune.runs.directory import RunDirectory
    from seqtune.runs.spec import RunSpec
    from seqtune.storage.mirror import Mirror
    from seqtune.training import measurement as measured


@command
def train(
    file: Annotated[Path, typer.Argument(help="One run, as YAML.")],
    set_: SetOption = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="Directory or URL of the run; runs/NAME-HASH by default.", metavar="LOCATION"
        ),
    ] = None,
    note: Annotated[str, typer.Option(help="A sentence for the model card.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Train one model, or resume its training, and record it in a run directory."""
    from seqtune.runs.directory import RunDirectory
    from seqtune.runs.no_effect import settings_without_effect
    from seqtune.runs.spec import RunSpec
    from seqtune.storage.mirror import RunInUseError

    with exit_on_error():
        source = read_yaml(file).override(parse_changes(set_))
        if "base" in source.data and "task" not in source.data:
            raise FileError(f"{file}: is a sweep, not a single run; write: seqtune sweep {file}")
        try:
            spec = RunSpec.parse(source.data)
        except SpecError as error:
            raise source.error(error) from None
    with open_location(out or f"runs/{file.stem}-{spec.hash()}") as mirror:
        directory = RunDirectory(mirror.local)
        _check_directory(directory, spec=spec)
        for each in settings_without_effect(spec):
            typer.echo(f"note: {each}", err=True)
        try:
            _train_with_bar(spec, mirror=mirror, note=note)
        except RunInUseError as error:
            raise FileError(str(error)) from None
        except SpecError as error:
            raise source.error(error) from None
        info, last = directory.info(), next(reversed(directory.measurements()), None)
    state, reason = info["state"], info["reason"]
    if as_json:
        measured = {"epoch": last.epoch, "metrics": last.metrics} if last is not None else {}
        print_json(
            {"state": state, "reason": reason, "directory": str(mirror.location), **measured}
        )
    else:
        typer.echo(f"{state}{f' ({reason})' if reason else ''}: {mirror.location}")
    if state == "running":
        exit_interrupted("train", file, set_, out=str(mirror.location))
    if state != "finished":
        raise typer.Exit(SOME_FAILED)


def _check_directory(directory: "RunDirectory", *, spec: "RunSpec") -> None:
    from seqtune.sweep.search.directory import differences

    if not directory.exists():
        path = directory.path
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise FileError(f"{path}: is no run directory and is not empty; give another --out")
        return
    for path, old, new in differences(directory.info()["spec"], spec.to_data()):
        raise FileError(
            f"{directory.path}: holds another run: {path} is {old!r} in it and {new!r} now; "
            "give another --out"
        )


def _train_with_bar(spec: "RunSpec", *, mirror: "Mirror", note: str) -> None:
    """Train a run with a progress bar; every measurement is at the location once it is printed.

    Ctrl-C ends this session and leaves the run `running`, to be resumed.

    Raises:
        SpecError, FileError: if the run cannot start or resume on this machine; nothing is written.
    """
    from seqtune.runs.directory import RunDirectory
    from seqtune.runs.record import check_startable, record

    console = Console(stderr=True, highlight=False)
    directory = RunDirectory(mirror.local)
    check_startable(spec, directory=directory)
    epochs = spec.training.epochs
    with Progress(
        TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("", total=spec.training.steps, epoch=1, status="")

        def show(progress: "measured.Progress") -> None:
            bar.update(
                task,
                completed=progress.step,
                epoch=min(progress.step // spec.training.batches_per_epoch + 1, epochs),
                status=f"loss {progress.loss:.4f}  accuracy {progress.accuracy:.3f}  "
                f"lr {progress.lr:.2e}  {progress.tokens_per_second:,.0f} tokens/s",
            )

        measurements = record(spec, directory=directory, note=note, heartbeat=show)
        try:
            for measurement in measurements:
                mirror.put_back()
                epoch = min(measurement.epoch + 1, epochs)
                bar.update(task, completed=measurement.step, epoch=epoch)
                console.print(_line(measurement, epochs=epochs), soft_wrap=True)
        except KeyboardInterrupt:
            measurements.close()
    mirror.put_back()


def _line(measurement: "measured.Measurement", *, epochs: int) -> str:
    metrics = measurement.metrics
    valid = [f"valid loss {metrics['valid/loss']:.4f}"]
    if "valid/excess_string" in metrics:
        valid.append(f"excess {metrics['valid/excess_string']:.4f} nats per string")
    if "generate/valid" in metrics:
        valid.append(f"{metrics['generate/valid']:.1%} of generated strings valid")
    if "generate/exact" in metrics:
        valid.append(f"{metrics['generate/exact']:.1%} exactly right")
    return (
        f"epoch {measurement.epoch:>{len(str(epochs))}}/{epochs}: "
        f"loss {metrics['train/loss']:.4f}, accuracy {metrics['train/accuracy']:.3f}; "
        f"{', '.join(valid)}; {metrics['tokens_per_second']:,.0f} tokens/s"
    )
