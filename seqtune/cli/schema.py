"""The command schema: JSON schemas of sweep files and run files, for editors."""

from enum import StrEnum
from typing import Annotated

import typer

from seqtune.cli.app import command


class File(StrEnum):
    """A kind of file with a schema."""

    sweep = "sweep"
    run = "run"


@command
def schema(
    file: Annotated[
        File, typer.Argument(help="For `seqtune sweep`, or for `seqtune train`.")
    ] = File.sweep,
) -> None:
    """Print the JSON schema of sweep files or of run files, for completion and checks in editors.

    Most editors find it by the first line of a file: # yaml-language-server:
    $schema=sweep.schema.json

    It knows fields, types and bounds. Rules about several fields are checked by seqtune itself
    before anything runs.
    """
    from seqtune.sweep.planning import schema

    found = {File.sweep: schema.sweep_schema, File.run: schema.run_schema}[file]()
    typer.echo(schema.to_text(found))
