"""What stays of a run on disk."""

import stat
from pathlib import Path

import pytest
from safetensors import safe_open

from seqtune.config.yaml_file import FileError
from seqtune.runs.directory import RunDirectory
from seqtune.runs.record import record
from seqtune.runs.spec import Keep
from seqtune.trained.load import load
from tests.training.runs import tiny

RISING = {"kind": "reversed", "schedule": "linear"}
"""A schedule whose metric `forcing`, lower being better, is best after the first epoch."""


@pytest.mark.parametrize(("keep", "epoch"), [("best", "1"), ("last", "3")])
def test_the_best_weights_stay_or_the_last(tmp_path: Path, keep: Keep, epoch: str):
    run = RunDirectory(tmp_path / "run")
    list(record(tiny(forcing=RISING), directory=run, keep=keep, metric="forcing"))
    with safe_open(run.weights, framework="pt") as file:
        assert file.metadata()["epoch"] == epoch


def test_no_weights_stay_if_none_are_wanted(tmp_path: Path):
    run = RunDirectory(tmp_path / "run")
    list(record(tiny(), directory=run, keep="none"))
    assert run.info()["state"] == "finished"
    assert not run.weights.exists()
    assert not run.checkpoint.exists()
    with pytest.raises(FileError, match=r"has no model\.safetensors"):
        load(run.path, changes={})


@pytest.mark.slow
@pytest.mark.parametrize(
    "task", [{"kind": "cfg", "grammar": "cfg3b", "height": 3}, {"kind": "life"}]
)
def test_a_run_of_thirty_epochs_takes_less_than_a_hundred_kilobytes_beside_its_weights(
    tmp_path: Path, task: dict[str, str]
):
    spec = tiny(
        task=task, training__epochs=30, training__batches_per_epoch=1, evaluation__strings=4
    )
    run = RunDirectory(tmp_path / "run")
    list(record(spec, directory=run))
    files = [each for each in run.path.iterdir() if each != run.weights]
    sizes = {each.name: each.stat().st_size for each in files if stat.S_ISREG(each.stat().st_mode)}
    assert sum(sizes.values()) < 100_000, sizes
