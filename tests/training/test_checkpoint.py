from pathlib import Path

import pytest
import torch

from seqtune.training.checkpoint import CheckpointError, load, save

CPU = torch.device("cpu")


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path):
    path = tmp_path / "checkpoint.pt"
    save(path, {"epoch": 3, "weights": {"a": torch.arange(4)}, "metrics": None}, run="abc")
    state = load(path, run="abc", device=CPU)
    assert state["epoch"] == 3
    assert torch.equal(state["weights"]["a"], torch.arange(4))
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path):
    path = tmp_path / "checkpoint.pt"
    save(path, {"epoch": 3}, run="abc")
    with pytest.raises(CheckpointError, match="belongs to run abc, but this is run xyz"):
        load(path, run="xyz", device=CPU)


@pytest.mark.parametrize("kept", [0, 10, 300])
def test_a_torn_checkpoint_is_refused(tmp_path: Path, kept: int):
    path = tmp_path / "checkpoint.pt"
    save(path, {"weights": torch.zeros(100)}, run="abc")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="is incomplete or not a checkpoint"):
        load(path, run="abc", device=CPU)
