"""Probes of trained runs, as `seqtune probe` makes them."""

import csv
import inspect
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from seqtune import cli
from seqtune.cli.probe import probe as probe_command
from seqtune.cli.tables.probes import describe_errors
from seqtune.runs.directory import RunDirectory
from seqtune.runs.record import record
from seqtune.tasks.score import Score
from seqtune.trained import probe
from seqtune.trained.load import load
from tests.training.runs import tiny

RUNS: dict[str, dict[str, Any]] = {
    "grammar": {
        "task__height": 3,
        "model__layers": 2,
        "model__width": 24,
        "training__epochs": 1,
        "training__batches_per_epoch": 250,
        "training__batch_size": 32,
    },
    "lowest": {"training__epochs": 1},
    "nothing": {"task__format": "padded", "training__epochs": 1, "evaluation__generate": 0},
    "life": {
        "task": {"kind": "life", "rows": 3, "columns": 3, "rollout_steps": 0},
        "training__epochs": 1,
    },
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A tiny run of every kind: only the first has learned something."""
    root = tmp_path_factory.mktemp("runs")
    for name, changes in RUNS.items():
        for _ in record(tiny(**changes), directory=RunDirectory(root / name)):
            pass
    return {name: root / name for name in RUNS}


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(cli.app, ["probe", *map(str, words)], prog_name="seqtune")


QUICK = "probes-strings=150"


@pytest.fixture(scope="module")
def found(runs: Mapping[str, Path]) -> dict[str, Any]:
    done = call(runs["grammar"], "--strings", "150", "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def accuracies(found: Mapping[str, Any], **wanted: object) -> dict[str, tuple[float, float]]:
    """Accuracy and standard error, by model."""
    return {
        row["model"]: (row["accuracy"], row["accuracy_standard_error"])
        for row in found["readings"]
        if all(row[name] == value for name, value in wanted.items())
    }


def test_training_makes_nodes_easier_to_tell(found: Mapping[str, Any]):
    for layer in (1, 2):
        models = accuracies(found, target="ancestor", level="height 1", layer=layer)
        (trained, error), (untrained, other) = models["trained"], models["untrained"]
        assert trained > untrained + 3 * math.hypot(error, other)
    majority = accuracies(found, target="ancestor", level="height 1", layer=None)
    assert majority["majority"][0] < 0.5 < untrained


def test_every_layer_level_and_target_is_read(found: Mapping[str, Any]):
    rows = [(row["target"], row["level"], row["layer"], row["model"]) for row in found["readings"]]
    levels = {"ancestor": 2, "ancestor_at_end": 2, "boundary": 3}
    assert rows == [
        (target, f"height {height}", layer, model)
        for target, highest in levels.items()
        for height in range(1, highest + 1)
        for layer, model in [
            *((layer, model) for layer in (1, 2) for model in ("trained", "untrained")),
            (None, "majority"),
        ]
    ]
    assert all(0 <= row["accuracy"] <= 1 for row in found["readings"])
    assert all(0 <= row["balanced_accuracy"] <= 1 for row in found["readings"])


def test_the_end_of_the_string_is_a_boundary_of_one_token_a_string(found: Mapping[str, Any]):
    majority = next(
        row
        for row in found["readings"]
        if (row["target"], row["level"], row["model"]) == ("boundary", "height 3", "majority")
    )
    assert majority["balanced_accuracy"] == 0.5
    assert majority["accuracy"] == pytest.approx(1 - 150 / majority["positions"])
    assert majority["strings"] == 150


def test_the_numbers_are_kept_beside_the_run_with_a_figure(
    runs: Mapping[str, Path], found: Mapping[str, Any]
):
    rows = read(runs["grammar"] / f"{QUICK}.csv")
    assert [row["target"] for row in rows] == [row["target"] for row in found["readings"]]
    for row, reading in zip(rows, found["readings"], strict=True):
        assert row["layer"] == ("" if reading["layer"] is None else str(reading["layer"]))
        assert float(row["accuracy"]) == reading["accuracy"]
        measured = [row[name] for name in ("run", "epoch", "set", "seed", "fitted_strings")]
        assert measured == ["grammar", "1", "{}", "0", "150"]
    assert (runs["grammar"] / f"{QUICK}.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (runs["grammar"] / f"{QUICK}.svg").read_text()


def test_a_quick_look_leaves_what_was_published_as_it_is(runs: Mapping[str, Path], tmp_path: Path):
    run = Path(shutil.copytree(runs["lowest"], tmp_path / "run"))
    assert call(run).exit_code == 0
    published = {path.name: path.read_bytes() for path in run.glob("probes*")}
    assert set(published) == {"probes.csv", "probes.png", "probes.svg"}
    for words in (["--strings", "9"], ["--set", "evaluation.seed=3"]):
        done = call(run, *words)
        assert done.exit_code == 0, done.output
        assert {name: (run / name).read_bytes() for name in published} == published
    assert {path.name for path in run.glob("*.csv")} - {"measurements.csv"} == {
        "probes.csv",
        "probes-strings=9.csv",
        "probes-evaluation.seed=3.csv",
    }
    rows = read(run / "probes-evaluation.seed=3.csv")
    assert {(row["set"], row["seed"]) for row in rows} == {('{"evaluation.seed": 3}', "3")}
    assert {row["fitted_strings"] for row in read(run / "probes-strings=9.csv")} == {"9"}


def test_files_of_other_settings_have_other_names(runs: Mapping[str, Path]):
    found = probe.probe(load(runs["lowest"], changes={}), strings=9)

    def name(strings: int = 512, **changes: object) -> str:
        named = {path.replace("__", "."): value for path, value in changes.items()}
        return replace(found, strings=strings, changes=named).name

    assert name() == name(training__device="cpu") == "probes"
    assert name(task__height=2, evaluation__seed=1) == name(evaluation__seed=1, task__height=2)
    others = [
        name(),
        name(9),
        name(task__height=9),
        name(task__root="a/b"),
        name(task__root="a b"),
        name(task={"kind": "cfg", "grammar": {"root": "S", "rules": {"S": ["x" * 200 + "a"]}}}),
        name(task={"kind": "cfg", "grammar": {"root": "S", "rules": {"S": ["x" * 200 + "b"]}}}),
    ]
    assert len(set(others)) == len(others)
    assert all(len(each) < 120 and "/" not in each for each in others)


def test_a_probe_that_is_always_right_has_a_bound_in_place_of_an_error(runs: Mapping[str, Path]):
    found = probe.probe(load(runs["grammar"], changes={"task.height": 2}), strings=20)
    (sure, *_) = [each for each in found.readings if each.score.value == 1]
    rows = [row for row in found.rows if row["accuracy"] == 1]
    assert rows
    for row in rows:
        assert row["accuracy_standard_error"] is None
        assert row["accuracy_bound"] == pytest.approx(0.05 ** (1 / 20))
    assert describe_errors([sure]) == "A score of exactly 1 is at least 0.86, at 95 % confidence."
    other = replace(sure, accuracy=Score(0.5, 20, 0.1), balanced_accuracy=Score(0.5, 20, 0.1))
    assert (
        describe_errors([sure, other])
        == f"Standard errors are at most 0.100. {describe_errors([sure])}"
    )
    assert describe_errors([other]) == "Standard errors are at most 0.100."
    for row in found.rows:
        assert (row["accuracy_bound"] is None) == (row["accuracy_standard_error"] is not None)


def test_the_same_is_found_again(runs: Mapping[str, Path], found: Mapping[str, Any]):
    trained = load(runs["grammar"], changes={})
    assert probe.probe(trained, strings=150).to_data() == found


def test_another_seed_draws_other_strings_and_finds_much_the_same(
    runs: Mapping[str, Path], found: Mapping[str, Any]
):
    other = probe.probe(load(runs["grammar"], changes={"evaluation.seed": 1}), strings=150)
    wanted = {"target": "ancestor", "level": "height 1", "layer": 1}
    (first, error), (second, _) = (
        accuracies(each, **wanted)["trained"] for each in (found, other.to_data())
    )
    assert first != second
    assert abs(first - second) < 6 * error


def test_a_table_and_the_paths_are_printed(runs: Mapping[str, Path]):
    done = call(runs["grammar"], "--strings", "20", "--set", "task.height=2")
    assert done.exit_code == 0, done.output
    for text in (
        "Linear probes of grammar after epoch 1, task.height=2",
        "Ancestor of every token: ",
        "height 1",
        "layer 2",
        "majority class",
        "fitted on 20 strings and scored on 20",
        "also fitted on",  # a language of 16 strings
    ):
        assert text in " ".join(done.stdout.split())
    for suffix in ("csv", "png", "svg"):
        path = runs["grammar"] / f"probes-strings=20-task.height=2.{suffix}"
        assert str(path) in done.stdout
        assert path.exists()


def test_a_grammar_of_height_one_has_only_its_end_to_tell(runs: Mapping[str, Path]):
    done = call(runs["lowest"], "--strings", "30", "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["readings"]
    assert {(row["target"], row["level"]) for row in rows} == {("boundary", "height 1")}


@pytest.mark.parametrize(
    ("run", "words", "expected"),
    [
        ("life", [], "has no trees to probe for: its task is life; only grammars"),
        ("nothing", [], "has nothing to probe for"),
        ("none", [], "is no run directory"),
        ("grammar", ["--strings", "1"], "--strings: must be at least 2, but got 1"),
        ("grammar", ["--set", "model.width=8"], "--set model.width: was fixed by training"),
        (
            "grammar",
            ["--set", "evaluation.strings=99"],
            "--set evaluation.strings: has no effect on this command; write --strings NUMBER",
        ),
        (
            "grammar",
            ["--set", "evaluation.free=9"],
            "--set evaluation.free: has no effect on this command",
        ),
        (
            "grammar",
            ["--set", "evaluation.generate=9"],
            "has no effect on this command; leave it out",
        ),
        ("grammar", ["--set", "evaluation={seed: 1}"], "or --set evaluation.seed=NUMBER"),
        ("grammar", ["--set", "task.cut=1"], "--set task.cut: has no effect on this command"),
        ("grammar", ["--set", "task.height=2", "--set", "task.height=3"], "is given twice"),
        ("grammar", ["--set", "task.format=padded"], "--set task: the model predicts 5"),
    ],
)
def test_what_cannot_be_probed_is_told_in_a_line(
    runs: Mapping[str, Path], run: str, words: list[str], expected: str
):
    done = call(runs.get(run, Path("none")), *words)
    assert done.exit_code == 2
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_the_command_has_help_and_the_default_of_the_function():
    shown = CliRunner().invoke(cli.app, ["probe", "--help"], prog_name="seqtune")
    assert "Usage: seqtune probe" in shown.stdout
    assert inspect.signature(probe_command).parameters["strings"].default == probe.STRINGS
