"""The JSON schemas of sweep files and run files: right files pass, wrong ones fail, and shipped copies are up to date."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from seqtune.cli import app
from seqtune.config.errors import SpecError
from seqtune.config.yaml_file import FileError, parse_yaml, read_yaml
from seqtune.runs.spec import RunSpec
from seqtune.sweep.execution.driver import read_plan
from seqtune.sweep.planning.schema import run_schema, sweep_schema
from tests.sweep.sweeps import SMALL

ROOT = Path(__file__).parents[3]
SWEEPS = sorted((ROOT / "sweeps").glob("*.yaml"))
SWEEP, RUN = Draft202012Validator(sweep_schema()), Draft202012Validator(run_schema())


def kind_of(data: Any) -> str:
    return "sweep" if "base" in data else "run"


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.name)
def test_every_shipped_file_is_right_and_names_its_schema(path: Path):
    data = read_yaml(path).data
    (SWEEP if kind_of(data) == "sweep" else RUN).validate(data)
    first = path.read_text().splitlines()[0]
    assert first == f"# yaml-language-server: $schema={kind_of(data)}.schema.json"


@pytest.mark.parametrize("kind", ["sweep", "run"])
def test_the_shipped_schemas_are_what_the_command_prints(kind: str):
    done = CliRunner().invoke(app, ["schema", kind], prog_name="seqtune")
    assert done.exit_code == 0
    shipped = (ROOT / "sweeps" / f"{kind}.schema.json").read_text()
    assert shipped == done.stdout, f"write: seqtune schema {kind} > sweeps/{kind}.schema.json"
    Draft202012Validator.check_schema(json.loads(shipped))


def readme() -> list[str]:
    """The blocks of YAML in the README that are whole sweeps or lines of a run."""
    text = (ROOT / "README.md").read_text()
    return [
        re.sub("^  ", "", each, flags=re.M) if each.startswith("  ") else each
        for each in re.findall(r"```yaml\n(.*?)\n *```", text, re.S)
    ]


def test_the_sweep_in_the_readme_is_right():
    [text] = [each for each in readme() if each.startswith("name:")]
    SWEEP.validate(parse_yaml(text, name="README").data)


RIGHT_RUNS = [
    "forcing: {kind: phased, phases: [{epochs: 6, rate: 1.0}, {epochs: 2, rate: [0.7, 0.3]}]}",
    "forcing: {kind: reversed, schedule: {kind: linear, minimum: 0.5}, stage: {kind: parallel, passes: 2}}",
    "forcing: constant\noptimizer: {lr: 0.1, schedule: one_cycle}\ndata: {kind: fixed, strings: 10}",
    "training: {micro_batch: auto, clip_norm: null, epochs: 2}\noptimizer: adam",
    "task: {kind: cfg, grammar: {root: S, rules: {S: [A B, [A, 1]], A: {x: 0.9, y y: 0.1}, B: [1]}}}",
    "task: {kind: cfg, grammar: {kind: generated, height: 4, lengths: [2, 3]}}",
    "task: {kind: life, density: 0.3}",
    "task: {kind: life, density: 'beta(1, 3)', patterns: [glider]}",
    "task: life",
    "model: {kind: transformer, masking: {kind: window, length: 64}, positions: t5, width: 64}",
]


@pytest.mark.parametrize("text", RIGHT_RUNS)
def test_what_a_run_may_say_is_right(text: str):
    data = {"task": {"kind": "cfg"}, "model": {"kind": "lstm"}, **parse_yaml(text, name="r").data}
    RunSpec.parse(data | {"training": {"epochs": 8} | data.get("training", {})})
    RUN.validate(data)


WRONG_RUNS = [
    "modell: {kind: lstm}",
    "model: {kind: lstm, layer: 2}",
    "model: {kind: lstm, layers: 0}",
    "model: {kind: lstm, layers: two}",
    "model: {kind: gru}",
    "model: {layers: 2}",
    "model: gru",
    "optimizer: {lr: -1}",
    "forcing: {kind: phased, phases: []}",
    "task: {kind: cfg, heads: 2}",
    "seed: -1",
]


@pytest.mark.parametrize("text", WRONG_RUNS)
def test_what_no_run_may_say_is_wrong(text: str):
    data = {"task": {"kind": "cfg"}, "model": {"kind": "lstm"}, **parse_yaml(text, name="r").data}
    with pytest.raises(SpecError):
        RunSpec.parse(data)
    assert not RUN.is_valid(data)


RIGHT_SWEEPS = [
    {"compare.forcing": ["constant", {"kind": "linear", "minimum": 0.5}]},
    {"compare.zip": [["model.embedding", "model.width"], [4, 8], [8, 16]]}
    | {"compare.exclude": [{"model.width": 8, "model.layers": 2}]},
    {"compare.model.residual": [True, False], "compare.model.layers": [2, 3]},
    {"tune.optimizer.lr": {"choice": [0.1, 0.2]}, "search.pruner": "none"},
    {"tune.model.dropout": {"uniform": [0, 0.2], "when": {"optimizer.lr": 0.1}}}
    | {"tune.optimizer.lr": {"choice": [0.1, 0.2]}},
    {
        "arms": {
            "a": {"model": {"width": 16}},
            "b": {"tune": {"model.dropout": {"log": [0.1, 0.2]}}},
        }
    },
    {
        "arms": {
            "b": {"model": {"kind": "transformer", "width": 64}, "compare": {"model.heads": [1, 2]}}
        }
    }
    | {"compare.model.layers": [1]},
    {"resources": {"cpu": 0.5, "memory": "4 GiB", "when": [{"model.layers": 2, "cpu": 2}]}},
    {"search.storage": "sqlite", "limits": {"seconds": 60}, "keep": "none"},
    {"base.optimizer": {"schedule": {"kind": "cosine"}}, "metric": "valid/loss"},
]


@pytest.mark.parametrize("changes", RIGHT_SWEEPS, ids=" ".join)
def test_what_a_sweep_may_say_is_right(changes: dict[str, Any]):
    source = parse_yaml(SMALL, name="s.yaml").override(changes)
    read_plan(source)
    SWEEP.validate(source.data)


WRONG_SWEEPS = [
    {"metrics": "valid/loss"},
    {"metric": "valid/los"},
    {"compare.model.layer": [1, 2]},
    {"compare.model.layers": []},
    {"compare.model.layers": 2},
    {"compare.model.layers": [1, "two"]},
    {"compare.task.density.shape": [1]},
    {"tune.optimizer.lr": {"logg": [0.1, 0.2]}},
    {"tune.optimizer.lr": {"log": [0.1]}},
    {"tune.optimizer.lr": {"log": [0.1, 0.2], "uniform": [0.1, 0.2]}},
    {"tune.optimizer.rate": {"log": [0.1, 0.2]}},
    {"search.trials": 0},
    {"search.pruner": {"kind": "asha", "grase": 1}},
    {"base.model.layrs": 1},
    {"base.seed": 1},
    {"arms": {"a": {"modl": {"width": 16}}}},
    {"arms": {"a": {"compare": {"model.widht": [16]}}}},
    {"resources.gpu": "some"},
    {"keep": "all"},
]


@pytest.mark.parametrize("changes", WRONG_SWEEPS, ids=" ".join)
def test_what_no_sweep_may_say_is_wrong(changes: dict[str, Any]):
    source = parse_yaml(SMALL, name="s.yaml").override(changes)
    with pytest.raises(FileError):
        read_plan(source)
    assert not SWEEP.is_valid(source.data)
