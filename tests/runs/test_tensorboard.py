"""What TensorBoard is told of runs and of cells, read back from event files."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import plugin_data_pb2

from seqtune.report import load
from seqtune.report.render import tensorboard
from seqtune.runs.directory import RunDirectory, State
from seqtune.runs.record import record
from seqtune.stats.estimates import t_interval
from tests.report.made import make_cell, make_run
from tests.training.runs import tiny

ROOT = Path(__file__).parents[2]
PHASED: dict[str, Any] = {
    "kind": "phased",
    "phases": [{"epochs": 1, "rate": 1.0}, {"epochs": 2, "rate": [0.75, 0.0]}],
}


def events_of(path: Path, *, forcing: Any, sessions: int = 1) -> EventAccumulator:
    """The event files of a tiny run that was broken off after every session but the last."""
    for epochs in range(1, sessions + 1):
        recording = record(tiny(forcing=forcing), directory=RunDirectory(path))
        for measurement in recording:
            if epochs < sessions and measurement.epoch == epochs:
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


@pytest.mark.parametrize("sessions", [1, 3])
def test_the_share_of_own_tokens_is_an_area_behind_the_training_loss(tmp_path: Path, sessions: int):
    events = events_of(tmp_path / "run", forcing=PHASED, sessions=sessions)
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


def session(path: Path) -> tuple[dict[str, Any], int | None]:
    """A run's values among the hyperparameters, and its status; None if it has no end."""
    events = EventAccumulator(str(path))
    events.Reload()
    content = {
        tag: plugin_data_pb2.HParamsPluginData.FromString(  # pyright: ignore[reportAttributeAccessIssue]
            events.SummaryMetadata(tag).plugin_data.content
        )
        for tag in events.Tags()["tensors"]
        if tag.startswith("_hparams_/")
    }
    values = {
        name: getattr(value, value.WhichOneof("kind"))
        for name, value in content[
            "_hparams_/session_start_info"
        ].session_start_info.hparams.items()
    }
    end = content.get("_hparams_/session_end_info")
    return values, None if end is None else end.session_end_info.status


SUCCESS, FAILURE, UNKNOWN = 1, 2, 0


def test_a_trial_is_a_row_with_what_is_compared_and_tuned(tmp_path: Path):
    run = make_run(
        tmp_path,
        "a",
        excess=(0.3, 0.1),
        compared={"model.layers": 2, "model.positions": None, "forcing": {"kind": "linear"}},
        tuned={"optimizer.lr": 0.01, "model.tie": True},
        arm="lstm",
        seed=7,
    )
    values, status = session(run.path)
    assert values == {
        "arm": "lstm",
        "cell": "layers=2, positions=null, forcing=linear",
        "phase": "confirm",
        "model.layers": 2.0,
        "model.positions": "null",
        "forcing": '{"kind": "linear"}',
        "optimizer.lr": 0.01,
        "model.tie": True,
        "seed": 7.0,
    }
    assert status == SUCCESS


@pytest.mark.parametrize(
    ("state", "status"),
    [("stopped", UNKNOWN), ("diverged", FAILURE), ("failed", FAILURE), ("running", None)],
)
def test_a_row_says_how_its_run_ended(tmp_path: Path, state: State, status: int | None):
    run = make_run(tmp_path, "a", compared={"model.layers": 1}, state=state)
    assert session(run.path)[1] == status


def test_a_run_that_is_begun_again_has_the_end_of_the_last_time_alone(tmp_path: Path):
    run = make_run(tmp_path, "a", compared={"model.layers": 1}, state="failed")
    run.reopen()
    assert session(run.path)[1] is None
    run.end("finished")
    assert session(run.path)[1] == SUCCESS


def test_a_run_that_trains_shows_its_curves_in_its_row(tmp_path: Path):
    place = {"name": "s", "cell": "all", "phase": "search", "compared": {}, "tuned": {"seed": 0}}
    recording = record(tiny(), directory=RunDirectory(tmp_path / "run"), sweep=place)
    epochs = len(list(recording))
    values, status = session(tmp_path / "run")
    assert values == {"cell": "all", "phase": "search", "seed": 0.0}
    assert status == SUCCESS
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert len(scalars(events, "valid/loss")) == epochs


def test_rows_are_written_without_torch(tmp_path: Path):
    """The driver ends runs too, and must not import torch for it."""
    code = (
        "import sys; from pathlib import Path; from seqtune.runs.directory import RunDirectory\n"
        "sweep = {'name': 's', 'cell': 'all', 'phase': 'search', 'compared': {}, 'tuned': {}}\n"
        "run = RunDirectory(Path(sys.argv[1]))\n"
        "run.create({'hash': 'x', 'spec': {'seed': 0}, 'sweep': sweep})\n"
        "run.end('finished'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "run"], cwd=ROOT, check=True)
    assert session(tmp_path / "run")[1] == SUCCESS


def test_a_run_of_no_sweep_is_compared_with_nothing(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.1,))
    assert not list(tmp_path.rglob("*tfevents*"))


def show_cells(root: Path) -> None:
    tensorboard.write(load(root), root=root)


def test_a_cell_is_a_run_of_means_with_their_interval_and_floor(tmp_path: Path):
    make_cell(tmp_path, compared={"task.height": 2, "model.name": "a:b"}, values=(0.1, 0.2, 0.4))
    make_cell(tmp_path, compared={"task.height": 3, "model.name": "a:b"}, values=(0.1,))
    make_cell(tmp_path, compared={"task.height": 4, "model.name": "a:b"}, values=())
    show_cells(tmp_path)
    folders = sorted(path.name for path in (tmp_path / "tensorboard").iterdir() if path.is_dir())
    assert folders == ["height=2, name=a_b", "height=3, name=a_b"]
    events = EventAccumulator(str(tmp_path / "tensorboard" / folders[0]))
    events.Reload()
    expected = t_interval((0.1, 0.2, 0.4))
    for part, value in (("", expected.mean), ("/low", expected.low), ("/high", expected.high)):
        found = scalars(events, f"valid/excess{part}")
        assert found == pytest.approx({1: 1.0, 2: value}, rel=1e-6)
    assert scalars(events, "valid/loss/floor") == {1: 0.5, 2: 0.5}
    assert scalars(events, "valid/excess/floor") == {1: 0.0, 2: 0.0}
    [category] = layout(events).category
    assert list(category.chart[0].multiline.tag)[1:] == [
        f"{category.chart[0].multiline.tag[0]}{part}" for part in ("/low", "/high", "/floor")
    ]
    one = EventAccumulator(str(tmp_path / "tensorboard" / folders[1]))
    one.Reload()
    assert "valid/excess" in one.Tags()["scalars"]
    assert "valid/excess/low" not in one.Tags()["scalars"]


def test_the_cells_runs_are_replaced_whole(tmp_path: Path):
    make_cell(tmp_path, compared={"task.height": 2}, values=(0.1, 0.2))
    show_cells(tmp_path)
    [before] = (tmp_path / "tensorboard" / "height=2").iterdir()
    show_cells(tmp_path)
    assert list((tmp_path / "tensorboard" / "height=2").iterdir()) == [before]
    make_run(
        tmp_path,
        "more",
        excess=(1.0, 0.6),
        compared={"task.height": 2},
        tuned={"optimizer.lr": 0.02},
        trial=2,
        seed=1002,
    )
    show_cells(tmp_path)
    [after] = (tmp_path / "tensorboard" / "height=2").iterdir()
    assert after.name != before.name


def test_runs_outside_any_sweep_have_no_cells_to_show(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.1,))
    show_cells(tmp_path)
    assert not (tmp_path / "tensorboard").exists()
