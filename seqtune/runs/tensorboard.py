"""TensorBoard events: the curves and samples of a run, HParams rows, event files of a report.

Curves grow while a run trains, so torch's `SummaryWriter` writes them. The other event files are
written at once and to URLs too, by processes that must not import torch. TensorBoard has builders
for their messages (`hparams.summary`, `custom_scalar.summary`), but these need TensorFlow; so the
messages are filled in directly, and TensorBoard's `RecordWriter` frames them.
"""

import functools
import io
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

from seqtune.storage.location import is_remote
from seqtune.tasks.picture import paint
from seqtune.training.measurement import Measurement

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

Event: TypeAlias = Any
"""TensorBoard's `Event` message, whose fields type checkers do not know."""
FILE_MARK = "tfevents"
"""Part of the name of every file that TensorBoard reads."""
STATUS = {
    "finished": "STATUS_SUCCESS",
    "stopped": "STATUS_UNKNOWN",
    "diverged": "STATUS_FAILURE",
    "failed": "STATUS_FAILURE",
}
"""HParams status by run state. There is none for a run that the pruner stopped."""
_VERSION = "brain.Event:2"
# TensorBoard reads the files of a run in the order of their names. These suffixes sort before and
# after host names, which is what torch's writer puts there.
_START, _END = "-begun", "~ended"


def custom_scalars(*, feeds_back: bool) -> dict[str, dict[str, list[Any]]]:
    """Return the layout of a run's custom charts, for `SummaryWriter.add_custom_scalars`.

    Args:
        feeds_back: whether the run ever reads model predictions; adds a chart that shades their
            share behind the training loss.
    """
    together = ["train/loss", "valid/loss", "free/loss", "forcing"]
    charts: dict[str, list[Any]] = {"losses and forcing": ["Multiline", together]}
    if feeds_back:
        band = ["train/loss", "phase/low", "phase/high"]
        charts["train/loss over the share of model predictions read"] = ["Margin", band]
    return {"training": charts}


def write_measurement(
    measurement: Measurement, *, writer: "SummaryWriter", epochs: int, feeds_back: bool
) -> None:
    """Write a measurement: its metrics as curves, its samples as text or images.

    Samples are written after epochs 1, 2, 4, 8 ... and the last one. They change less and less,
    and written after every epoch they would take most of a run's disk space.
    """
    epoch = measurement.epoch
    for name, value in measurement.metrics.items():
        writer.add_scalar(name, value, epoch)
    if feeds_back:
        writer.add_scalar("phase/low", 0.0, epoch)
        writer.add_scalar("phase/high", 1 - measurement.metrics["forcing"], epoch)
    with_samples = epoch.bit_count() == 1 or epoch == epochs
    for sample in measurement.generated.samples if measurement.generated and with_samples else ():
        name = f"samples/{sample.title}"
        if sample.panels is not None:
            writer.add_image(name, paint(sample.panels), epoch, dataformats="HWC")
        else:
            # Markdown shows indented text verbatim.
            text = "\n".join("    " + line for line in "".join(sample.marked).splitlines())
            writer.add_text(name, text, epoch)
    writer.flush()


def write_start(directory: Path, *, info: Mapping[str, Any]) -> None:
    """Write the HParams row of a sweep's run; does nothing for a run of no sweep.

    The row is two small event files beside the curves, one from the run's start and one from its
    end. So a run without measurements has a row too, and a run that resumes can drop its old end:
    TensorBoard keeps the first end that it reads.

    Args:
        directory: the run's directory.
        info: the content of run.json.
    """
    if info.get("sweep") is None:
        return
    from tensorboard.plugins.hparams import metadata

    pb = _messages()
    seconds = datetime.fromisoformat(info["created"]).timestamp()
    start = pb.SessionStartInfo(start_time_secs=seconds)
    for name, value in hyperparameters(info).items():
        field = start.hparams[name]
        if isinstance(value, bool):
            field.bool_value = value
        elif isinstance(value, int | float):
            field.number_value = value
        else:
            field.string_value = value
    data = pb.HParamsPluginData(session_start_info=start)
    _write_session(directory, metadata.SESSION_START_INFO_TAG, data=data, seconds=seconds)


def write_end(directory: Path, *, info: Mapping[str, Any], state: str) -> None:
    """Write the end of a run's HParams row, in place of an earlier end."""
    if info.get("sweep") is None:
        return
    from tensorboard.plugins.hparams import metadata

    pb, now = _messages(), time.time()
    remove_end(directory)
    end = pb.SessionEndInfo(status=pb.Status.Value(STATUS[state]), end_time_secs=now)
    data = pb.HParamsPluginData(session_end_info=end)
    _write_session(directory, metadata.SESSION_END_INFO_TAG, data=data, seconds=now)


def remove_end(directory: Path) -> None:
    """Remove the end of a run's HParams row, because the run resumes."""
    for path in directory.glob(f"events.out.{FILE_MARK}.*.{_END}"):
        path.unlink()


def hyperparameters(info: Mapping[str, Any]) -> dict[str, bool | float | str]:
    """Return what distinguishes a sweep's run: arm, cell, phase, compared and tuned values, seed.

    Values are keyed by dotted path; null and whole blocks become JSON text.
    """
    position = info["sweep"]
    names = {name: position.get(name) for name in ("arm", "cell", "phase")}
    values = {**(position.get("compared") or {}), **(position.get("tuned") or {})}
    return {
        **{name: value for name, value in names.items() if value is not None},
        **{path: _plain(value) for path, value in values.items()},
        "seed": info["spec"]["seed"],
    }


def _plain(value: Any) -> bool | float | str:
    return value if isinstance(value, bool | int | float | str) else json.dumps(value)


def scalar_event(tag: str, value: float, *, step: int, seconds: float) -> Event:
    """Return one point of a curve.

    Args:
        tag: name of the curve.
        value: the point's value.
        step: the point's position on the step axis.
        seconds: wall time, in seconds since 1970.
    """
    pb = _messages()
    summary = pb.Summary(value=[pb.Summary.Value(tag=tag, simple_value=value)])
    return pb.Event(wall_time=seconds, step=step, summary=summary)


def charts_event(layout: Mapping[str, Mapping[str, Sequence[str]]], *, seconds: float) -> Event:
    """Return custom charts of several tags each.

    Args:
        layout: tags, by category and chart title.
        seconds: wall time, in seconds since 1970.
    """
    from tensorboard.plugins.custom_scalar import metadata

    pb = _messages()
    categories = [
        pb.Category(
            title=category,
            chart=[
                pb.Chart(title=title, multiline=pb.MultilineChartContent(tag=tags))
                for title, tags in charts.items()
            ],
        )
        for category, charts in layout.items()
    ]
    text = pb.Layout(category=categories).SerializeToString()
    return _tensor_event(
        metadata.CONFIG_SUMMARY_TAG,
        metadata=metadata.create_summary_metadata(),
        text=text,
        seconds=seconds,
    )


def encode_events(events: Iterable[Event], *, seconds: float) -> bytes:
    """Return the content of an event file that starts at a wall time."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    for event in (_messages().Event(wall_time=seconds, file_version=_VERSION), *events):
        writer.write(event.SerializeToString())
    return buffer.getvalue()


def _write_session(directory: Path, tag: str, *, data: Any, seconds: float) -> None:
    from tensorboard.plugins.hparams import metadata

    event = _tensor_event(tag, metadata=metadata.create_summary_metadata(data), seconds=seconds)
    part = _START if tag == metadata.SESSION_START_INFO_TAG else _END
    path = directory / f"events.out.{FILE_MARK}.{int(seconds):010d}.{part}"
    content = encode_events([event], seconds=seconds)
    try:
        path.write_bytes(content)
    except OSError as error:
        if is_remote(path):
            raise
        # The system's own error for a full disk names no file.
        raise OSError(error.errno, error.strerror, str(path)) from error


def _tensor_event(tag: str, *, metadata: Any, seconds: float, text: bytes = b"") -> Event:
    pb = _messages()
    tensor = pb.TensorProto(dtype=pb.DT_STRING, string_val=[text])
    value = pb.Summary.Value(tag=tag, metadata=metadata, tensor=tensor)
    return pb.Event(wall_time=seconds, summary=pb.Summary(value=[value]))


@functools.cache
def _messages() -> Any:
    """Return TensorBoard's message classes; imported late, since most commands need none."""
    from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2
    from tensorboard.plugins.custom_scalar import layout_pb2
    from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

    modules = (
        *(event_pb2, summary_pb2, tensor_pb2, types_pb2),
        *(layout_pb2, api_pb2, plugin_data_pb2),
    )
    return SimpleNamespace(**{k: v for module in modules for k, v in vars(module).items()})
