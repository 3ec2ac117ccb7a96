"""Trained runs read from their directories: what is refused, and what is said of them."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from typer.testing import CliRunner

from seqtune.cli import app
from seqtune.config.yaml_file import FileError
from seqtune.runs.directory import RunDirectory
from seqtune.runs.record import record
from seqtune.trained.load import load
from tests.training.runs import tiny


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run, never to be written to."""
    path = tmp_path_factory.mktemp("runs") / "run"
    list(record(tiny(task__height=2, evaluation__strings=40), directory=RunDirectory(path)))
    return path


@pytest.fixture
def run(original: Path, tmp_path: Path) -> Path:
    """One of one's own."""
    return Path(shutil.copytree(original, tmp_path / "run"))


Spoil = Callable[[Path], object]


def saved(**metadata: str) -> Spoil:
    """The run's weights with metadata of ours; those that it had where nothing is said."""

    def spoil(run: Path) -> None:
        path = run / "model.safetensors"
        own = {"spec": json.dumps(RunDirectory(run).info()["spec"]), "epoch": "1"}
        given = {name: text for name, text in {**own, **metadata}.items() if text}
        save_file(load_file(path), path, metadata=given)

    return spoil


def changed(change: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]) -> Spoil:
    """Other weights with the run's metadata."""

    def spoil(run: Path) -> None:
        path = run / "model.safetensors"
        spec = json.dumps(RunDirectory(run).info()["spec"])
        save_file(change(load_file(path)), path, metadata={"spec": spec, "epoch": "1"})

    return spoil


def written(name: str, content: Callable[[bytes], bytes]) -> Spoil:
    """Another content of a file."""
    return lambda run: (run / name).write_bytes(content((run / name).read_bytes()))


def folder(name: str) -> Spoil:
    """A folder where a file should be."""

    def spoil(run: Path) -> None:
        (run / name).unlink()
        (run / name).mkdir()

    return spoil


def described(**fields: object) -> Spoil:
    """Other fields of run.json's spec."""

    def spoil(run: Path) -> None:
        directory = RunDirectory(run)
        directory.update({"spec": {**directory.info()["spec"], **fields}})

    return spoil


def every(change: Callable[[Tensor], Tensor]) -> Spoil:
    return changed(lambda weights: {name: change(each) for name, each in weights.items()})


WEIGHTS, INFO = "model.safetensors", "run.json"
UNREADABLE = f"{WEIGHTS}: cannot be read as weights: "
OTHER = f"{WEIGHTS}: holds the weights of another run than run.json describes"
EPOCH = f"{WEIGHTS}: must name the epoch after which it was saved, but got "
MISFIT = f"{WEIGHTS}: does not fit this version's network: "
SPOILT: dict[str, tuple[Spoil, str]] = {
    "torn": (written(WEIGHTS, lambda whole: whole[: len(whole) // 2]), UNREADABLE),
    "no header": (written(WEIGHTS, lambda whole: whole[:8]), UNREADABLE),
    "huge header": (written(WEIGHTS, lambda whole: b"\xff" * 8 + whole), UNREADABLE),
    "unknown type": (written(WEIGHTS, lambda whole: whole.replace(b"F32", b"F99")), UNREADABLE),
    "empty": (written(WEIGHTS, lambda whole: b""), UNREADABLE),
    "text": (written(WEIGHTS, lambda whole: b"no weights at all"), UNREADABLE),
    "folder": (folder(WEIGHTS), UNREADABLE),
    "no metadata": (saved(spec="", epoch=""), OTHER),
    "no spec": (saved(spec=""), OTHER),
    "torn spec": (saved(spec="{"), OTHER),
    "deep spec": (saved(spec="[" * 100_000), OTHER),
    "other spec": (described(seed=9), OTHER),
    "huge model": (described(model={"kind": "lstm", "width": 10**9}), OTHER),
    "no epoch": (saved(epoch=""), EPOCH + "''"),
    "wordy epoch": (saved(epoch="x"), EPOCH + "'x'"),
    "negative epoch": (saved(epoch="-1"), EPOCH + "'-1'"),
    "half an epoch": (saved(epoch="1.5"), EPOCH + "'1.5'"),
    "endless epoch": (saved(epoch="9" * 5000), EPOCH + "'99999999999999999999'"),
    "not a number": (
        every(lambda each: torch.full_like(each, torch.nan)),
        "embedding.weight must hold finite numbers only",
    ),
    "complex": (
        every(lambda each: each.to(torch.complex64)),
        "embedding.weight must be torch.float32, but is torch.complex64",
    ),
    "whole numbers": (every(lambda each: each.to(torch.int8)), "but is torch.int8"),
    "fewer": (changed(lambda weights: dict([*weights.items()][1:])), MISFIT),
    "more": (changed(lambda weights: {**weights, "more": torch.zeros(1)}), MISFIT),
    "other shapes": (every(lambda each: each[:1].clone()), MISFIT),
    "run.json of a list": (
        written(INFO, lambda whole: b"[1]"),
        f"{INFO}: must hold a JSON object, but got [1]",
    ),
    "run.json torn": (written(INFO, lambda whole: whole[:200]), f"{INFO}: is not valid JSON: "),
    "run.json of bytes": (written(INFO, lambda whole: b"\xff"), f"{INFO}: is not valid JSON: "),
    "run.json a folder": (folder(INFO), f"{INFO}: Is a directory"),
    "run.json of nothing": (written(INFO, lambda whole: b"{}"), f"{INFO}: state must be one of"),
    "an empty spec": (
        lambda run: RunDirectory(run).update({"spec": {}}),
        f"{INFO}: spec: task: is required, and is not given; model: is required",
    ),
    "a field of another version": (described(luck=1), f"{INFO}: spec: luck: no such field"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_what_cannot_be_read_is_told_in_one_line(run: Path, how: str):
    spoil, message = SPOILT[how]
    spoil(run)
    before = sorted(run.iterdir())
    done = CliRunner().invoke(app, ["evaluate", str(run)], prog_name="seqtune")
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert done.stderr.startswith(str(run))
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert sorted(run.iterdir()) == before


@pytest.mark.parametrize("command", ["generate", "probe", "train"])
@pytest.mark.parametrize("text", ["[1]", "{}", '{"state": "running", "reason": null}'])
def test_every_command_refuses_a_run_json_that_is_none(
    original: Path, run: Path, command: str, text: str
):
    words = [str(run)]
    if command == "train":
        file = run.parent / "train.yaml"
        file.write_text(json.dumps(RunDirectory(original).info()["spec"]))
        words = [str(file), "--out", str(run)]
    (run / "run.json").write_text(text)
    done = CliRunner().invoke(app, [command, *words], prog_name="seqtune")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"{run / 'run.json'}: ")
    assert done.stderr.count("\n") == 1
    assert (run / "run.json").read_text() == text


def test_weights_can_be_read_by_whom_the_umask_lets_read(original: Path):
    modes = {name: (original / name).stat().st_mode for name in (WEIGHTS, INFO)}
    assert modes[WEIGHTS] == modes[INFO]


def test_what_may_be_changed_is_named_with_all_that_is_below_it(run: Path):
    changes = {"evaluation.seed": 3}
    assert load(run, changes=changes, changeable=("evaluation.seed",)).spec.evaluation.seed == 3
    with pytest.raises(FileError, match=r"^--set evaluation.free: was fixed by training; only "):
        load(run, changes={"evaluation.free": 3}, changeable=("evaluation.seed",))
    with pytest.raises(
        FileError, match=r"^--set task.cut: has no effect on this command; leave it out$"
    ):
        load(run, changes={"task.cut": 3}, unused={"task.cut": "leave it out"})


@pytest.mark.parametrize(
    ("command", "state", "reason", "said"),
    [
        (["evaluate"], "running", None, "is still running or was interrupted"),
        (
            ["generate", "--count", "2"],
            "diverged",
            "train/loss is nan",
            "diverged (train/loss is nan)",
        ),
        (["probe", "--strings", "9"], "failed", "out of\nmemory", "failed (out of memory)"),
        (["evaluate"], "stopped", "pruned", "was stopped (pruned)"),
    ],
)
def test_a_run_that_did_not_finish_says_so(
    run: Path, command: list[str], state: str, reason: str | None, said: str
):
    RunDirectory(run).update({"state": state, "reason": reason})
    epoch = RunDirectory(run).measurements()[-1].epoch
    done = CliRunner().invoke(app, [*command, str(run)], prog_name="seqtune")
    assert done.exit_code == 0, done.output
    line = done.stderr.splitlines()[0]
    assert line.startswith(f"{run}: the run {said}; its weights after epoch ")
    assert line.endswith(f" of {epoch} are used")
    if command == ["evaluate"]:
        (entry,) = json.loads((run / "evaluation.json").read_text())["evaluations"]
        assert entry["state"] == state
