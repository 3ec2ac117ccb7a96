"""What all commands share: the application, exit statuses, errors told clearly, and `--set`."""

import json
import logging
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from seqtune.config.yaml_file import FileError, parse_value
from seqtune.storage.location import parse_location, reached
from seqtune.storage.mirror import Mirror, open_mirror

app = typer.Typer(
    help="Which sequence model, how deep, trained how?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

WRONG = 2
SOME_FAILED = 1
INTERRUPTED = 130

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Replace a value of the file; may be repeated, for other paths.",
    ),
]

JsonOption = Annotated[bool, typer.Option("--json", help="For a machine to read.")]


def print_json(data: Any) -> None:
    """Prints plain data as `--json` does; what is no finite number is null."""
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


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Makes a function a command whose help is its docstring, each paragraph as wide as the terminal."""
    paragraphs = (function.__doc__ or "").split("\n\n")
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return app.command(help=text)(function)


@app.callback()
def main(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what is done.")] = False,
) -> None:
    """Which sequence model, how deep, trained how?"""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(message)s")


@contextmanager
def clear_errors() -> Iterator[None]:
    """What a person wrote, or a file that cannot be had, is told in its own words: exit 2."""
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
def opened(text: str, *, without: Collection[str] = ()) -> Iterator[Mirror]:
    """A directory or URL that a person gave, to be worked on here; errors are told as by `clear_errors`.

    Args:
        text: what was given.
        without: names of files that need not be fetched.
    """
    with clear_errors(), fetched(parse_location(text), without=without) as copy:
        yield copy


@contextmanager
def fetched(place: Path, *, without: Collection[str] = ()) -> Iterator[Mirror]:
    """A place's files, to be worked on here; what is wrong with them is told of the place itself.

    Raises:
        FileError: what is raised of its copy, with the place's own name.
    """
    with reached(place), open_mirror(place, without=without) as copy:
        try:
            yield copy
        except FileError as error:
            raise FileError(copy.named(str(error))) from None


def changes_of(settings: list[str] | None) -> dict[str, object]:
    """What was given by `--set`, by dotted path.

    Raises:
        FileError: if it is not PATH=VALUE, the value is no YAML, or a path is given twice.
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
