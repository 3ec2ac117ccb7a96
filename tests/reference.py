"""The reference in docs/cli.md: every command's help, in the order of `seqtune --help`.

`python -m tests.reference` writes the page.
"""

from pathlib import Path
from typing import Any

import typer

from seqtune.cli import app

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
WIDTH = 110
INTRODUCTION = """\
# Command line

<!-- Written by `python -m tests.reference`; a test compares this page with the commands. -->

`seqtune COMMAND --help` prints what is below. The conventions that all commands share:

- **Help and completion.** `seqtune --install-completion` lets the shell complete commands, options
  and their values.
- **`--set PATH=VALUE`** replaces one value of the file, with YAML on the right:
  `--set model.layers=2`, `--set 'task.height=[3,4,5]'`. It may be repeated for other paths.
- **`--json`** prints one JSON value on standard output. Numbers that are not finite become `null`.
  Progress, notes and errors go to standard error.
- **Places.** Where a directory is expected, a URL of an object store works too
  (`s3://BUCKET/FOLDER`); see [cluster/README.md](cluster/README.md#results-in-a-bucket).
- **`seqtune -v COMMAND`** logs progress.
- **Exit status.** 0: done. 1: some run failed or diverged. 2: the file or the call is wrong, or a
  disk is full, and a message says what to do instead. 130: interrupted; the same command continues.
"""


def reference() -> str:
    """Return the whole page."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("seqtune", [], resilient_parsing=True)
    commands = [group.get_command(context, name) for name in group.list_commands(context)]
    parts = [INTRODUCTION]
    for panel in dict.fromkeys(map(_panel, commands)):
        members = [each for each in commands if _panel(each) == panel]
        parts += [f"## {panel}\n", *(_section(each, context=context) for each in members)]
    return "\n".join(parts)


def _panel(command: Any) -> str:
    panel = getattr(command, "rich_help_panel", None)
    return panel if isinstance(panel, str) else "Commands"


def _section(command: Any, *, context: Any) -> str:
    # Without boxes and colours, which are for terminals.
    command.rich_markup_mode = None
    own = command.make_context(
        command.name,
        [],
        parent=context,
        resilient_parsing=True,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
    )
    lines = [line.rstrip() for line in command.get_help(own).splitlines()]
    return "\n".join((f"### seqtune {command.name}\n", "```text", *lines, "```\n"))


def main() -> None:
    """Write the page."""
    PAGE.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
