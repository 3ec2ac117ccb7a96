"""The spec: what may be written, what it means, and what is told of a wrong one."""

from pathlib import Path

import pytest

from seqtune.config.errors import SpecError
from seqtune.config.spec import read, replace
from seqtune.tasks.life.spec import LifeSpec


def test_scores_are_named_as_far_as_they_can_be_measured():
    both = {"valid/excess", "valid/excess_string", "generate/valid", "generate/cells"}
    both |= {"generate/exact"}
    rolled = {"rollout/cells", "rollout/exact", "rollout/first_wrong"}
    assert LifeSpec().scores == both | rolled
    assert LifeSpec(rollout_steps=0).scores == both


def test_equal_rules_and_densities_make_equal_specs():
    one = LifeSpec.parse({"rule": "b3/s32", "density": 1})
    other = LifeSpec.parse({"rule": "B3/S23", "density": {"kind": "fixed", "share": 1.0}})
    assert one.hash() == other.hash()
    assert LifeSpec.parse(one.to_data()) == one


def test_a_density_is_replaced_by_its_path():
    spec = replace(LifeSpec(), {"density": 0.25})
    assert read(spec, "density.share") == 0.25
    assert read(replace(spec, {"density": "broad"}), "density.kind") == "broad"


def test_patterns_that_fit_are_test_boards():
    names = [pattern.name for pattern in LifeSpec().test_patterns()]
    assert names == ["glider", "blinker", "r-pentomino", "block"]
    assert "gosper-glider-gun" not in LifeSpec(rows=32, columns=32).test_boards()
    assert len(LifeSpec(rows=40, columns=40).test_boards()) == 12
    assert LifeSpec(patterns=()).test_boards() == {}


def test_a_users_pattern_is_a_test_board(tmp_path: Path):
    path = tmp_path / "dot.cells"
    path.write_text("O\n")
    boards = LifeSpec.parse({"rows": 3, "columns": 3, "patterns": [str(path)]}).test_boards()
    assert boards["dot"].tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("fields", "start"),
    [
        ({"rule": "B9/S23"}, "rule: must be B and S, each with its counts"),
        ({"rule": 323}, "rule: must be text, but got 323"),
        ({"rows": 0}, "rows: must be at least 1, but got 0"),
        ({"columns": -1}, "columns: must be at least 1, but got -1"),
        ({"steps": 0}, "steps: must be at least 1, but got 0"),
        ({"border": "open"}, "border: must be 'torus' or 'dead', but got 'open'"),
        ({"density": 1.5}, "density: must be at most 1, but got 1.5"),
        ({"density": -0.5}, "density: must be at least 0, but got -0.5"),
        ({"density": "wide"}, "density: no such kind: 'wide'"),
        ({"density": None}, "density: must be a mapping or one of high, broad, fixed, beta"),
        ({"density": "fixed"}, "density.share: is required"),
        ({"density": {"kind": "beta", "a": 0, "b": 1}}, "density.a: must be above 0, but got 0"),
        ({"density": {"kind": "beta", "a": 1}}, "density.b: is required"),
        (
            {"density": {"kind": "beta", "a": float("inf"), "b": 1}},
            "density.a: must be a finite number, but got inf",
        ),
        ({"rows": 100_000}, "rows: must be at most 256, but got 100000"),
        ({"layout": "clustered"}, "layout: no such kind: 'clustered'"),
        ({"layout": "heterogeneous", "rows": 2}, "layout: heterogeneous boards must have at least"),
        (
            {"layout": {"kind": "heterogeneous", "heterogeneity": 0.3}},
            "layout: heterogeneity must be at most that of a half-filled 4 x 4 board",
        ),
        (
            {"layout": {"kind": "heterogeneous", "heterogeneity": 0}},
            "layout.heterogeneity: must be above 0, but got 0",
        ),
        (
            {"layout": "heterogeneous", "density": 0.01},
            "density: must leave heterogeneous boards both live and dead cells, but got 0.01",
        ),
        ({"vocabulary": "words"}, "vocabulary: must be 'bytes' or 'compact'"),
        ({"loss": "prompt"}, "loss: must be 'completion' or 'whole'"),
        ({"rollout_steps": -1}, "rollout_steps: must be at least 0, but got -1"),
        (
            {"patterns": ["block", "pulsar"]},
            "patterns: pulsar must fit the board, but it is 13 x 13 and the board 4 x 4",
        ),
        ({"patterns": ["block", "glidr"]}, "patterns[1]: no such pattern"),
        ({"patterns": ["none.rle"]}, "patterns[0]: none.rle: cannot be read: No such file"),
        ({"patterns": ["block", "block"]}, "patterns: must have different names, but got block"),
        ({"patterns": "block"}, "patterns: must be a list, but got 'block'"),
        ({"width": 4}, "width: no such field"),
    ],
)
def test_a_wrong_spec_is_told_in_one_line(fields: dict[str, object], start: str):
    with pytest.raises(SpecError) as caught:
        LifeSpec.parse({"kind": "life", **fields})
    assert len(caught.value.problems) == 1
    line = str(caught.value.problems[0])
    assert line.startswith(start)
    assert "\n" not in line


def test_a_wrong_pattern_file_is_told_by_line(tmp_path: Path):
    path = tmp_path / "x.rle"
    path.write_text("x = 2, y = 2\nzz!\n")
    with pytest.raises(SpecError, match=r"patterns\[0\]: .*x\.rle:2: must hold only b, o, "):
        LifeSpec.parse({"patterns": [str(path)]})
