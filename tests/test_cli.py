import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from seqtune.cli import app
from seqtune.config.yaml_file import read_yaml
from seqtune.runs.directory import RunDirectory
from seqtune.runs.record import record
from seqtune.runs.spec import RunSpec
from seqtune.sweep.execution.driver import read_plan
from seqtune.tasks.cfg.grammar import grammar
from tests.sweep.sweeps import SMALL, write
from tests.waiting import HANG_SECONDS

ROOT = Path(__file__).parents[1]
RUN = """
task:       {kind: cfg, grammar: cfg3b, height: 1}
model:      {kind: lstm, width: 8, embedding: 8}
training:   {epochs: 3, batches_per_epoch: 4, batch_size: 16}
evaluation: {strings: 32, generate: 8}
"""


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], prog_name="seqtune")


COMMANDS = [
    *("sweep", "plan", "train", "describe", "report", "evaluate", "generate", "probe"),
    *("tensorboard", "dashboard", "schema", "compare"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str):
    assert command in call("--help").stdout
    shown = call(command, "--help")
    assert shown.exit_code == 0
    assert "Usage: seqtune" in shown.stdout


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("columns", [80, 100])
def test_the_lines_of_a_help_text_are_full(command: str, columns: int):
    """A line ends where the next one's first word has no room, or where a paragraph does."""
    done = CliRunner().invoke(
        app, [command, "--help"], prog_name="seqtune", env={"COLUMNS": str(columns)}
    )
    text = done.stdout[done.stdout.index("Usage: ") : done.stdout.index("╭")]
    lines = [line.strip() for line in text.splitlines()]
    assert max(map(len, lines)) <= columns - 2
    for line, following in itertools.pairwise(lines):
        if line and following:
            assert len(line) + 1 + len(following.split()[0]) > columns - 2


@pytest.mark.parametrize(
    "words",
    [
        ["train", "run.yaml"],
        ["sweep", "sweep.yaml"],
        ["describe", "cfg3b"],
        ["evaluate", "run"],
        ["generate", "run"],
        ["probe", "run"],
    ],
)
@pytest.mark.parametrize("second", ["2", "3"])
def test_a_path_is_set_once(tmp_path: Path, words: list[str], second: str):
    write(tmp_path / "run.yaml", RUN)
    write(tmp_path / "sweep.yaml", SMALL)
    name, argument = words
    given = argument if name == "describe" else tmp_path / argument
    done = call(name, given, "--set", "height=2", "--set", "a=1", "--set", f"height={second}")
    assert done.exit_code == 2
    assert done.stderr == "--set height: is given twice; write it once\n"


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["sweep", "wrong.yaml"],
        ["train", "wrong.yaml"],
        ["describe", "wrong.yaml"],
        ["describe", "cfg3x"],
    ],
)
def test_help_and_a_wrong_file_are_answered_without_torch_or_ray(tmp_path: Path, words: list[str]):
    write(tmp_path / "wrong.yaml", "name: x\nmodel: {kind: lstm, layers: 0}\nbase: {}\n")
    code = (
        "import sys; from seqtune.cli import app\n"
        "try: app(sys.argv[1:], prog_name='seqtune')\n"
        "finally: print(sorted({'torch', 'ray', 'pandas', 'numba', 'optuna'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr
    assert done.returncode == (0 if words == ["--help"] else 2)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "path", sorted((ROOT / "sweeps").glob("*.yaml")), ids=lambda path: path.name
)
def test_every_shipped_file_can_be_used(path: Path):
    source = read_yaml(path)
    if "base" in source.data:
        assert read_plan(source).runs > 0
    else:
        RunSpec.parse(source.data)


def test_train_records_a_run_and_says_where(tmp_path: Path):
    file = write(tmp_path / "run.yaml", RUN)
    done = call(
        "train", file, "--out", tmp_path / "run", "--set", "model.layers=2", "--note", "a try"
    )
    assert done.exit_code == 0, done.output
    assert done.stdout == f"finished: {tmp_path / 'run'}\n"
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["1/3:", "2/3:", "3/3:"]
    assert "tokens/s" in done.stderr
    run = RunDirectory(tmp_path / "run")
    assert run.info()["spec"]["model"]["layers"] == 2
    assert "Note: a try" in (run.path / "model_card.md").read_text()
    again = call("train", file, "--out", tmp_path / "run", "--set", "model.layers=2")
    assert again.stdout == f"finished: {tmp_path / 'run'}\n"


def test_train_names_its_directory_after_file_and_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    done = call("train", write(tmp_path / "pilot.yaml", RUN))
    spec = RunSpec.parse(read_yaml(tmp_path / "pilot.yaml").data)
    assert done.stdout == f"finished: {tmp_path / 'runs' / f'pilot-{spec.hash()}'}\n"


def test_a_run_that_fails_exits_with_one_and_its_reason(tmp_path: Path):
    file = write(tmp_path / "run.yaml", RUN + "optimizer: {kind: sgd, lr: 1.0e+38}\n")
    done = call("train", file, "--out", tmp_path / "run", "--set", "training.clip_norm=null")
    assert done.exit_code == 1
    assert done.stdout.startswith("diverged (train/loss is")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "missing.yaml"], "missing.yaml: cannot be read: No such file or directory"),
        (
            ["train", "run.yaml", "--set", "model.layer=2"],
            "--set: model.layer: no such field; did you mean model.layers?",
        ),
        (["train", "run.yaml", "--set", "model.layers"], "--set model.layers: must be PATH=VALUE"),
        (
            ["train", "run.yaml", "--set", "model.layers=[1"],
            "--set model.layers: is not valid YAML",
        ),
        (["train", "run.yaml", "--out", "taken"], "taken: is no run directory and is not empty"),
        (
            ["train", "sweep.yaml"],
            "sweep.yaml: is a sweep, not a single run; write: seqtune sweep sweep.yaml",
        ),
        (
            ["sweep", "run.yaml"],
            "run.yaml: is a single run, not a sweep; write: seqtune train run.yaml",
        ),
        (
            ["sweep", "sweep.yaml", "--set", "compare.model.layers=[]"],
            "--set: compare.model.layers: needs at least one value",
        ),
        (
            ["sweep", "sweep.yaml", "--set", "training.epochs=2"],
            "--set: training: no such field; did you mean base.training?",
        ),
        (
            ["sweep", "sweep.yaml", "--out", "taken"],
            "taken: is no sweep's directory and is not empty",
        ),
        (["report", "missing"], "missing: no such directory"),
        (["report", "taken"], "taken"),
    ],
)
def test_wrong_input_exits_with_two_and_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "run.yaml", RUN)
    write(tmp_path / "sweep.yaml", SMALL)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    done = call(*words)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert "Traceback" not in done.output
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["notes.txt"]
    assert not (tmp_path / "results").exists()


def test_a_directory_that_cannot_be_made_is_told_in_one_line(tmp_path: Path):
    file = write(tmp_path / "sweep.yaml", SMALL)
    done = call("sweep", file, "--out", file / "below")
    assert done.exit_code == 2
    assert "Not a directory" in done.stderr
    assert "Traceback" not in done.output


@pytest.fixture
def web_server() -> Iterator[str]:
    """The address of one on loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("address", "step"),
    [
        ("127.0.0.1:1", "or none for a cluster of its own on this machine"),
        ("somewhere", "write auto, HOST:PORT, or ray://HOST:PORT"),
        ("ray://127.0.0.1:1", "write another --address"),
        ("{web}", "something else listens there; write another --address"),
    ],
)
def test_a_cluster_that_is_not_there_is_told_at_once(
    tmp_path: Path, address: str, step: str, web_server: str
):
    address = address.format(web=web_server)
    file = write(tmp_path / "sweep.yaml", SMALL)
    # In a process of its own, since this one may be connected to the tests' cluster.
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "seqtune",
            "sweep",
            file,
            "--out",
            tmp_path / "out",
            "--address",
            address,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"no Ray cluster at {address}: " in done.stderr
    assert step in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_corrupt_run_json_is_named(tmp_path: Path):
    call("train", write(tmp_path / "run.yaml", RUN), "--out", tmp_path / "runs" / "one")
    write(tmp_path / "runs" / "one" / "run.json", "{")
    done = call("report", tmp_path)
    assert done.exit_code == 2
    assert f"{tmp_path / 'runs' / 'one' / 'run.json'}: is not valid JSON" in done.stderr


def test_another_runs_directory_is_refused_and_what_differs_is_named(tmp_path: Path):
    file = write(tmp_path / "run.yaml", RUN)
    call("train", file, "--out", tmp_path / "run")
    before = json.loads((tmp_path / "run" / "run.json").read_text())
    done = call("train", file, "--out", tmp_path / "run", "--set", "model.width=16")
    assert done.exit_code == 2
    assert "holds another run: model.width is 8 there and 16 here" in done.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == before


@pytest.mark.parametrize("words", [["cfg3b", "--set", "height=2"], ["life"], ["text"], ["dyck"]])
def test_a_language_is_described_for_people_and_for_machines(words: list[str]):
    shown = call("describe", *words)
    assert shown.exit_code == 0, shown.stderr
    data = json.loads(call("describe", *words, "--json").stdout)
    assert shown.stdout.startswith(data["title"])
    for heading in list(data)[2:]:
        assert f"\n{heading}\n" in shown.stdout


def test_counts_are_whole_numbers_for_machines_too():
    data = json.loads(call("describe", "cfg3b", "--json").stdout)
    assert data["derivations"]["count"] == grammar("cfg3b").count() > 2**213


@pytest.mark.parametrize("name", ["life_small.yaml", "train.yaml"])
def test_the_task_of_a_file_is_described(name: str):
    path = ROOT / "sweeps" / name
    key = "base.task" if "base" in read_yaml(path).data else "task"
    change = ["--set", f"{key}.columns=5"] if "life" in name else ["--set", f"{key}.height=2"]
    titles = [call("describe", path, *more).stdout.splitlines()[0] for more in ([], change)]
    assert titles[0] != titles[1]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["cfg3x"], "no such language: 'cfg3x'"),
        (["lief"], "no such language: 'lief'; did you mean life?"),
        (["cfg3b", "--set", "height=9"], "cfg3b: height: height must be an integer from 1 to 6"),
        (["life", "--set", "rule=B3S23"], "life: rule: "),
        (["life", "--set", "rowz=5"], "life: rowz: no such field; did you mean rows?"),
        (["life", "--set", "patterns=[pulsar]"], "life: patterns"),
        (["text", "--set", "path=/nowhere/*.txt"], "text: path: "),
        (["dyck", "--set", "height=2"], "dyck: height: a recursive grammar has no height"),
        (["dyck", "--set", "pairs=0"], "dyck: grammar.pairs: must be at least 1, but got 0"),
        (["nowhere.yaml"], "nowhere.yaml: cannot be read: No such file or directory"),
    ],
)
def test_a_language_that_is_not_is_told_in_one_line(words: list[str], line: str):
    shown = call("describe", *words)
    assert shown.exit_code == 2
    assert shown.stdout == ""
    assert shown.stderr.startswith(line)
    assert shown.stderr.count("\n") == 1


def test_a_wrong_task_in_a_sweep_is_told_with_its_line(tmp_path: Path):
    rules = "{root: S, rules: {S: {a b: 0.5, b: 0.4}}}"
    path = write(tmp_path / "s.yaml", f"name: x\nbase:\n  task: {{kind: cfg, grammar: {rules}}}\n")
    shown = call("describe", path)
    assert shown.exit_code == 2
    assert shown.stderr == (
        f"{path}:3: base.task.grammar: S: probabilities must sum to 1, but got 0.5 + 0.4 = 0.9\n"
    )


def test_a_run_that_cannot_go_on_is_told_and_left_as_it_is(tmp_path: Path):
    """A torn checkpoint and one of another spec: nothing is half-loaded, nothing is lost."""
    file, out = write(tmp_path / "run.yaml", RUN), tmp_path / "run"
    recording = record(RunSpec.parse(read_yaml(file).data), directory=RunDirectory(out))
    next(recording)
    recording.close()
    whole = RunDirectory(out).checkpoint.read_bytes()
    other = tmp_path / "other"
    assert call("train", file, "--out", other, "--set", "seed=1").exit_code == 0
    for bad, expected in (
        (b"torn", "is incomplete or not a checkpoint"),
        (whole[:-99], "is incomplete"),
    ):
        RunDirectory(out).checkpoint.write_bytes(bad)
        done = call("train", file, "--out", out)
        assert done.exit_code == 2
        assert expected in done.stderr
        assert "move it away to begin the run anew" in done.stderr
        assert RunDirectory(out).info()["state"] == "running"
        assert RunDirectory(out).checkpoint.read_bytes() == bad
    RunDirectory(out).checkpoint.write_bytes(whole)
    assert call("train", file, "--out", out).exit_code == 0
    assert [m.epoch for m in RunDirectory(out).measurements()] == [1, 2, 3]


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without a GPU")
@pytest.mark.parametrize("setting", ["training.device=cuda", "training.precision=fp16"])
def test_what_needs_a_gpu_is_told_before_anything_is_written(tmp_path: Path, setting: str):
    file = write(tmp_path / "run.yaml", RUN)
    done = call("train", file, "--out", tmp_path / "run", "--set", setting)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_compiled_transformer_is_the_same_model(tmp_path: Path):
    """By the command: torch's compiler cannot look through what checks shapes in tests."""
    text = RUN.replace(
        "{kind: lstm, width: 8, embedding: 8}",
        "{kind: transformer, layers: 1, width: 16, heads: 2, head_width: 8}",
    )
    file = write(tmp_path / "run.yaml", text)
    losses = []
    for compile in ("false", "true"):
        out = tmp_path / compile
        words = ["train", file, "--out", out, "--set", f"training.compile={compile}"]
        command = [sys.executable, "-m", "seqtune", *map(str, words)]
        subprocess.run(command, check=True, capture_output=True, timeout=HANG_SECONDS)
        assert RunDirectory(out).info()["state"] == "finished"
        losses.append([m.metrics["valid/loss"] for m in RunDirectory(out).measurements()])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
