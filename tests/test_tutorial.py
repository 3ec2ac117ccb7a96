"""The tutorial is followed word for word, in a copy of the checkout.

Three of its commands are not run, since their work is done already where tests run: `make sweep`
(its rule is looked up in the Makefile; the sweep itself takes minutes), `make .venv/installed-dev`
and `. .venv/bin/activate`.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.followed import Block, Reader, blocks, first_missing

ROOT = Path(__file__).parents[1]
SKIPPED = ("make sweep", ". .venv/bin/activate", "make .venv/installed-dev")
IGNORED = (".*", "__pycache__", "results", "runs", "*.egg-info")
REGISTERS = ("seqtune/tasks/__init__.py", "seqtune/tasks/build.py")


@pytest.fixture(scope="module")
def page() -> list[Block]:
    return blocks((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_tutorial_can_be_followed_word_for_word(page: list[Block], tmp_path: Path):
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*IGNORED))
    reader = Reader(copy, environment=_environment(copy), skipped=SKIPPED)
    for block in page:
        reader.follow(block)
    assert (copy / "results" / "figures" / "reverse_curves_of_winners.png").stat().st_size > 0


def _environment(copy: Path) -> dict[str, str]:
    """That of a shell with the virtual environment active, which imports the copy."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST", "RAY_", "COV_")) and name not in ("COLUMNS", "LINES")
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "PYTHONPATH": str(copy), "TERM": "xterm"}


def test_the_commands_that_are_not_run_exist_and_do_what_the_page_says(page: list[Block]):
    typed = [block.text.strip() for block in page if block.language == "sh"]
    assert set(SKIPPED) < set(typed)
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "\nsweep: .venv/installed\n\t$(BIN)/seqtune sweep sweeps/lstm_vs_tree.yaml\n" in rules
    assert "\n.venv/installed-dev:" in rules


def test_the_paragraph_above_a_file_names_it(page: list[Block]):
    files = [block for block in page if block.file is not None]
    assert {block.file for block in files} >= {"gates.yaml", "reverse.yaml", *REGISTERS}
    for block in files:
        assert f"`{block.file}`" in block.before


@pytest.mark.parametrize("register", REGISTERS)
def test_a_task_is_entered_in_a_register_by_lines_of_its_own(page: list[Block], register: str):
    (shown,) = (block.text for block in page if block.file == register)
    before = shown.replace(" | ReverseSpec", "")
    without = [line for line in before.splitlines(keepends=True) if "Reverse" not in line]
    assert "".join(without) == (ROOT / register).read_text(encoding="utf-8")


SHOWN = """
cell=a  1,845  0.0744 [0.027, 0.122]  about 35 s
...
report: ...report.md
"""


@pytest.mark.parametrize(
    ("seen", "there"),
    [
        ("cell=a 1,845 0.0801 [0.021, 0.140] about 2 min\nreport: x/report.md", True),
        (
            "first\ncell=a 1,845 0.0744 [0.027, 0.122] about 3 s\n\nelse\nreport: report.md\nlast",
            True,
        ),
        ("cell=a 1,846 0.0744 [0.027, 0.122] about 35 s\nreport: x/report.md", False),
        ("cell=a 1,845 0.7440 [0.027, 0.122] about 35 s\nreport: x/report.md", False),
        ("cell=b 1,845 0.0744 [0.027, 0.122] about 35 s\nreport: x/report.md", False),
        ("cell=a 1,845 0.0744 [0.027, 0.122] about 35\nreport: x/report.md", False),
        ("report: x/report.md\ncell=a 1,845 0.0744 [0.027, 0.122] about 35 s", False),
        ("cell=a 1,845 0.0744 [0.027, 0.122] about 35 s", False),
    ],
)
def test_what_is_shown_is_looked_for_in_order_with_numbers_about_as_shown(seen: str, there: bool):
    assert (first_missing(SHOWN, seen=seen) is None) == there


def test_lines_that_stand_together_are_seen_together():
    assert first_missing("a\nb\n", seen="a\n\nb\n") is None
    assert first_missing("a\nb\n", seen="a\nc\nb\n") == "a\nb"


@pytest.mark.parametrize(
    ("shown", "seen", "there"),
    [
        ("5 of 5 right, at least 54 %", "3 of 5 right, at least 1.5 %", True),
        ("5 of 5 right, at least 54 %", "none right", False),
        ("✓ 1 2 3 3", "✓ 3 1 2", True),
        ("✓ ab|⟫ba", "✗ ab|⟫b⟨wrong: only a can follow⟩b", True),
        ("✓ ab|⟫ba", "✓ ba|⟫ab", False),
    ],
)
def test_what_is_shown_as_being_like_that_may_have_any_numbers(shown: str, seen: str, there: bool):
    assert (first_missing(shown, seen=seen, like=True) is None) == there


def test_a_command_that_fails_is_reported_and_so_is_output_that_is_missing(tmp_path: Path):
    reader = Reader(tmp_path, environment=dict(os.environ), skipped=())
    reader.follow(Block("yaml", "a.yaml", "name: a\n", before="`a.yaml`"))
    reader.follow(Block("text", "a.yaml", "name: a\n", before=""))
    reader.follow(Block("sh", "", "cat a.yaml\nexpr 1 + 1\n", before=""))
    reader.follow(Block("text", "", "name: a\n2\n", before=""))
    with pytest.raises(AssertionError, match="the page shows\nname: b\nbut there is"):
        reader.follow(Block("text", "", "name: b\n", before=""))
    with pytest.raises(AssertionError, match="ended with status 1"):
        reader.follow(Block("sh", "", "false\ntrue\n", before=""))
    reader.follow(Block("python", "notebook", "x = 20\nx + 1\n", before=""))
    reader.follow(Block("python", "notebook", "x + 2\n", before=""))
    with pytest.raises(AssertionError, match="the page shows\n21"):
        reader.follow(Block("text", "", "21\n", before=""))
    reader.follow(Block("text", "", "22\n", before=""))
