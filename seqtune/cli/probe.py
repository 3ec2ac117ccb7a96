"""The command that fits linear probes to the layers of a trained model."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from seqtune.cli.app import (
    UNUSED_FILES,
    ChangeOption,
    JsonOption,
    command,
    open_location,
    parse_changes,
    print_json,
    warn,
)


@command
def probe(
    run: Annotated[str, typer.Argument(help="Directory or URL of a trained run on a grammar.")],
    strings: Annotated[
        int, typer.Option(help="Strings to fit probes on; as many others to score them on.")
    ] = 512,
    set_: ChangeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit linear probes to every layer: which nodes of the tree does it encode?

    A probe is a linear map from the hidden state at a token to the symbol of the node above it, or
    to whether the token is that node's last. It is compared with probes of the untrained network
    and with the most common class.

    --set takes paths of the task (task.height=5), as far as the model can read its strings, and
    evaluation.seed.

    Scores are stored in the run's probes.csv, and drawn in probes.png and probes.svg. Scores for
    another --strings or --set get files of their own, whose names say so, such as
    probes-strings=50.csv. The same command again replaces its own files only.

    Many wide layers take some minutes on a CPU; -v before the command shows progress.
    """
    from seqtune.cli.tables import probes
    from seqtune.storage.files import check_writable
    from seqtune.trained import probe
    from seqtune.trained.load import load

    with open_location(run, without=UNUSED_FILES) as mirror:
        trained = load(
            mirror.local,
            changes=parse_changes(set_),
            changeable=probe.CHANGEABLE,
            unused=probe.UNUSED,
        )
        check_writable(trained.directory.path / "probes.csv")
        warn(mirror.restore_paths(trained.warning))
        found = probe.probe(trained, strings=strings)
        if as_json:
            print_json(found.to_data())
        else:
            width = None if sys.stdout.isatty() else probes.WIDTH
            probes.print_probes(found, console=Console(highlight=False, width=width))
        from seqtune.report.render.files import write_probes

        paths = write_probes(
            found.readings,
            rows=found.rows,
            name=found.name,
            title=found.title,
            caption=f"{found.summary} {probes.describe_errors(found.readings)}",
            folder=trained.directory.path,
        )
        mirror.put_back()
        files = ", ".join(map(str, paths))
        typer.echo(f"written: {mirror.restore_paths(files)}", err=as_json)
