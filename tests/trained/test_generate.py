"""What trained runs generate when they are asked, and how it is printed."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner, Result

from seqtune.cli import app
from seqtune.cli.tables.samples import print_generation
from seqtune.config.spec import paths
from seqtune.config.yaml_file import FileError
from seqtune.models.base import SequenceModel
from seqtune.runs.build import build_model
from seqtune.runs.directory import RunDirectory
from seqtune.runs.record import record
from seqtune.runs.spec import RunSpec
from seqtune.tasks.build import build_task
from seqtune.tasks.cfg.generative_evaluation import read_terminals
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.cfg.task import CfgTask
from seqtune.tasks.generative_evaluation import SEAM
from seqtune.trained.generate import (
    ONE_CONTINUATION,
    UNUSED,
    Generation,
    GenerationRequest,
)
from seqtune.trained.load import TrainedRun
from seqtune.training import generation
from tests.models.oracle import Oracle
from tests.training.runs import tiny

LIFE = {"kind": "life", "rows": 4, "columns": 4, "vocabulary": "compact", "rollout_steps": 0}
TEXT = {"kind": "text", "length": 24}
TRANSFORMER = {"kind": "transformer", "layers": 1, "width": 16, "heads": 2, "head_width": 8}
RUNS: dict[str, dict[str, Any]] = {
    "cfg": {
        "task__height": 2,
        "model__width": 16,
        "training__epochs": 3,
        "training__batches_per_epoch": 30,
    },
    "padded": {"task__height": 2, "task__format": "padded", "evaluation__generate": 0},
    "life": {"task": LIFE},
    "text": {"task": TEXT},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A tiny trained run of every kind of task."""
    root = tmp_path_factory.mktemp("runs")
    for name, changes in RUNS.items():
        for _ in record(
            tiny(**{"training__epochs": 1, **changes}), directory=RunDirectory(root / name)
        ):
            pass
    return {name: root / name for name in RUNS}


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["generate", *map(str, words)], prog_name="seqtune")


def answered(*words: str | Path) -> dict[str, Any]:
    done = call(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_the_command_has_help():
    shown = call("--help")
    assert shown.exit_code == 0
    assert "⟨wrong: REASON⟩" in shown.stdout


def with_model(spec: RunSpec, model: SequenceModel | None = None) -> TrainedRun:
    """A run with a given model, by default an untrained one."""
    task = build_task(spec.task)
    own = model or build_model(spec, task=task, device=torch.device("cpu")).eval()
    directory = RunDirectory("none")
    return TrainedRun(directory, spec, changes={}, task=task, model=own, epoch=0, info={})


@pytest.mark.parametrize(
    "spec",
    [
        CfgSpec(grammar="cfg3b", height=2),
        CfgSpec(grammar="cfg3f", height=2),
        CfgSpec(grammar="cfg3b", height=2, format="packed"),
        CfgSpec.parse({"kind": "cfg", "grammar": {"kind": "dyck", "max_length": 10}}),
    ],
    ids=str,
)
@pytest.mark.parametrize("begun", [0, 1, 3])
def test_who_knows_the_language_is_always_right(spec: CfgSpec, begun: int):
    grammar = spec.language()
    run = RunSpec.parse({"task": spec.to_data(), "model": {"kind": "lstm"}})
    trained = with_model(run, Oracle(grammar))
    (string,) = grammar.sample(1, 5)
    words = [grammar.terminals[token - 1] for token in string[:begun]]
    request = GenerationRequest(" ".join(words) if begun else None, count=30)
    data = Generation(trained, request=request).to_data()
    assert data["summary"]["right"] == data["summary"]["count"] == 30
    assert data["note"] == ""
    for sample in data["samples"]:
        assert sample["wrong_at"] is None
        assert sample["text"].replace(f"{SEAM} ", "").split()[:begun] == words


def test_a_line_holds_a_string_with_a_mark_where_it_goes_wrong(runs: Mapping[str, Path]):
    done = call(runs["cfg"], "--count", "40")
    assert done.exit_code == 0
    assert done.stderr == ""
    *lines, blank, summary = done.stdout.splitlines()
    assert len(lines) == 40
    assert blank == ""
    task = CfgTask(CfgSpec(grammar="cfg3b", height=2))
    right = 0
    for line in lines:
        verdict, _, text = line.partition(" ")
        assert verdict in "✓✗"
        if verdict == "✓":
            right += 1
            string = read_terminals(text, language=task.grammar)
            assert task.grammar.accepts([string]).all()
        else:
            assert text.count("⟨wrong: ") == 1
    assert 0 < right < 40
    assert summary.startswith(f"{right} of 40 right: {right / 40:.4g} ± ")


def test_the_same_seed_gives_the_same_strings_and_another_others(runs: Mapping[str, Path]):
    first, again, other = (call(runs["cfg"], "--seed", seed).stdout for seed in ("1", "1", "2"))
    assert first == again != other
    assert len(first.splitlines()) == 20 + 2


def test_the_summary_has_a_standard_error(runs: Mapping[str, Path]):
    data = answered(runs["cfg"], "--count", "40")
    verdicts = [sample["right"] for sample in data["samples"]]
    share = sum(verdicts) / 40
    assert data["summary"] == {
        "count": 40,
        "judged": 40,
        "right": sum(verdicts),
        "share": share,
        "standard_error": pytest.approx((share * (1 - share) / 39) ** 0.5),
        "bound": None,
    }


def test_an_impossible_prompt_is_gone_on_with_and_said_once(runs: Mapping[str, Path]):
    done = call(runs["cfg"], "--prompt", "3 1 1", "--count", "3")
    assert done.exit_code == 0
    assert done.stderr == (
        "no string of the language begins like the prompt: its token 3 is 1, but only 2 or 3 can "
        "follow\n"
    )
    lines = done.stdout.splitlines()
    assert all(line.startswith("✗ 3 1 ⟨wrong: only 2 or 3 can follow⟩ 1 ⟫") for line in lines[:3])
    assert lines[4] == "0 of 3 right, at most 64 %"
    summary = answered(runs["cfg"], "--prompt", "3 1 1", "--count", "20")["summary"]
    assert (summary["right"], summary["standard_error"]) == (0, None)
    assert summary["bound"] == pytest.approx(1 - 0.05 ** (1 / 20))


def test_who_is_always_right_may_be_wrong_for_once():
    spec = CfgSpec(grammar="cfg3b", height=2)
    run = RunSpec.parse({"task": spec.to_data(), "model": {"kind": "lstm"}})
    trained = with_model(run, Oracle(spec.language()))
    file = io.StringIO()
    generation = Generation(trained, request=GenerationRequest(count=20))
    print_generation(generation, console=Console(file=file))
    assert file.getvalue().splitlines()[-1] == "20 of 20 right, at least 86 %"
    summary = generation.to_data()["summary"]
    assert summary["bound"] == pytest.approx(0.05 ** (1 / 20))
    assert summary["standard_error"] is None


def test_the_padded_layout_is_judged_by_beginnings(runs: Mapping[str, Path]):
    done = call(runs["padded"], "--count", "10", "--temperature", "0.5")
    assert done.exit_code == 0
    assert done.stderr.startswith("the padded layout predicts no end")
    assert "of 10 right" in done.stdout
    shorter = answered(runs["padded"], "--prompt", "3 1 2", "--longest", "1", "--temperature", "0")
    assert [len(sample["text"].split()) for sample in shorter["samples"]] == [6]


def test_a_higher_tree_can_be_asked_for(runs: Mapping[str, Path]):
    data = answered(runs["cfg"], "--set", "task.height=3", "--count", "3")
    assert data["summary"]["count"] == 3


def test_boards_are_predicted_at_temperature_0_and_a_prompt_once(runs: Mapping[str, Path]):
    data = answered(runs["life"], "--prompt", "0000/1110/0000/0000")
    (sample,) = data["samples"]
    assert sample["panels"]["prompt"] == [[0] * 4, [1, 1, 1, 0], [0] * 4, [0] * 4]
    assert sample["panels"]["truth"] == [[0, 1, 0, 0]] * 3 + [[0] * 4]
    assert sample["right"] is False
    wrong = sum(cell > 1 for row in sample["panels"]["prediction"] for cell in row)
    assert data["summary"]["cells"] == 1 - wrong / 16
    assert data["summary"]["standard_error"] is None
    assert data["summary"]["bound"] is None
    assert data["note"] == ""
    thrice = answered(runs["life"], "--prompt", "0000/1110/0000/0000", "--count", "3")
    assert thrice["samples"] == [sample]
    assert thrice["note"] == ONE_CONTINUATION
    hot = answered(runs["life"], "--prompt", "0000/1110/0000/0000", "--temperature", "2")
    assert len({each["text"] for each in hot["samples"]}) > 1
    assert len(hot["samples"]) == 20


def test_at_temperature_0_without_a_prompt_there_is_one_string(runs: Mapping[str, Path]):
    for words in ([], ["--count", "1"]):
        done = call(runs["cfg"], "--temperature", "0", *words)
        assert len(done.stdout.splitlines()) == 1 + 2
        assert "most" not in done.stdout.splitlines()[-1]
        assert done.stderr == ""
    asked = call(runs["cfg"], "--temperature", "0", "--count", "30")
    assert asked.stdout == done.stdout
    assert asked.stderr == f"{ONE_CONTINUATION}\n"
    # Prompts that are drawn have an answer each.
    texts = answered(runs["text"], "--temperature", "0", "--count", "5")["samples"]
    assert len({each["text"] for each in texts}) == 5
    boards = answered(runs["life"], "--set", "task.density=0.0", "--count", "5")["samples"]
    assert len(boards) == 1


def test_drawn_boards_differ_and_are_drawn_by_the_seed(runs: Mapping[str, Path]):
    data = answered(runs["life"], "--count", "5", "--seed", "3")
    prompts = [str(sample["panels"]["prompt"]) for sample in data["samples"]]
    assert len(set(prompts)) == 5
    assert answered(runs["life"], "--count", "5", "--seed", "3") == data


def test_larger_boards_than_the_trained_can_be_asked_for(runs: Mapping[str, Path]):
    words = (runs["life"], "--set", "task.rows=6", "--prompt", "glider")
    (sample,) = answered(*words)["samples"]
    _, captions, *rows, blank, signs, _, summary = call(*words).stdout.splitlines()
    assert captions.split() == ["prompt", "truth", "prediction"]
    for row, cells in zip(rows, sample["panels"]["prediction"], strict=True):
        assert row.split()[8:] == [".OxX?"[cell] for cell in cells]
    assert blank == ""
    assert signs == "  . dead   O alive   x wrongly dead   X wrongly alive   ? missing"
    assert summary.startswith("0 of 1 right; cells right: ")


def test_a_text_is_gone_on_with_and_not_judged(runs: Mapping[str, Path]):
    done = call(runs["text"], "--prompt", "A new\nclass ☃", "--count", "3", "--longest", "30")
    assert done.exit_code == 0
    assert done.stderr.startswith("not in the vocabulary, so read as unknown and shown as �: '☃'")
    *lines, _, summary = done.stdout.splitlines()
    assert all(line.startswith("  A new⏎class �⟫") for line in lines)
    assert len(lines) == 3
    assert summary == "3 generated; this task judges no strings"
    data = answered(runs["text"], "--count", "2")
    assert all(len(sample["text"]) == 12 + len(SEAM) + 200 for sample in data["samples"])
    assert data["summary"] == {"count": 2, "judged": 0}


def test_prompts_are_generated_from_in_batches_of_bounded_size(
    runs: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
):
    whole = answered(runs["life"], "--count", "10")
    monkeypatch.setattr(generation, "TOKENS_AT_ONCE", 3 * (35 + 20))
    assert answered(runs["life"], "--count", "10") == whole
    assert len(answered(runs["cfg"], "--count", "50")["samples"]) == 50


@pytest.mark.parametrize(
    ("run", "words", "message"),
    [
        ("cfg", ["--count", "0"], "--count: must be at least 1, but got 0"),
        ("cfg", ["--seed", "-1"], "--seed: must be at least 0, but got -1"),
        ("text", ["--longest", "0"], "--longest: must be at least 1, but got 0"),
        (
            "cfg",
            ["--temperature", "-1"],
            "--temperature: must be finite and at least 0, but got -1",
        ),
        (
            "cfg",
            ["--temperature", "nan"],
            "--temperature: must be finite and at least 0, but got nan",
        ),
        (
            "cfg",
            ["--longest", "5"],
            "--longest: is for texts and other strings without an end token",
        ),
        ("cfg", ["--prompt", "3 4"], "--prompt: token 2 must be a terminal of cfg3b, but got '4'"),
        ("padded", ["--prompt", " "], "--prompt: must have a terminal"),
        ("life", ["--prompt", "0101"], "--prompt: must have 4 rows of 4 cells"),
        ("life", ["--prompt", "glidr"], "--prompt: must be cells"),
        ("text", ["--prompt", ""], "--prompt: must have something to go on from"),
        ("cfg", ["--set", "model.layers=2"], "--set model.layers: was fixed by training"),
        (
            "cfg",
            ["--set", "evaluation.strings=2"],
            "evaluation.strings: has no effect on this command; write",
        ),
        (
            "cfg",
            ["--set", "evaluation.seed=2"],
            "has no effect on this command; write --seed NUMBER",
        ),
        (
            "cfg",
            ["--set", "evaluation={seed: 2}"],
            "has no effect on this command; write --count NUMBER, or",
        ),
        (
            "cfg",
            ["--set", "task.cut=1"],
            "--set task.cut: has no effect on this command; write --prompt",
        ),
        ("life", ["--set", "task.rollout_steps=1"], "--set task.rollout_steps: has no effect"),
        (
            "life",
            ["--set", "task.patterns=[glider]"],
            "has no effect on this command; write --prompt PATTERN",
        ),
        (
            "cfg",
            ["--set", "task.height=2", "--set", "task.height=2"],
            "task.height: is given twice",
        ),
        ("cfg", ["--prompt", "3", "--prompt", "1"], "--prompt: takes one prompt, but got 2"),
        ("cfg", ["--set", "task.grammar=dyck"], "task.height: "),
        ("missing", [], "missing: is no run directory"),
    ],
)
def test_what_a_person_wrote_wrong_is_told_in_one_line(
    runs: Mapping[str, Path], run: str, words: list[str], message: str
):
    done = call(runs.get(run, Path(run)), *words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_model_that_learned_its_positions_reads_no_further():
    trained = with_model(tiny(task=TEXT, model=TRANSFORMER | {"positions": "absolute"}))
    (sample, *_) = Generation(trained, request=GenerationRequest("x" * 20)).samples()
    assert len(sample.text) == 20 + len(SEAM) + 5
    with pytest.raises(
        FileError,
        match=r"--prompt: .* only 24 positions, but .* read 30 tokens: 30 of the prompt and 0 generated",
    ):
        Generation(trained, request=GenerationRequest("x" * 30))
    with pytest.raises(
        FileError, match=r"--longest: .* read 25 tokens: 20 of the prompt and 5 generated"
    ):
        Generation(trained, request=GenerationRequest("x" * 20, longest=6))


def test_a_transformer_goes_beyond_what_it_was_trained_on_only_if_it_is_told():
    trained = with_model(tiny(task=TEXT, model=TRANSFORMER | {"positions": "rotary"}))
    (sample, *_) = Generation(trained, request=GenerationRequest("x" * 20)).samples()
    assert len(sample.text) == 20 + len(SEAM) + 5
    with pytest.raises(
        FileError, match=r"--prompt: has 30 tokens, .* at most 24; .* --longest 100"
    ):
        Generation(trained, request=GenerationRequest("x" * 30))
    (sample, *_) = Generation(trained, request=GenerationRequest("x" * 30, longest=7)).samples()
    assert len(sample.text) == 30 + len(SEAM) + 7


def test_temperatures_near_0_are_like_0(runs: Mapping[str, Path]):
    texts = [
        answered(runs["cfg"], "--count", "2", "--temperature", heat)["samples"]
        for heat in ("0", "1e-40", "1e-9")
    ]
    assert texts[0] * 2 == texts[1] == texts[2]


def test_what_is_refused_for_its_want_of_effect_is_a_path_of_a_run():
    known = paths(tiny(task=LIFE)) | paths(tiny())
    assert set(UNUSED) <= set(known)
