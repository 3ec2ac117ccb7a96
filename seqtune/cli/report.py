"""The command that writes the report of a sweep."""

from typing import Annotated, Any

import typer

from seqtune.cli.app import JsonOption, command, open_location, print_json
from seqtune.storage.mirror import LARGE


@command
def report(
    directory: Annotated[
        str, typer.Argument(help="Directory or URL of a sweep, or of run directories.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Rebuild the report from a sweep's directory alone."""
    written = write_report(directory)
    if as_json:
        print_json(written)
    else:
        typer.echo(f"report: {written['report']}")


def write_report(location: str) -> dict[str, Any]:
    """Write the report of a directory or URL; return where it is and how the cells rank."""
    from seqtune.report import build
    from seqtune.report.render.outcome import outcome

    with open_location(location, without=LARGE) as mirror:
        build(mirror.local)
        mirror.put_back()
        found = outcome(mirror.local)
    return {
        name: mirror.restore_paths(value) if isinstance(value, str) else value
        for name, value in found.items()
    }
