"""The command that prints the JSON schema of sweep files and run files, for editors."""

from enum import StrEnum
from typing import Annotated

import typer

from seqtune.cli.app import command


class File(StrEnum):
    """A kind of input file."""

    sweep = "sweep"
    run = "run"


@command
def schema(
    file: Annotated[
        File, typer.Argument(help="File of `seqtune sweep`, or of `seqtune train`.")
    ] = File.sweep,
) -> None:
    """Print the JSON schema of sweep files or run files, for completion and checks in editors.

    Most editors find it by the first line of a file: # yaml-language-server:
    $schema=sweep.schema.json

    It covers fields, types and bounds. Rules across fields are checked by seqtune before anything
    runs.
    """
    from seqtune.sweep.planning import schema

    found = {File.sweep: schema.sweep_schema, File.run: schema.run_schema}[file]()
    typer.echo(schema.to_text(found))
