"""README.md and docs/: links lead somewhere, YAML is right, commands exist, lines are short."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from seqtune.cli import app
from seqtune.config.yaml_file import parse_yaml
from seqtune.runs.spec import RunSpec
from seqtune.sweep.execution.driver import read_plan
from seqtune.training.measurement import METRICS

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")],
    key=lambda path: str(path.relative_to(ROOT)),
)
WIDTH, README_LINES = 120, 200


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", text_of(page), flags=re.S | re.M)


def anchors(page: Path) -> set[str]:
    """The names that headings can be linked to by, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_are_short_outside_of_fenced_blocks(page: Path):
    # A row of a table cannot be broken.
    long = [
        line for line in prose(page).splitlines() if len(line) > WIDTH and not line.startswith("|")
    ]
    assert long == []


def test_the_readme_is_short():
    assert len(text_of(ROOT / "README.md").splitlines()) <= README_LINES


def test_the_readme_gives_the_two_commands_of_the_makefile():
    makefile = text_of(ROOT / "Makefile")
    for rule in ("sweep", "test"):
        assert f"\nmake {rule} " in text_of(ROOT / "README.md")
        assert f"\n{rule}: " in makefile


def test_commits_are_checked_by_the_ruff_that_ci_runs():
    hooks = text_of(ROOT / ".pre-commit-config.yaml")
    (revision,) = re.findall(r"ruff-pre-commit\n +rev: v([\d.]+)", hooks)
    assert f"\nruff=={revision}\n" in text_of(ROOT / "constraints.txt")


def yaml_blocks() -> list[Any]:
    """Every fenced block of YAML; if it repeats a key, each entry by itself."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```yaml\n(.*?)^```$", text_of(page), flags=re.S | re.M):
            entries = re.findall(r"^\S.*\n(?:[ ].*\n)*", block, flags=re.M)
            keys = [entry.partition(":")[0] for entry in entries]
            for part in [block] if len(set(keys)) == len(keys) else entries:
                found.append(pytest.param(part, id=f"{page.name}-{part.splitlines()[0][:40]}"))
    return found


BASE = {"task": {"kind": "cfg", "grammar": "cfg3b", "height": 2}, "model": {"kind": "lstm"}}


@pytest.mark.parametrize("block", yaml_blocks())
def test_yaml_in_the_pages_is_right(block: str):
    data = parse_yaml(block, name="page").data
    if "grammar" in data:
        data = {"task": {"kind": "cfg", **data}}
    if set(data) <= set(RunSpec.model_fields):
        # Phases add up to the length of the training.
        phases = data.get("forcing", {}).get("phases", [])
        epochs = sum(phase["epochs"] for phase in phases) or 8
        RunSpec.parse({**BASE, "training": {"epochs": epochs}, **data})
        return
    sweep = {"name": "page", "base": BASE, **data}
    if "tune" in sweep or any("tune" in arm for arm in sweep.get("arms", {}).values()):
        sweep.setdefault("search", {"trials": 2})
    if any("arm" in case for case in sweep.get("resources", {}).get("when", [])):
        sweep["arms"] = {"transformer": {"model": {"kind": "transformer"}}}
    read_plan(parse_yaml("{}", name="page").override(sweep))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_metrics_that_are_named_exist(page: Path):
    group: Any = typer.main.get_command(app)
    fenced = re.findall(r"^ *```.*?^ *```$", text_of(page), flags=re.S | re.M)
    named = re.findall(r"^seqtune ([a-z]+)", "\n".join(fenced), flags=re.M)
    named += re.findall(r"`seqtune ([a-z]+)", prose(page))
    assert set(named) <= set(group.commands)
    metrics = re.findall(r"`((?:train|valid|free|generate|rollout)/[a-z_]+)`", text_of(page))
    assert set(metrics) <= set(METRICS)
