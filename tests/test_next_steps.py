"""Errors end with what to write next: a sample of them, as a person meets them."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from seqtune.cli import app
from tests.report.made import make_cell
from tests.sweep.sweeps import SMALL, write

RUN = """
task:       {kind: cfg, grammar: cfg3b, height: 1}
model:      {kind: lstm, width: 8, embedding: 8}
training:   {epochs: 2, batches_per_epoch: 2, batch_size: 8}
evaluation: {strings: 16, generate: 4}
"""


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), prog_name="seqtune")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files and directories of all kinds, whole and broken."""
    root = tmp_path_factory.mktemp("next")
    write(root / "run.yaml", RUN)
    write(root / "sweep.yaml", SMALL)
    write(root / "twice.yaml", "name: a\nname: b\n")
    write(root / "empty.txt", "")
    assert call("train", str(root / "run.yaml"), "--out", str(root / "trained")).exit_code == 0
    for name in ("torn", "lost", "elsewhere"):
        shutil.copytree(root / "trained", root / name)
    write(root / "torn" / "run.json", "{")
    (root / "lost" / "model.safetensors").unlink()
    info = json.loads((root / "elsewhere" / "run.json").read_text())
    write(root / "elsewhere" / "run.json", json.dumps({**info, "state": "gone"}))
    (root / "results" / "small").mkdir(parents=True)
    make_cell(root / "results" / "small", compared={"model.layers": 1}, values=(0.1,))
    (root / "results" / "broken" / "runs").mkdir(parents=True)
    shutil.copytree(root / "trained", root / "results" / "broken" / "runs" / "one")
    write(root / "results" / "broken" / "runs" / "one" / "measurements.csv", "a,b\n1,2\n")
    return root


def setting(path: str, value: str) -> tuple[str, ...]:
    return "sweep", "sweep.yaml", "--set", f"{path}={value}"


CASES = {
    "a file of a like name": (("sweep", "swep.yaml"), "did you mean {root}/sweep.yaml?"),
    "no file at all": (("plan", "{root}/nothing/x"), "cannot be read: No such file or directory"),
    "a directory of a like name": (
        ("report", "results/smal"),
        "did you mean {root}/results/small?",
    ),
    "curves of none": (("tensorboard", "reslts"), "did you mean {root}/results?"),
    "a sweep for a run": (("generate", "results/small"), "give one of those in it, such as {root}"),
    "no run directory": (("probe", "trainee"), "did you mean {root}/trained?"),
    "a run without weights": (("evaluate", "lost"), "write keep: best and give another --out"),
    "a torn run.json": (
        ("evaluate", "torn"),
        "move that directory away to have the run done again",
    ),
    "a state that is none": (
        ("train", "run.yaml", "--out", "elsewhere"),
        "to have the run done again",
    ),
    "a torn table": (("report", "results/broken"), "move that directory away to have the run done"),
    "a run for a sweep": (("sweep", "run.yaml"), "write: seqtune train {root}/run.yaml"),
    "a key given twice": (("sweep", "twice.yaml"), "write it once"),
    "a field of another name": (
        setting("base.model.layer", "2"),
        "did you mean base.model.layers?",
    ),
    "a seed": (setting("compare.seed", "[1, 2]"), "given out by search and confirm; leave it out"),
    "two roles": (setting("tune.model.layers", "{int: [1, 2]}"), "remove one of them"),
    "the same cell twice": (setting("compare.model.layers", "[1, 1]"), "leave one out"),
    "a metric that is not measured": (setting("base.evaluation.generate", "0"), "set the number of strings"),
    "a metric without a floor": (
        setting("base.task", "{kind: text}"),
        "; write one of valid/loss, ",
    ),
    "a grid over a range": (setting("search", "{sampler: grid}"), "write one, or another sampler"),
    "a server that is not there": (
        setting("search.storage", "postgresql://127.0.0.1:1/studies"),
        "start it, or leave search.storage out",
    ),
    "another run's directory": (
        ("train", "run.yaml", "--set", "seed=1", "--out", "trained"),
        "give another --out",
    ),
    "somebody's directory": (("sweep", "sweep.yaml", "--out", "trained"), "give another --out"),
    "what was trained": (
        ("evaluate", "trained", "--set", "model.layers=2"),
        "only task and evaluation can be changed here",
    ),
    "a text without an end": (("generate", "trained", "--longest", "9"), "so leave it out"),
    "no probes of boards": (("probe", "trained", "--strings", "1"), "must be at least 2"),
}


@pytest.mark.parametrize("case", CASES)
def test_an_error_is_one_line_that_says_what_to_write_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch, case: str
):
    monkeypatch.chdir(folder)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    words, step = CASES[case]
    words = (*words, "--out", "new") if words[0] == "sweep" and "--out" not in words else words
    if case == "a metric that is not measured":
        words = (*words, "--set", "metric=generate/valid")
    done = call(*(_at(word, folder) for word in words))
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    *progress, line = done.stderr.splitlines()
    # What a sweep is, and what of it has no effect, is told before it is looked for a place to run.
    assert all(each.startswith(("small: ", "note: ")) for each in progress), done.stderr
    assert step.format(root=folder) in line


def _at(word: str, root: Path) -> str:
    """A word of the call, with the whole path where it names what may be there."""
    names = ("/", ".yaml", "results", "reslts", "new", "train", "torn", "lost", "elsewhere")
    plain = not any(name in word for name in names) or word in ("train", "--longest") or "=" in word
    return word if plain or "://" in word else str(root / word.format(root=root))
