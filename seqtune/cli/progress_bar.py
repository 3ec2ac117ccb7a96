"""What a person sees while one model trains: a bar inside an epoch, a line after each."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from seqtune.runs.directory import RunDirectory
from seqtune.runs.record import check_startable, record
from seqtune.runs.spec import RunSpec
from seqtune.storage.mirror import Mirror
from seqtune.training import measurement as measured


def train_with_bar(
    spec: RunSpec, *, copy: Mirror, note: str, console: Console
) -> tuple[str, str | None]:
    """Records a run and shows how it goes; returns its state and the reason, if any.

    Its place has every measurement by the time that it is shown.

    Ctrl-C ends the sitting: the state is then `running`, and another sitting goes on.

    Raises:
        SpecError, FileError: if the run cannot begin or go on here and now; nothing is changed.
    """
    directory = RunDirectory(copy.local)
    check_startable(spec, directory=directory)
    steps = spec.training.steps
    with Progress(
        TextColumn("epoch {task.fields[epoch]}/" + str(spec.training.epochs)),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("", total=steps, epoch=1, status="")

        def show(progress: measured.Progress) -> None:
            epoch = progress.step // spec.training.batches_per_epoch + 1
            bar.update(
                task,
                completed=progress.step,
                epoch=min(epoch, spec.training.epochs),
                status=f"loss {progress.loss:.4f}  accuracy {progress.accuracy:.3f}  "
                f"lr {progress.lr:.2e}  {progress.tokens_per_second:,.0f} tokens/s",
            )

        recording = record(spec, directory=directory, note=note, heartbeat=show)
        try:
            for measurement in recording:
                copy.put_back()
                bar.update(
                    task,
                    completed=measurement.step,
                    epoch=min(measurement.epoch + 1, spec.training.epochs),
                )
                console.print(_line(measurement, epochs=spec.training.epochs), soft_wrap=True)
        except KeyboardInterrupt:
            recording.close()
    copy.put_back()
    info = directory.info()
    return info["state"], info["reason"]


def _line(measurement: measured.Measurement, *, epochs: int) -> str:
    metrics = measurement.metrics
    valid = [f"valid loss {metrics['valid/loss']:.4f}"]
    if "valid/excess_string" in metrics:
        valid.append(f"excess {metrics['valid/excess_string']:.4f} nats a string")
    if "generate/valid" in metrics:
        valid.append(f"{metrics['generate/valid']:.1%} of its strings valid")
    if "generate/exact" in metrics:
        valid.append(f"{metrics['generate/exact']:.1%} exactly right")
    return (
        f"epoch {measurement.epoch:>{len(str(epochs))}}/{epochs}: "
        f"loss {metrics['train/loss']:.4f}, accuracy {metrics['train/accuracy']:.3f}; "
        f"{', '.join(valid)}; {metrics['tokens_per_second']:,.0f} tokens/s"
    )
