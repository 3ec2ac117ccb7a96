import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqtune.report import build, load
from seqtune.report.data.train_validation_overlap import CHANCE, check_floors
from seqtune.report.sections import alarm
from seqtune.report.sections.answer import overlap
from seqtune.runs.directory import State
from tests.report.made import SPEC, make_run


def scored(root: Path, name: str, *, token: float, string: float, strings: int = 100) -> None:
    """Make a run of two evaluations, both with this excess per token and per string."""
    spec: dict[str, Any] = {**SPEC, "evaluation": {"strings": strings}}
    make_run(
        root, name, excess=(token, token), compared={"model.layers": 1}, state="stopped",
        phase="search", info={"spec": spec}, metrics={"valid/excess_string": string},
    )  # fmt: skip


def test_a_run_is_named_if_chance_does_not_explain_it(tmp_path: Path):
    """Of two evaluations chance explains ln(2 / .001) = 7.6009 nats, rounding .00375."""
    scored(tmp_path, "a", token=-0.02, string=-0.076)
    assert check_floors(load(tmp_path)).found == ()
    scored(tmp_path / "more", "a", token=-0.02, string=-0.0765)
    [below] = check_floors(load(tmp_path / "more")).found
    assert (below.run, below.epoch, below.strings) == ("a", 1, 100)
    assert below.nats == pytest.approx(-7.65)
    assert below.allowed == pytest.approx(-math.log(2 / CHANCE) - 1e-5 * 382.5)


def test_more_evaluations_allow_more(tmp_path: Path):
    scored(tmp_path, "a", token=-0.02, string=-0.0765)
    for number in range(3):
        scored(tmp_path, f"other-{number}", token=0.5, string=2.0)
    found = check_floors(load(tmp_path))
    assert (found.runs, found.evaluations, found.found) == (4, 8, ())


def test_rounding_raises_no_alarm_however_many_tokens_there_are(tmp_path: Path):
    scored(tmp_path, "a", token=-1e-6, string=-1e-3, strings=100_000)
    assert check_floors(load(tmp_path)).found == ()


def test_runs_without_a_known_number_of_strings_are_not_checked(tmp_path: Path):
    make_run(tmp_path, "a", excess=(-9.0,), compared={}, metrics={"valid/excess_string": -99.0})
    assert check_floors(load(tmp_path)).runs == 0
    assert alarm.section(load(tmp_path)) is None


def test_honest_models_beat_the_floor_no_more_often_than_the_bound():
    """The inequality itself, on 20,000 draws of 50 strings: P(excess of all < -x) <= exp(-x)."""
    rng = np.random.default_rng(0)
    truth, model = np.array([0.5, 0.3, 0.2]), np.array([0.45, 0.33, 0.22])
    drawn = rng.choice(3, size=(20_000, 50), p=truth)
    nats = np.log(truth / model)[drawn].sum(axis=1)
    assert nats.mean() == pytest.approx(50 * truth @ np.log(truth / model), abs=0.02)
    assert (nats < 0).mean() > 0.2  # below the floor by chance
    for advantage in (0.5, 1.0, 2.0, 3.0):
        assert (nats < -advantage).mean() <= math.exp(-advantage)


def test_the_alarm_comes_first_in_red_and_bold(tmp_path: Path):
    scored(tmp_path, "leaky|1", token=-0.5, string=-3.0)
    report = build(tmp_path)
    text = report.read_text(encoding="utf-8")
    assert (
        "\n## Alarm: runs below the floor\n\n**leaky\\|1 is 300 nats below the exact floor of its"
        in text
    )
    assert text.index("## Alarm") < text.index("## Answer")
    page = report.with_name("report.html").read_text(encoding="utf-8")
    assert '<p class="alarm" role="alert">leaky|1 is' in page
    assert (
        (report.parent / "tables" / "alarm.csv").read_text().splitlines()[1].startswith("leaky|1,")
    )


def runs_with(root: Path, **shares: float) -> None:
    """Make runs with these shares; `height_2_layers_1` names the compared values."""
    for name, share in shares.items():
        words = name.split("_")
        compared = {
            {"height": "task.height", "layers": "model.layers"}[path]: int(value)
            for path, value in zip(words[::2], words[1::2], strict=True)
        }
        make_run(root, name, excess=(0.1,), compared=compared, metrics={"valid/seen": share})


def test_one_share_for_all_cells(tmp_path: Path):
    runs_with(tmp_path, height_2=0.034, height_3=0.031)
    text = overlap(load(tmp_path))
    assert text.startswith("Of the validation strings, 3 % were also trained on in every cell.")
    assert "do not measure generalization beyond the training strings" in text


def test_shares_are_given_by_what_decides_them(tmp_path: Path):
    runs_with(
        tmp_path, height_2_layers_1=1.0, height_2_layers_2=1.0, height_3_layers_1=0.03,
        height_3_layers_2=0.03,
    )  # fmt: skip
    assert "trained on: 100 % in height=2; 3 % in height=3. " in overlap(load(tmp_path))


def test_many_different_shares_are_a_range(tmp_path: Path):
    shares = {f"layers_{layers}": layers / 10 for layers in range(1, 9)}
    runs_with(tmp_path, **shares)
    expected = "trained on: from 10 % in layers=1 to 80 % in layers=8. "
    assert expected in overlap(load(tmp_path))


def test_without_overlap_there_is_no_sentence(tmp_path: Path):
    runs_with(tmp_path, height_2=0.0, height_3=0.0)
    assert overlap(load(tmp_path)) == ""


def test_without_a_measurement_there_is_no_sentence(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.1,), compared={})
    assert overlap(load(tmp_path)) == ""


def test_a_share_is_that_of_the_ranked_runs(tmp_path: Path):
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
    assert "Of the validation strings, 30 % were also trained on. " in overlap(load(tmp_path))
