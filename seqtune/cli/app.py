"""What all commands share: the application, exit statuses, error handling, common options."""

import json
import logging
import math
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from seqtune.config.yaml_file import FileError, parse_value
from seqtune.storage.location import parse_location, report_unreachable
from seqtune.storage.mirror import Mirror, open_mirror

WRONG = 2
SOME_FAILED = 1
INTERRUPTED = 130

PANELS = {
    "Plan and run": ("plan", "sweep", "train"),
    "Read the answer": ("report", "compare", "tensorboard"),
    "Use a trained run": ("evaluate", "generate", "probe"),
    "Look things up": ("describe", "schema"),
}
"""Commands in the order in which they are used, by the heading under which help lists them."""

UNUSED_FILES = ("checkpoint.pt", "events.out.tfevents.*")
"""Files of a run that commands on trained runs do not need."""


class _Commands(TyperGroup):
    """Lists the commands in the order of `PANELS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        order = [name for names in PANELS.values() for name in names]
        return sorted(self.commands, key=lambda name: order.index(name) if name in order else 99)


app = typer.Typer(
    cls=_Commands,
    help="Which sequence model, how deep, trained how?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RunArgument = Annotated[str, typer.Argument(help="Directory or URL of a trained run.")]

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Replace a value of the file; may be repeated, for other paths.",
    ),
]

ChangeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change the run's task or settings; may be repeated, for other paths.",
    ),
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Register a function as a command whose help is its docstring, reflowed to the terminal."""
    paragraphs = (function.__doc__ or "").split("\n\n")
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    panel = next((each for each, names in PANELS.items() if function.__name__ in names), None)
    return app.command(help=text, rich_help_panel=panel)(function)


@app.callback()
def main(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log progress.")] = False,
) -> None:
    """Which sequence model, how deep, trained how?"""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(message)s")


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Print user errors and file system errors without a traceback, and exit with status 2."""
    try:
        yield
    except FileError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(WRONG) from None
    except OSError as error:
        if error.filename is None:
            raise
        typer.echo(f"{error.filename}: {error.strerror}", err=True)
        raise typer.Exit(WRONG) from None


@contextmanager
def open_location(text: str, *, without: Collection[str] = ()) -> Iterator[Mirror]:
    """Mirror a directory or URL that the user gave; errors exit as in `exit_on_error`.

    Args:
        text: the directory or URL.
        without: patterns of file names that are not needed.
    """
    with exit_on_error(), fetch(parse_location(text), without=without) as mirror:
        yield mirror


@contextmanager
def fetch(location: Path, *, without: Collection[str] = ()) -> Iterator[Mirror]:
    """Mirror a location, with its own paths in error messages.

    Raises:
        FileError: if the location cannot be reached, or as raised inside the block.
    """
    with report_unreachable(location), open_mirror(location, without=without) as mirror:
        try:
            yield mirror
        except FileError as error:
            raise FileError(mirror.restore_paths(str(error))) from None


def parse_changes(settings: list[str] | None) -> dict[str, object]:
    """Return the values given by `--set`, by dotted path.

    Raises:
        FileError: if one is not PATH=VALUE, its value is not YAML, or a path is given twice.
    """
    changes: dict[str, object] = {}
    for setting in settings or []:
        path, equals, text = setting.partition("=")
        if not equals or not path:
            raise FileError(f"--set {setting}: must be PATH=VALUE, such as model.layers=2")
        if path in changes:
            raise FileError(f"--set {path}: is given twice; write it once")
        try:
            changes[path] = parse_value(text)
        except FileError as error:
            raise FileError(f"--set {path}: {error}") from None
    return changes


def print_json(data: Any) -> None:
    """Print plain data as `--json` does; numbers that are not finite become null."""
    typer.echo(json.dumps(_finite(data), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    match value:
        case Mapping():
            return {name: _finite(each) for name, each in value.items()}
        case list() | tuple():
            return [_finite(each) for each in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value


def warn(sentence: str) -> None:
    """Print a warning to stderr, unless it is empty."""
    if sentence:
        typer.echo(sentence, err=True)


def exit_interrupted(
    command: str,
    file: Path,
    settings: list[str] | None,
    *,
    out: str | None,
    address: str | None = None,
    fail_fast: bool = False,
    status: int = INTERRUPTED,
) -> NoReturn:
    """Print the command that resumes an interrupted one, and exit."""
    words = ["seqtune", command, str(file)]
    words += [word for setting in settings or [] for word in ("--set", setting)]
    words += ["--out", out] if out else []
    words += ["--address", address] if address else []
    words += ["--fail-fast"] if fail_fast else []
    typer.echo(f"interrupted; to resume: {shlex.join(words)}", err=True)
    raise typer.Exit(status)
