import os
import subprocess
import sys

import pytest

from tests.reference import PAGE, reference


def test_the_page_of_the_command_line_is_what_the_commands_say():
    assert PAGE.read_text(encoding="utf-8") == reference(), "write: python -m tests.reference"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("seqtune swe", ["sweep"]),
        ("seqtune sweep x.yaml --re", ["--retry"]),
        ("seqtune sweep x.yaml --retry d", ["diverged"]),
        ("seqtune schema r", ["run"]),
    ],
)
def test_the_shell_completes_commands_options_and_their_values(words: str, found: list[str]):
    asked = {"_SEQTUNE_COMPLETE": "complete_bash", "COMP_WORDS": words}
    place = {"COMP_CWORD": str(len(words.split()) - 1)}
    code = "from seqtune.cli import app; app(prog_name='seqtune')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked, **place},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == found, done.stderr
