"""One of each kind is added in a scratch copy of the package.

Only the files that the table of CONTRIBUTING.md names are touched.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.followed import blocks

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Edit:
    """A change of a file: text put before or after the only place where a pattern matches."""

    pattern: str
    before: str = ""
    after: str = ""

    def apply(self, text: str) -> str:
        (found,) = re.finditer(self.pattern, text, flags=re.M)
        return "".join(
            (text[: found.start()], self.before, found[0], self.after, text[found.end() :])
        )


Change = str | tuple[Edit, ...]
"""The text of a new file, or edits of one that is there."""


def imported(line: str) -> Edit:
    """An import among those of a module, the first of which is of seqtune's own."""
    return Edit(r"\A[\s\S]*?(?=^from seqtune)", after=f"{line}\n")


TASK = next(
    block.text
    for block in blocks((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))
    if block.file == "seqtune/tasks/reverse.py"
)

MODEL_SPEC = '''
"""A model that looks at one token only."""

from typing import Literal

from seqtune.config.spec import Spec


class BigramSpec(Spec):
    """A table of logits, one row per token."""

    kind: Literal["bigram"] = "bigram"
'''

MODEL = '''
"""A model that looks at one token only."""

import torch
from torch import nn

from seqtune.models.base import SequenceModel


class Bigram(SequenceModel[None]):
    """A table of logits, one row per token."""

    recurrent = True

    def __init__(self, *, vocab_size, outputs):
        super().__init__()
        self.table = nn.Embedding(vocab_size, outputs)

    def forward(self, tokens):
        return self.table(tokens)

    def prefill(self, tokens, *, state=None):
        with torch.no_grad():
            return self.table(tokens[:, -1]), None

    def step(self, token, *, state):
        return self.prefill(token[:, None])

    def hidden_states(self, tokens):
        with torch.no_grad():
            return self.table(tokens)[None]
'''

SCHEDULE = '''class Alternating(Forcing):
    """Ground truth in even epochs, half of it in odd ones."""

    kind: Literal["alternating"] = "alternating"

    def rate_at(self, index: int, *, horizon: Horizon) -> float:
        return 1.0 - 0.5 * (index // horizon.per_epoch % 2)


'''

SECTION = '''
"""Greets the reader."""

from seqtune.report.data.results import Results
from seqtune.report.sections.section import Section


def section(results: Results) -> Section | None:
    return Section(title="Greeting", paragraphs=(f"Hello from {len(results.runs)} runs.",))
'''

COMMAND = '''
"""Greets."""

import typer

from seqtune.cli.app import command


@command
def greet() -> None:
    """Say hello."""
    typer.echo("hello")
'''

SAMPLER = '''class NsgaSpec(Spec):
    """A genetic algorithm."""

    kind: Literal["nsga"] = "nsga"

    def build(self, *, trials: int, cell_seed: int, trial_seed: int) -> "BaseSampler":
        from optuna.samplers import NSGAIISampler

        return NSGAIISampler(seed=trial_seed)


'''

ADDED: Mapping[str, Mapping[str, Change]] = {
    "task": {
        "seqtune/tasks/reverse.py": TASK,
        "seqtune/tasks/__init__.py": (
            imported("from seqtune.tasks.reverse import ReverseSpec"),
            Edit(r"TextSpec(?=, ByKind)", after=" | ReverseSpec"),
        ),
        "seqtune/tasks/build.py": (
            imported("from seqtune.tasks.reverse import ReverseSpec, ReverseTask"),
            Edit(
                r"^        case _:",
                "        case ReverseSpec():\n            return ReverseTask(spec)\n",
            ),
        ),
    },
    "model": {
        "seqtune/models/bigram_spec.py": MODEL_SPEC,
        "seqtune/models/bigram.py": MODEL,
        "seqtune/models/__init__.py": (
            imported("from seqtune.models.bigram_spec import BigramSpec"),
            Edit(r"TransformerSpec(?=, ByKind)", after=" | BigramSpec"),
        ),
        "seqtune/models/build.py": (
            imported(
                "from seqtune.models.bigram import Bigram\n"
                "from seqtune.models.bigram_spec import BigramSpec"
            ),
            Edit(
                r"^        case _:",
                "        case BigramSpec():\n"
                "            return Bigram(vocab_size=vocab_size, outputs=outputs)\n",
            ),
        ),
    },
    "schedule": {
        "seqtune/training/forcing/schedules.py": (
            Edit(r"^ForcingSpec: TypeAlias", SCHEDULE),
            Edit(r"Phased \| Reversed(?=,)", after=" | Alternating"),
        )
    },
    "metric": {
        "seqtune/training/measurement.py": (
            Edit(
                r'^    "valid/seen": ',
                '    "valid/wrong": Metric("share of strings with an error"),\n',
            ),
        ),
        "seqtune/training/evaluation.py": (
            Edit(
                r'"valid/exact": Score.mean\(found.exact\)',
                after=', "valid/wrong": Score.mean(1 - found.exact)',
            ),
        ),
    },
    "section": {
        "seqtune/report/sections/greeting.py": SECTION,
        "seqtune/report/__init__.py": (
            imported("from seqtune.report.sections import greeting"),
            Edit(r"^SECTIONS.* = \(\n", after="    greeting.section,\n"),
        ),
    },
    "command": {
        "seqtune/cli/greet.py": COMMAND,
        "seqtune/cli/__init__.py": (imported("from seqtune.cli import greet"),),
        "seqtune/cli/app.py": (Edit(r'"describe", "schema"', after=', "greet"'),),
    },
    "sampler": {
        "seqtune/sweep/planning/search_spec.py": (
            Edit(r"^SamplerSpec: TypeAlias", SAMPLER),
            Edit(r"QmcSpec \| GridSpec(?=,)", after=" | NsgaSpec"),
        )
    },
}

SCRIPT = """
import json, sys
from pathlib import Path

from typer.testing import CliRunner

from seqtune.cli import app
from seqtune.config.yaml_file import parse_yaml
from seqtune.report import build
from seqtune.runs.directory import RunDirectory
from seqtune.runs.record import record
from seqtune.runs.spec import RunSpec
from seqtune.sweep.execution.driver import read_plan

root = Path(sys.argv[1])
spec = RunSpec.parse(
    {
        "task": "reverse",
        "model": "bigram",
        "forcing": "alternating",
        "training": {"epochs": 2, "batches_per_epoch": 2, "batch_size": 4},
        "evaluation": {"strings": 8, "free": 4, "generate": 4},
    }
)
run = RunDirectory(root / "runs" / "one")
measured = [dict(each.metrics) for each in record(spec, directory=run)]
sweep = {
    "name": "x",
    "base": {"task": "reverse", "model": "bigram"},
    "tune": {"optimizer.lr": {"choice": [0.1, 0.2]}},
    "search": {"trials": 2, "sampler": "nsga"},
}
plan = read_plan(parse_yaml("{}", name="x").override(sweep))
sampler = plan.sweep.search.sampler.build(trials=2, cell_seed=0, trial_seed=0)
result = {
    "state": run.info()["state"],
    "reason": run.info()["reason"],
    "measured": measured,
    "report": build(root).read_text(),
    "help": CliRunner().invoke(app, ["--help"]).output,
    "printed": CliRunner().invoke(app, ["greet"]).output,
    "sampler": type(sampler).__name__,
}
(root / "result.json").write_text(json.dumps(result))
"""


def files_to_touch() -> dict[str, list[str]]:
    """Files in the table of CONTRIBUTING.md, by kind; NAME is the name of what is added."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, _, table = text.partition("| to add | touch |\n")
    found: dict[str, list[str]] = {}
    for kind, cell in re.findall(r"^\| (\w+) \| (.*) \|$", table, flags=re.M):
        folder = Path()
        for name in re.findall(r"`([\w/]+\.py)`", cell):
            # A bare name is beside the file before it.
            folder = Path(name).parent if "/" in name else folder
            found.setdefault(kind, []).append(str(folder / Path(name).name))
    return found


@pytest.mark.parametrize("kind", ADDED)
def test_only_the_files_of_the_table_are_touched(kind: str):
    names = [re.escape(each).replace("NAME", r"\w+") for each in files_to_touch()[kind]]
    assert all(any(re.fullmatch(name, path) for name in names) for path in ADDED[kind])
    assert len(ADDED[kind]) == len(names)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process finds that runs a copy of the package to which one of each kind was added."""
    root = tmp_path_factory.mktemp("contributing")
    shutil.copytree(
        ROOT / "seqtune", root / "seqtune", ignore=shutil.ignore_patterns("__pycache__")
    )
    for changes in ADDED.values():
        for name, change in changes.items():
            path = root / name
            text = change if isinstance(change, str) else path.read_text(encoding="utf-8")
            for edit in change if not isinstance(change, str) else ():
                text = edit.apply(text)
            path.write_text(text.lstrip("\n"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(root)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((root / "result.json").read_text())


@pytest.mark.slow
def test_a_new_task_model_and_schedule_are_trained(result: dict[str, Any]):
    assert (result["state"], result["reason"]) == ("finished", None)
    assert len(result["measured"]) == 2
    assert "valid/excess" in result["measured"][-1]


@pytest.mark.slow
def test_a_new_metric_is_measured_and_a_new_section_reported(result: dict[str, Any]):
    assert 0 <= result["measured"][-1]["valid/wrong"] <= 1
    assert "Hello from 1 runs." in result["report"]


@pytest.mark.slow
def test_a_new_command_is_listed_and_a_new_sampler_built(result: dict[str, Any]):
    assert result["printed"] == "hello\n"
    assert "greet" in result["help"]
    assert result["sampler"] == "NSGAIISampler"
