from pathlib import Path

from seqtune.report import load
from seqtune.report.data import overlap
from seqtune.runs.directory import State
from tests.report.made import make_run


def runs_with(root: Path, **shares: float) -> None:
    """Runs with a share of seen strings each; `height_2_layers_1` names the compared values."""
    for name, share in shares.items():
        words = name.split("_")
        compared = {
            {"height": "task.height", "layers": "model.layers"}[path]: int(value)
            for path, value in zip(words[::2], words[1::2], strict=True)
        }
        make_run(root, name, excess=(0.1,), compared=compared, metrics={"valid/seen": share})


def test_one_share_for_all_cells(tmp_path: Path):
    runs_with(tmp_path, height_2=0.034, height_3=0.031)
    text = overlap.sentences(load(tmp_path))
    assert text.startswith("Of the validation strings, 3 % were also trained on in every cell.")
    assert "no test of generalisation beyond the training strings" in text


def test_shares_are_told_by_what_decides_them(tmp_path: Path):
    runs_with(
        tmp_path, height_2_layers_1=1.0, height_2_layers_2=1.0, height_3_layers_1=0.03,
        height_3_layers_2=0.03,
    )  # fmt: skip
    assert "trained on: 100 % in height=2; 3 % in height=3. " in overlap.sentences(load(tmp_path))


def test_many_different_shares_are_a_range(tmp_path: Path):
    shares = {f"layers_{layers}": layers / 10 for layers in range(1, 9)}
    runs_with(tmp_path, **shares)
    told = "trained on: from 10 % in layers=1 to 80 % in layers=8. "
    assert told in overlap.sentences(load(tmp_path))


def test_nothing_seen_is_nothing_said(tmp_path: Path):
    runs_with(tmp_path, height_2=0.0, height_3=0.0)
    assert overlap.sentences(load(tmp_path)) == ""


def test_what_was_not_measured_is_not_told(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.1,), compared={})
    assert overlap.sentences(load(tmp_path)) == ""


def test_a_share_is_that_of_the_runs_that_stand_for_the_cell(tmp_path: Path):
    runs: list[tuple[str, str, State, float]] = [
        ("a", "search", "finished", 0.9),
        ("b", "confirm", "finished", 0.2),
        ("c", "confirm", "finished", 0.4),
        ("d", "confirm", "diverged", 1.0),
    ]
    for name, phase, state, share in runs:
        make_run(
            tmp_path, name, excess=(0.1,), compared={}, cell="only", phase=phase,
            state=state, metrics={"valid/seen": share},
        )  # fmt: skip
    assert "Of the validation strings, 30 % were also trained on. " in overlap.sentences(
        load(tmp_path)
    )
