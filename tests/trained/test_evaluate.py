"""`seqtune evaluate`: what it finds of small trained runs, what it keeps, and what it refuses."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner, Result

from seqtune.cli import app
from seqtune.cli.tables.scores import format_score
from seqtune.runs.directory import RunDirectory
from seqtune.runs.record import record
from seqtune.tasks.score import Score
from seqtune.trained.evaluate import expand_changes
from seqtune.training.measurement import FREE, METRICS
from tests.storage.disk import no_room
from tests.training.runs import tiny

SPECS: dict[str, dict[str, Any]] = {
    "cfg": {"task__height": 2},
    "life": {"task": {"kind": "life", "vocabulary": "compact", "rollout_steps": 2}},
    "text": {"task": {"kind": "text", "length": 20}},
    "padded": {"task__format": "padded", "evaluation__generate": 0},
    "absolute": {
        "model": {
            "kind": "transformer",
            "layers": 1,
            "width": 8,
            "heads": 2,
            "positions": "absolute",
        }
    },
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained run of each kind, never to be written to."""
    root = tmp_path_factory.mktemp("runs")
    for name, changes in SPECS.items():
        spec = tiny(training__epochs=2, evaluation__strings=40, **changes)
        list(record(spec, directory=RunDirectory(root / name)))
    return root


@pytest.fixture
def run(runs: Path, tmp_path: Path) -> Path:
    """The run of a grammar, of one's own."""
    return copied(runs / "cfg", tmp_path)


def copied(run: Path, folder: Path) -> Path:
    return Path(shutil.copytree(run, folder / run.name))


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, words)], prog_name="seqtune")


def entry(*words: str | Path) -> dict[str, Any]:
    done = call(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def kept(run: Path) -> list[dict[str, Any]]:
    return json.loads((run / "evaluation.json").read_text())["evaluations"]


def test_what_was_measured_in_training_is_found_again_with_its_error(run: Path):
    found = entry(run)
    measured = RunDirectory(run).measurements()
    best = min(measured, key=lambda each: each.metrics["valid/loss"])
    assert found["epoch"] == best.epoch
    assert set(found["scores"]) == {name for name in best.metrics if "/" in name} - {
        "train/loss",
        "train/accuracy",
        "valid/seen",
    }
    for name, score in found["scores"].items():
        assert score["value"] == pytest.approx(best.metrics[name], rel=1e-6, abs=1e-9), name
        assert score["count"] == (16 if name.startswith("generate/") else 40)
        assert (score["standard_error"] is None) == (score["bound"] is not None)
    assert found["floor"] == RunDirectory(run).info()["floor"]
    assert found["set"] == {}
    assert list(found["tables"]) == ["by position", "by length", "by level"]
    assert len(found["samples"]) == 12
    assert kept(run) == [found]


@pytest.mark.parametrize("name", SPECS)
def test_every_task_and_model_is_evaluated_for_people_and_for_machines(
    runs: Path, tmp_path: Path, name: str
):
    run = copied(runs / name, tmp_path)
    found = entry(run)
    assert FREE < set(found["scores"]) <= set(METRICS)
    assert (found["floor"] is None) == (name == "text") == bool(found["references"])
    assert found["tables"]["by position"]
    shown = call(run)
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"{name}, after epoch {found['epoch']}\n")
    for heading in (*found["scores"], *found["tables"], *found["references"]):
        assert heading in shown.stdout
    assert "±" in shown.stdout
    assert shown.stderr == f"{run}: weights of epoch {found['epoch']}, on 40 strings ...\n"


def test_the_same_call_gives_the_same_numbers_and_takes_the_place_of_the_first(run: Path):
    first = entry(run, "--set", "evaluation.strings=20")
    entry(run, "--set", "task.height=3", "--set", "evaluation.strings=20")
    again = entry(run, "--set", "evaluation.strings=20")
    assert first | {"time": ""} == again | {"time": ""}
    assert [each["set"] for each in kept(run)] == [
        {"evaluation.strings": 20},
        {"task.height": 3, "evaluation.strings": 20},
    ]
    assert kept(run)[0] == again
    changes = ["--set", "evaluation.strings=20", "--set", "task.height=3"]
    assert entry(run, *changes)["set"] == kept(run)[1]["set"]
    assert len(kept(run)) == 2


def test_higher_trees_than_were_trained_on_have_their_own_floor(run: Path):
    own = entry(run)
    higher = entry(run, "--set", "task.height=3", "--set", "evaluation.free=8")
    assert higher["task"]["height"] == 3
    assert higher["floor"]["loss_string"] > 2 * own["floor"]["loss_string"]
    assert higher["scores"]["free/loss"]["count"] == 8
    names = [row["level"] for row in higher["tables"]["by level"]]
    assert names == ["after no node", "inside a node", "height 1", "height 2", "height 3"]
    positions = [row["position"] for row in higher["tables"]["by position"]]
    assert positions[-1] == "28"
    assert own["tables"]["by position"][-1]["position"] == "10"


def test_larger_boards_than_were_trained_on(runs: Path, tmp_path: Path):
    run = copied(runs / "life", tmp_path)
    found = entry(run, "--set", "task.rows=5", "--set", "evaluation.generate=4")
    assert found["scores"]["generate/cells"]["count"] == 4
    assert found["scores"]["rollout/cells"]["count"] == len(found["tables"]["roll-outs by board"])
    assert "generate/valid" in call(run, "--set", "task.rows=5").stdout


def test_training_goes_on_unheeded(run: Path):
    files = {path.name: path.read_bytes() for path in run.iterdir()}
    entry(run)
    after = {path.name: path.read_bytes() for path in run.iterdir()}
    added = set(after) - set(files)
    assert {name: after[name] for name in files} == files
    assert added == {"evaluation.json", ".evaluation.lock"}


def spoilt(run: Path, *, how: str) -> None:
    """Changes a run directory in a way that cannot be used."""
    match how:
        case "no weights":
            (run / "model.safetensors").unlink()
            RunDirectory(run).update({"state": "running"})
        case "other data":
            RunDirectory(run).update({"data_hash": "0" * 64})
        case "foreign file":
            (run / "evaluation.json").write_text('{"mine": 1}')
        case "no file":
            (run / "evaluation.json").mkdir()
        case _:
            assert how == ""


@pytest.mark.parametrize(
    ("which", "words", "message"),
    [
        ("missing", [], "missing: is neither a run directory (no run.json)"),
        ("cfg, no weights", [], "cfg: has no model.safetensors: the run is running, and weights"),
        (
            "padded",
            ["evaluation.generate=4"],
            "--set evaluation.generate: has no effect, since this task's layout generates",
        ),
        ("cfg", ["task.height=2", "task.height=3"], "--set task.height: is given twice"),
        ("text, other data", [], "text: its text has changed since training: SHA-256 was 000"),
        ("cfg, foreign file", [], "evaluation.json: must hold a list of evaluations"),
        ("cfg, no file", [], "evaluation.json: Is a directory"),
        ("cfg", ["model.layers=2"], "--set model.layers: was fixed by training; only task and"),
        (
            "cfg",
            ["taks.height=3"],
            "--set taks.height: no such path; did you mean task.height?",
        ),
        (
            "cfg",
            ["task.hight=3"],
            "--set: task.hight: no such field; did you mean task.height?",
        ),
        ("cfg", ["task.height=9"], "--set: task.height: height must be an integer from 1 to 6"),
        ("cfg", ["evaluation.strings=0"], "--set: evaluation.strings: must be at least 1"),
        (
            "cfg",
            ["task=life"],
            "--set task: the model reads 5 different tokens, but this task has 256",
        ),
        (
            "cfg",
            ["task.format=padded"],
            "--set task: the model predicts 5 different tokens, but",
        ),
        (
            "cfg",
            ["task={kind: cfg, grammar: {root: S, rules: {S: [a b, b c]}}}"],
            "--set task: token 1 is 1 to the model, but a in this task",
        ),
        ("text", ["task.split=0.4"], "--set task: "),
        (
            "absolute",
            ["task.height=2"],
            "--set task: has strings of up to 10 tokens, but the model learned only 4 positions",
        ),
        ("cfg", ["training.device=cuda"], "write --set training.device=cpu"),
        ("cfg", ["task.height"], "--set task.height: must be PATH=VALUE"),
    ],
)
def test_what_cannot_be_evaluated_is_told_in_one_line(
    runs: Path, tmp_path: Path, which: str, words: list[str], message: str
):
    name, _, how = which.partition(", ")
    if "training.device=cuda" in words and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    run = tmp_path / name if name == "missing" else copied(runs / name, tmp_path)
    spoilt(run, how=how)
    done = call(run, *(word for change in words for word in ("--set", change)))
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    if how != "no file" and run.exists():
        before = '{"mine": 1}' if how == "foreign file" else None
        path = run / "evaluation.json"
        assert (path.read_text() if path.exists() else None) == before


def test_the_weights_are_those_that_are_evaluated(run: Path):
    """With all weights at 0 every token is equally likely."""
    path = run / "model.safetensors"
    spec = json.dumps(RunDirectory(run).info()["spec"])
    zeros = {name: torch.zeros_like(weight) for name, weight in load_file(path).items()}
    save_file(zeros, path, metadata={"spec": spec, "epoch": "7"})
    found = entry(run)
    assert found["epoch"] == 7
    assert found["scores"]["valid/loss"]["value"] == pytest.approx(torch.tensor(5.0).log().item())


def test_what_cannot_be_kept_is_printed_and_what_was_kept_stays(run: Path):
    """On a full disk; the superuser is told so too."""
    entry(run)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with no_room(64):
        done = call(run, "--set", "evaluation.strings=20", "--json")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["set"] == {"evaluation.strings": 20}
    assert done.stderr.splitlines()[1:] == [f"{run / 'evaluation.json'}: File too large"]
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


@pytest.mark.parametrize("name", ["evaluation.json.partial", ".evaluation.lock"])
def test_a_run_directory_that_cannot_be_written_to_is_told_before_the_work(run: Path, name: str):
    """Of what has to be written, one cannot be: a folder stands in its place."""
    (run / name).mkdir()
    before = sorted(run.iterdir())
    done = call(run)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr == f"{run / name}: Is a directory\n"
    assert set(run.iterdir()) - set(before) <= {run / ".evaluation.lock"}


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_run_directory_that_may_not_be_written_to_is_told_before_the_work(run: Path):
    run.chmod(0o555)
    try:
        done = call(run)
    finally:
        run.chmod(0o755)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "Permission denied" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (run / "evaluation.json").exists()


def test_a_share_of_exactly_1_has_a_bound_in_place_of_an_error(tmp_path: Path):
    """A language of one string is learned by heart, which 40 strings do not prove of all."""
    one = {"kind": "cfg", "grammar": {"root": "S", "rules": {"S": ["a b"]}}}
    spec = tiny(task=one, training__batches_per_epoch=40, evaluation__strings=40)
    list(record(spec, directory=RunDirectory(tmp_path / "one")))
    found = entry(tmp_path / "one")
    exact = found["scores"]["valid/exact"]
    assert exact == {"value": 1, "count": 40, "standard_error": None, "bound": 0.05 ** (1 / 40)}
    assert found["scores"]["valid/loss"]["bound"] is None
    assert found["scores"]["valid/loss"]["standard_error"] is not None
    rows = found["tables"]["by position"]
    assert all(row["accuracy"]["bound"] == exact["bound"] for row in rows)
    shown = call(tmp_path / "one").stdout
    assert "1 (≥ 0.927)" in shown
    assert "95 % bounds of shares of exactly 0 and 1" in shown


@pytest.mark.parametrize(
    ("score", "text"),
    [
        (Score(0.384052, 1024, 0.000824), "0.38405 ± 0.00082"),
        (Score(86.2801, 512, 0.4213), "86.28 ± 0.42"),
        (Score(1234.5, 5, 67.0), "1234 ± 67"),
        (Score(-0.00003, 5, 0.00075), "-0.00003 ± 0.00075"),
        (Score(1.234e-9, 5, 2e-10), "1.2e-09 ± 2e-10"),
        (Score(1.0, 256, 0.0), "1"),
        (Score(0.25, 1, float("nan")), "0.25"),
        (Score(float("nan"), 0, float("nan")), "none"),
        (Score(float("inf"), 3, float("nan")), "inf"),
    ],
)
def test_a_score_is_written_to_the_second_digit_of_its_error(score: Score, text: str):
    assert format_score(score) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("valid/exact", 1.0, "1 (≥ 0.86)"),
        ("generate/valid", 0.0, "0 (≤ 0.14)"),
        ("accuracy", 1.0, "1 (≥ 0.86)"),
        ("valid/excess", 0.0, "0"),
        ("rollout/first_wrong", 1.0, "1"),
    ],
)
def test_only_shares_are_bounded(name: str, value: float, text: str):
    assert format_score(Score(value, 20, 0.0), name=name) == text


def test_each_value_of_a_list_is_asked_in_turn(run: Path):
    done = call(run, "--set", "task.height=[1,3]", "--set", "evaluation.strings=20", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [each["set"]["task.height"] for each in found] == [1, 3]
    assert kept(run) == found
    shown = call(run, "--set", "task.height=[1,3]", "--set", "evaluation.strings=20")
    assert [line for line in shown.stdout.splitlines() if line.startswith("cfg, after")] == [
        f"cfg, after epoch {found[0]['epoch']}, task.height={height}, evaluation.strings=20"
        for height in (1, 3)
    ]


def test_a_list_that_can_stand_in_the_spec_is_one_value():
    spec = tiny(task={"kind": "life"}).to_data()
    changes = {"task.patterns": ["glider", "block"], "evaluation.strings": [20, 30]}
    assert expand_changes(changes, spec=spec) == [
        {"task.patterns": ["glider", "block"], "evaluation.strings": strings}
        for strings in (20, 30)
    ]


@pytest.fixture
def sweep(runs: Path, tmp_path: Path) -> Path:
    """Two cells of one run each, a confirm run and a search trial, and an unchosen trial."""
    root = tmp_path / "results"
    for name, cell, phase, trial in (
        ("one-search", "one", "search", 0),
        ("one-confirm", "one", "confirm", 0),
        ("two-search", "two", "search", 0),
    ):
        run = Path(shutil.copytree(runs / "cfg", root / "runs" / name))
        place = {"arm": None, "cell": cell, "phase": phase, "trial": trial}
        about = {"name": "s", "question": "", "metric": "valid/excess", "compared": {}, "tuned": {}}
        RunDirectory(run).update({"run": name, "sweep": {**about, **place}})
    return root


def test_of_a_sweep_every_run_that_stands_for_a_cell_is_scored_in_a_line(sweep: Path):
    done = call(sweep, "--set", "task.height=[2,3]", "--set", "evaluation.strings=20")
    assert done.exit_code == 0, done.output
    assert [line.partition(": valid/excess ")[0] for line in done.stdout.splitlines()] == [
        f"{run}, task.height={height}, evaluation.strings=20"
        for run in ("one-confirm", "two-search")
        for height in (2, 3)
    ]
    assert done.stderr == f"to see them together: seqtune report {sweep}\n"
    assert not (sweep / "runs" / "one-search" / "evaluation.json").exists()
    assert len(kept(sweep / "runs" / "two-search")) == 2


def test_a_sweep_is_a_list_for_machines(sweep: Path):
    done = call(sweep, "--set", "evaluation.strings=20", "--json")
    found = json.loads(done.stdout)
    assert [(each["run"], each["cell"]) for each in found] == [
        ("one-confirm", "one"),
        ("two-search", "two"),
    ]
    [entry] = kept(sweep / "runs" / "one-confirm")
    assert found[0] == {"run": "one-confirm", "cell": "one", **entry}


def test_a_run_of_a_sweep_that_cannot_be_evaluated_does_not_keep_the_others(sweep: Path):
    (sweep / "runs" / "one-confirm" / "model.safetensors").unlink()
    done = call(sweep, "--set", "evaluation.strings=20")
    assert done.exit_code == 1
    assert done.stdout.startswith("two-search, evaluation.strings=20: valid/excess ")
    assert "one-confirm: has no model.safetensors" in done.stderr


def test_what_is_wrong_for_every_run_of_a_sweep_is_told_once(sweep: Path):
    done = call(sweep, "--set", "task.hight=[3,4]")
    assert done.exit_code == 2
    assert done.stderr == "--set: task.hight: no such field; did you mean task.height?\n"
    assert done.stdout == ""


@pytest.mark.parametrize("made", [True, False], ids=["empty", "missing"])
def test_a_directory_of_neither_is_told_in_one_line(tmp_path: Path, made: bool):
    place = tmp_path / "results"
    if made:
        place.mkdir()
    done = call(place)
    assert done.exit_code == 2
    assert done.stderr == (
        f"{place}: is neither a run directory (no run.json) nor a sweep's (no runs)\n"
    )


def test_a_sweep_in_which_nothing_has_finished_is_told_in_one_line(sweep: Path):
    for run in (sweep / "runs").iterdir():
        RunDirectory(run).update({"state": "stopped", "reason": "pruned"})
    done = call(sweep)
    assert done.exit_code == 2
    assert done.stderr == f"{sweep}: holds no finished run, so there is nothing to evaluate\n"


def test_a_list_of_nothing_is_told(run: Path):
    done = call(run, "--set", "task.height=[]")
    assert done.exit_code == 2
    assert done.stderr == "--set task.height: must list at least one value, such as [3, 4]\n"
