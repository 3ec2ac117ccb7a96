"""The README's reference: every command's help, as the command line has it. `python -m tests.reference` renews it."""

from pathlib import Path
from typing import Any

import typer

from seqtune.cli import app

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- python -m tests.reference writes this -->\n", "<!-- to here -->\n"
WIDTH = 110


def reference() -> str:
    """Every command's help, each folded away behind its first sentence."""
    # Without boxes and colours, which are for terminals.
    group: Any = typer.main.get_command(app)
    above = group.make_context("seqtune", [], resilient_parsing=True)
    return "\n".join(
        _folded(name, command, above=above) for name, command in sorted(group.commands.items())
    )


def _folded(name: str, command: Any, *, above: Any) -> str:
    command.rich_markup_mode = None
    context = command.make_context(
        name,
        [],
        parent=above,
        resilient_parsing=True,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
    )
    lines = [line.rstrip() for line in command.get_help(context).splitlines()]
    first = command.help.split("\n\n")[0]
    summary = f"<code>seqtune {name}</code>: {first}"
    fenced = "\n".join(("```text", *lines, "```"))
    return f"<details><summary>{summary}</summary>\n\n{fenced}\n\n</details>\n"


def written() -> str:
    """What the README holds between the marks."""
    return README.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Writes the reference into the README."""
    text = README.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, f"{README} has no line {BEGIN}"
    assert end, f"{README} has no line {END}"
    README.write_text(before + BEGIN + reference() + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
