"""The charts that TensorBoard is asked to draw of a run, read back from its event files."""

from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2

from seqtune.record import record
from seqtune.rundir import RunDirectory
from tests.training.runs import tiny

PHASED: dict[str, Any] = {
    "kind": "phased",
    "phases": [{"epochs": 1, "truth": 1.0}, {"epochs": 2, "truth": [0.75, 0.0]}],
}


def events_of(path: Path, *, forcing: Any, sittings: int = 1) -> EventAccumulator:
    """The event files of a tiny run that was broken off after every sitting but the last."""
    for epochs in range(1, sittings + 1):
        recording = record(tiny(forcing=forcing), directory=RunDirectory(path))
        for measurement in recording:
            if epochs < sittings and measurement.epoch == epochs:
                recording.close()
    events = EventAccumulator(str(path))
    events.Reload()
    return events


def layout(events: EventAccumulator) -> Any:
    tensor = events.Tensors("custom_scalars__config__")[-1].tensor_proto
    found = layout_pb2.Layout()  # pyright: ignore[reportAttributeAccessIssue]
    found.ParseFromString(tensor.string_val[0])
    return found


def scalars(events: EventAccumulator, name: str) -> dict[int, float]:
    return {event.step: event.value for event in events.Scalars(name)}


@pytest.mark.parametrize("sittings", [1, 3])
def test_the_share_of_own_tokens_is_an_area_behind_the_training_loss(tmp_path: Path, sittings: int):
    events = events_of(tmp_path / "run", forcing=PHASED, sittings=sittings)
    [category] = layout(events).category
    together, area = category.chart
    assert list(together.multiline.tag) == ["train/loss", "valid/loss", "free/loss", "forcing"]
    [series] = area.margin.series
    assert (series.value, series.lower, series.upper) == ("train/loss", "phase/low", "phase/high")
    assert scalars(events, "phase/low") == {1: 0.0, 2: 0.0, 3: 0.0}
    assert scalars(events, "phase/high") == {1: 0.0, 2: 0.25, 3: 1.0}
    assert scalars(events, "forcing") == {1: 1.0, 2: 0.75, 3: 0.0}
    known = events.Tags()["scalars"]
    assert {*together.multiline.tag, series.value, series.lower, series.upper} <= set(known)


def test_plain_teacher_forcing_has_no_such_area(tmp_path: Path):
    events = events_of(tmp_path / "run", forcing="constant")
    [category] = layout(events).category
    [together] = category.chart
    assert "forcing" in together.multiline.tag
    assert not [tag for tag in events.Tags()["scalars"] if tag.startswith("phase/")]
