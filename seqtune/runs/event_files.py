"""TensorBoard's event files, as bytes: for what is written whole, and where torch is not wanted.

What grows with a training run goes through torch's writer; see `board.py`.
"""

import functools
import io
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, TypeAlias

Event: TypeAlias = Any
"""TensorBoard's `Event`, whose fields no type checker knows."""
MARK = "tfevents"
"""What stands in the name of every file that TensorBoard reads."""
_VERSION = "brain.Event:2"


def scalar(tag: str, value: float, *, step: int, time: float) -> Event:
    """A point of a curve.

    Args:
        tag: the curve's name.
        value: there.
        step: its place on the axis.
        time: in seconds since 1970.
    """
    pb = _protos()
    summary = pb.Summary(value=[pb.Summary.Value(tag=tag, simple_value=value)])
    return pb.Event(wall_time=time, step=step, summary=summary)


def about(tag: str, *, plugin: str, content: bytes, time: float, text: bytes = b"") -> Event:
    """What a plugin is told of a run as a whole: in the metadata of a tag, or as its text."""
    pb = _protos()
    data = pb.SummaryMetadata.PluginData(plugin_name=plugin, content=content)
    value = pb.Summary.Value(
        tag=tag,
        metadata=pb.SummaryMetadata(plugin_data=data),
        tensor=pb.TensorProto(dtype=pb.DT_STRING, string_val=[text]),
    )
    return pb.Event(wall_time=time, summary=pb.Summary(value=[value]))


def charts(layout: Mapping[str, Mapping[str, Sequence[str]]], *, time: float) -> Event:
    """TensorBoard's custom scalars: charts of several tags, by category and title."""
    from tensorboard.plugins.custom_scalar import layout_pb2, metadata

    pb: Any = layout_pb2
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
    return about(
        metadata.CONFIG_SUMMARY_TAG,
        plugin=metadata.PLUGIN_NAME,
        content=b"",
        time=time,
        text=pb.Layout(category=categories).SerializeToString(),
    )


def encoded(events: Iterable[Event], *, time: float) -> bytes:
    """A whole event file, begun at a time."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    for event in (_protos().Event(wall_time=time, file_version=_VERSION), *events):
        writer.write(event.SerializeToString())
    return buffer.getvalue()


@functools.cache
def _protos() -> Any:
    """TensorBoard's messages: imported late, since most commands need none."""
    from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2

    modules = (event_pb2, summary_pb2, tensor_pb2, types_pb2)
    return SimpleNamespace(**{k: v for module in modules for k, v in vars(module).items()})
