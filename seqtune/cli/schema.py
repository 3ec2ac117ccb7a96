"""The command schema: what editors need to help with sweep files and run files."""

from enum import StrEnum
from typing import Annotated

import typer

from seqtune.cli.app import command, print_json


class File(StrEnum):
    """A kind of file that people write."""

    sweep = "sweep"
    run = "run"


@command
def schema(
    file: Annotated[
        File, typer.Argument(help="For `seqtune sweep`, or for `seqtune train`.")
    ] = File.sweep,
) -> None:
    """Print the JSON schema of sweep files or of run files, with which editors complete and check them.

    For most editors a file's first line says where it is: # yaml-language-server: $schema=sweep.schema.json

    It knows fields, types and bounds. What hangs together, seqtune itself checks before anything runs.
    """
    from seqtune.sweep.planning import schema

    found = {File.sweep: schema.sweep_schema, File.run: schema.run_schema}[file]()
    print_json(found)
