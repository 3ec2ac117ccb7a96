import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqtune.report import build, load
from seqtune.report.data.leaks import CHANCE, leaks
from seqtune.report.sections import alarm
from tests.report.made import SPEC, make_run


def scored(root: Path, name: str, *, token: float, string: float, strings: int = 100) -> None:
    """A run of two evaluations, both with this excess a token and a string."""
    spec: dict[str, Any] = {**SPEC, "evaluation": {"strings": strings}}
    make_run(
        root, name, excess=(token, token), compared={"model.layers": 1}, state="stopped",
        phase="search", info={"spec": spec}, metrics={"valid/excess_string": string},
    )  # fmt: skip


def test_a_run_is_named_from_where_chance_ends(tmp_path: Path):
    """Two evaluations: chance allows ln(2 / .001) = 7.6009 nats; 375 tokens of rounding .00375 more."""
    scored(tmp_path, "a", token=-0.02, string=-0.076)
    assert leaks(load(tmp_path)).found == ()
    scored(tmp_path / "more", "a", token=-0.02, string=-0.0765)
    [leak] = leaks(load(tmp_path / "more")).found
    assert (leak.run, leak.epoch, leak.strings) == ("a", 1, 100)
    assert leak.nats == pytest.approx(-7.65)
    assert leak.allowed == pytest.approx(-math.log(2 / CHANCE) - 1e-5 * 382.5)


def test_more_evaluations_allow_more(tmp_path: Path):
    scored(tmp_path, "a", token=-0.02, string=-0.0765)
    for number in range(3):
        scored(tmp_path, f"other-{number}", token=0.5, string=2.0)
    found = leaks(load(tmp_path))
    assert (found.runs, found.evaluations, found.found) == (4, 8, ())


def test_rounding_is_no_leak_however_many_tokens_there_are(tmp_path: Path):
    scored(tmp_path, "a", token=-1e-6, string=-1e-3, strings=100_000)
    assert leaks(load(tmp_path)).found == ()


def test_runs_without_a_known_number_of_strings_are_not_checked(tmp_path: Path):
    make_run(tmp_path, "a", excess=(-9.0,), compared={}, metrics={"valid/excess_string": -99.0})
    assert leaks(load(tmp_path)).runs == 0
    assert alarm.section(load(tmp_path)) is None


def test_models_that_know_nothing_beat_the_truth_no_oftener_than_the_bound_says():
    """The inequality itself, on 20,000 draws of 50 strings: P(excess of all < -x) <= exp(-x)."""
    rng = np.random.default_rng(0)
    truth, model = np.array([0.5, 0.3, 0.2]), np.array([0.45, 0.33, 0.22])
    drawn = rng.choice(3, size=(20_000, 50), p=truth)
    nats = np.log(truth / model)[drawn].sum(axis=1)
    assert nats.mean() == pytest.approx(50 * truth @ np.log(truth / model), abs=0.02)
    assert (nats < 0).mean() > 0.2  # below the floor by chance
    for advantage in (0.5, 1.0, 2.0, 3.0):
        assert (nats < -advantage).mean() <= math.exp(-advantage)


def test_the_alarm_stands_first_red_and_bold(tmp_path: Path):
    scored(tmp_path, "leaky|1", token=-0.5, string=-3.0)
    report = build(tmp_path)
    text = report.read_text(encoding="utf-8")
    assert (
        "\n## Alarm\n\n**leaky\\|1 beats the exact floor of its 100 validation strings by 300 nats"
        in text
    )
    assert text.index("## Alarm") < text.index("## What was measured")
    page = report.with_name("report.html").read_text(encoding="utf-8")
    assert '<p class="alarm" role="alert">leaky|1 beats' in page
    assert (
        (report.parent / "tables" / "alarm.csv").read_text().splitlines()[1].startswith("leaky|1,")
    )
