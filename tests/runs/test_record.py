import io
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner

from seqtune.cli import app
from seqtune.runs.build import build_model
from seqtune.runs.directory import RunDirectory
from seqtune.runs.record import record
from seqtune.runs.spec import RunSpec
from seqtune.storage.full_disk import disk_is_full
from seqtune.tasks.cfg.grammar import grammar
from seqtune.tasks.picture import paint
from tests.storage.disk import fill, small_disk
from tests.sweep.sweeps import write
from tests.training.runs import tiny
from tests.waiting import HANG_SECONDS


def recorded(spec: RunSpec, path: Path, *, epochs: int | None = None) -> RunDirectory:
    """Records up to an epoch and breaks off there, as a kill between two epochs does."""
    directory = RunDirectory(path)
    recording = record(spec, directory=directory)
    for measurement in recording:
        if measurement.epoch == epochs:
            recording.close()
    return directory


def last_weights(spec: RunSpec, path: Path) -> dict[str, torch.Tensor]:
    """Weights after the last epoch: with a rising metric the best weights are the last."""
    recording = record(spec, directory=RunDirectory(path), metric="tokens_per_second")
    state: dict[str, torch.Tensor] = {}
    for _ in recording:
        state = torch.load(path / "checkpoint.pt", weights_only=True)["model"]
    return state


def test_a_finished_run_holds_all_that_is_known_of_it(tmp_path: Path):
    run = recorded(tiny(), tmp_path / "run")
    info = run.info()
    assert info["state"] == "finished"
    assert RunSpec.parse(info["spec"]) == tiny()
    assert info["hash"] == tiny().hash()
    assert info["parameters"] == 661
    read = 4 / 3.5  # tokens read for each that is scored: half of the strings are padded by one
    assert info["flops_per_token"] == pytest.approx(6 * (512 + 40) * read, rel=0.05)
    assert 0 < info["floor"]["loss"] < 1
    assert info["versions"]["torch"].startswith("2.")
    assert [m.epoch for m in run.measurements()] == [1, 2, 3]
    card = (run.path / "model_card.md").read_text()
    assert "Trainable parameters: 661" in card
    assert "(lstm): LSTM(8, 8, batch_first=True)" in card
    assert not run.checkpoint.exists()


def test_tensorboard_reads_every_metric_of_every_epoch_once(tmp_path: Path):
    recorded(tiny(), tmp_path / "run", epochs=2)
    # TensorBoard reads files in the order of their names, which hold the second of creation.
    time.sleep(1)
    run = recorded(tiny(), tmp_path / "run")
    events = EventAccumulator(str(run.path))
    events.Reload()
    for measurement in run.measurements():
        for name, value in measurement.metrics.items():
            steps = {e.step: e.value for e in events.Scalars(name)}
            assert steps[measurement.epoch] == pytest.approx(value, rel=1e-6)
            assert len(events.Scalars(name)) == 3


def test_the_best_weights_are_kept_with_their_spec(tmp_path: Path):
    run = recorded(tiny(), tmp_path / "run")
    losses = [m.metrics["valid/loss"] for m in run.measurements()]
    with safe_open(run.weights, framework="pt") as file:
        about = file.metadata()
    assert json.loads(about["spec"]) == tiny().to_data()
    assert int(about["epoch"]) == losses.index(min(losses)) + 1
    task = tiny().task.build()
    build_model(tiny(), task=task, device=torch.device("cpu")).load_state_dict(
        load_file(run.weights)
    )


@pytest.mark.parametrize("data", ["fresh", {"kind": "fixed", "strings": 50}])
def test_a_resumed_run_has_bit_identical_weights(tmp_path: Path, data: object):
    phases = [{"epochs": 2, "truth": 1.0}, {"epochs": 2, "truth": 0.5}]
    spec = tiny(
        training__epochs=4,
        model__dropout=0.3,
        data=data,
        forcing={"kind": "phased", "phases": phases},
    )
    whole = last_weights(spec, tmp_path / "whole")
    for epochs in (1, 3):
        interrupted = recorded(spec, tmp_path / "resumed", epochs=epochs)
        assert interrupted.info()["state"] == "running"
    resumed = last_weights(spec, tmp_path / "resumed")
    assert set(whole) == set(resumed)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    left, right = (RunDirectory(tmp_path / name).measurements() for name in ("whole", "resumed"))
    timed = ("tokens_per_second", "data_wait", "peak_memory_bytes")
    for a, b in zip(left, right, strict=True):
        assert (a.epoch, a.step, a.tokens) == (b.epoch, b.step, b.tokens)
        same = set(a.metrics) - set(timed)
        assert {name: a.metrics[name] for name in same} == {name: b.metrics[name] for name in same}


def test_a_kill_between_checkpoint_and_row_loses_no_row_and_repeats_none(tmp_path: Path):
    run = recorded(tiny(), tmp_path / "run", epochs=2)
    rows = run.measurements()
    run.rewind(rows[0])  # the checkpoint of epoch 2 is there, its row is not
    recorded(tiny(), tmp_path / "run")
    assert [m.epoch for m in run.measurements()] == [1, 2, 3]
    assert run.measurements()[1] == rows[1]


def test_a_run_that_ended_is_not_run_again(tmp_path: Path):
    run = recorded(tiny(), tmp_path / "run")
    before = (run.path / "measurements.csv").stat().st_mtime_ns
    assert list(record(tiny(), directory=run)) == []
    assert (run.path / "measurements.csv").stat().st_mtime_ns == before


def test_divergence_is_a_state_with_a_reason(tmp_path: Path):
    spec = tiny(optimizer={"kind": "sgd", "lr": 1e38}, training__clip_norm=None)
    run = recorded(spec, tmp_path / "run")
    assert run.info()["state"] == "diverged"
    assert run.info()["reason"].startswith("train/loss is")


def test_an_error_is_a_state_with_its_traceback(tmp_path: Path):
    run = recorded(tiny(), tmp_path / "run", epochs=1)
    run.checkpoint.write_bytes(b"torn")
    recorded(tiny(), tmp_path / "run")
    assert run.info()["state"] == "failed"
    assert "is torn or no checkpoint" in run.info()["reason"]
    assert "Traceback" in run.error.read_text()


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(0, marks=pytest.mark.slow),
        4096,
        pytest.param(100_000, marks=pytest.mark.slow),
    ],
)
def test_on_a_full_disk_a_run_breaks_off_and_goes_on_once_there_is_room(tmp_path: Path, leave: int):
    spec = tiny(model__width=64)
    with small_disk(tmp_path / "disk", size=2_000_000) as disk:
        run = recorded(spec, disk / "run", epochs=1)
        filler = fill(disk, leave=leave)
        with pytest.raises(OSError, match="No space left on device") as caught:
            recorded(spec, disk / "run")
        assert disk_is_full(caught.value)
        assert run.info()["state"] == "running"
        assert [each.epoch for each in run.measurements()] == [1]
        filler.unlink()
        assert recorded(spec, disk / "run").info()["state"] == "finished"
        whole = recorded(spec, tmp_path / "whole")
        for one, other in zip(run.measurements(), whole.measurements(), strict=True):
            assert one.metrics["valid/loss"] == other.metrics["valid/loss"]


ENDING = """
import sys, threading, time
from seqtune.runs.record import record
from seqtune.runs.directory import RunDirectory
from tests.sweep.sweeps import write
from tests.training.runs import tiny

run = RunDirectory(sys.argv[1])
spec = tiny(training__epochs=50, training__batches_per_epoch=100)
threading.Thread(target=lambda: list(record(spec, directory=run))).start()
while len(run.measurements()) < 2:
    time.sleep(0.01)
"""


def test_a_run_whose_process_ends_around_it_is_not_at_fault(tmp_path: Path):
    """As a worker of Ray's that is told to go: its main thread ends while the run is in another."""
    process = subprocess.run(
        [sys.executable, "-c", ENDING, str(tmp_path / "run")], timeout=HANG_SECONDS, check=False
    )
    assert process.returncode == 0
    run = RunDirectory(tmp_path / "run")
    assert run.info()["state"] == "running"
    assert len(run.measurements()) < 50


def test_weights_are_those_of_the_seed_and_leave_the_global_generator_alone():
    task = tiny().task.build()
    before = torch.random.get_rng_state()
    first, again = (build_model(tiny(), task=task, device=torch.device("cpu")) for _ in range(2))
    other = build_model(tiny(seed=1), task=task, device=torch.device("cpu"))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.head[0].weight, again.head[0].weight)  # pyright: ignore
    assert not torch.equal(first.head[0].weight, other.head[0].weight)  # pyright: ignore


def test_what_was_generated_last_is_kept(tmp_path: Path):
    run = recorded(tiny(evaluation__generate=20, training__batches_per_epoch=15), tmp_path / "run")
    found = json.loads(run.generated.read_text())
    assert found["epoch"] == 3
    score, metrics = found["scores"]["generate/valid"], run.measurements()[-1].metrics
    assert (score["value"], score["count"]) == (metrics["generate/valid"], 20)
    titles = [sample["title"] for sample in found["samples"]]
    assert titles == [*map(str, range(1, 9)), *(f"cut 1, {number}" for number in range(1, 5))]
    samples = found["samples"][:8]
    accepted = grammar("cfg3b", height=1).accepts(
        [[int(t) for t in sample["text"].split() if t.isdigit()] for sample in samples]
    )
    whole = [not sample["text"].endswith("…") and "BOS" not in sample["text"] for sample in samples]
    assert [sample["right"] for sample in samples] == (accepted & whole).tolist()
    assert 0 < sum(sample["right"] for sample in samples) < 8


def test_nothing_is_kept_where_nothing_is_generated(tmp_path: Path):
    run = recorded(tiny(evaluation__generate=0), tmp_path / "run")
    assert not run.generated.exists()


def test_boards_are_pictures_in_tensorboard(tmp_path: Path):
    spec = tiny(task={"kind": "life"}, training__epochs=1)
    run = recorded(spec, tmp_path / "run")
    events = EventAccumulator(str(run.path))
    events.Reload()
    samples = json.loads(run.generated.read_text())["samples"]
    assert events.Tags()["images"] == [f"samples/{sample['title']}" for sample in samples]
    shown = events.Images(f"samples/{samples[0]['title']}")[0]
    picture = np.asarray(Image.open(io.BytesIO(shown.encoded_image_string)))
    panels = {name: np.array(cells) for name, cells in samples[0]["panels"].items()}
    assert (picture == paint(panels)).all()


def test_text_samples_are_text_in_tensorboard(tmp_path: Path):
    spec = tiny(task={"kind": "text", "length": 20}, training__epochs=1)
    run = recorded(spec, tmp_path / "run")
    info = run.info()
    assert info["floor"] is None
    assert list(info["references"])[-1] == "lzma"
    assert len(info["data_hash"]) == 64
    events = EventAccumulator(str(run.path))
    events.Reload()
    sample = json.loads(run.generated.read_text())["samples"][0]
    shown = events.Tensors(f"samples/{sample['title']}/text_summary")[0]
    assert shown.tensor_proto.string_val[0].decode().replace("    ", "") == sample["text"].replace(
        "    ", ""
    )


def test_flops_count_the_tokens_that_are_read_and_not_scored(tmp_path: Path):
    def flops(loss: str) -> float:
        task = {"kind": "life", "loss": loss}
        run = recorded(tiny(task=task, training__epochs=1), tmp_path / loss)
        return run.info()["flops_per_token"] * run.measurements()[-1].tokens

    assert flops("whole") == pytest.approx(flops("completion"), rel=1e-12)


def test_a_run_does_not_go_on_with_other_data(tmp_path: Path):
    text = tmp_path / "text.txt"
    text.write_text("abcdefgh " * 100)
    spec = tiny(task={"kind": "text", "path": str(text), "length": 8})
    recorded(spec, tmp_path / "run", epochs=1)
    text.write_text("abcdefgx " * 100)
    run = recorded(spec, tmp_path / "run")
    assert run.info()["state"] == "failed"
    assert "the data have changed since the run began" in run.info()["reason"]
    assert [m.epoch for m in run.measurements()] == [1]


def test_the_command_says_where_room_is_needed_and_goes_on(tmp_path: Path):
    with small_disk(tmp_path / "disk", size=2_000_000) as disk:
        file = write(tmp_path / "run.yaml", json.dumps(tiny(model__width=64).to_data()))
        words = ["train", str(file), "--out", str(disk / "run")]
        recorded(tiny(model__width=64), disk / "run", epochs=1)
        filler = fill(disk, leave=4096)
        full = CliRunner().invoke(app, words)
        assert full.exit_code == 2
        assert full.stderr.endswith(f"{disk / 'run'}: No space left on device\n")
        assert "Traceback" not in full.stderr
        filler.unlink()
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.stderr
        assert done.stdout == f"finished: {disk / 'run'}\n"
