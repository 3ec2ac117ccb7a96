"""The command that shows a sweep in a browser: tensorboard."""

import json
import threading
from typing import Annotated

import typer

from seqtune.cli.app import JsonOption, command, opened
from seqtune.storage.location import is_remote

FILES = ("*.csv", "*.json", "*.jsonl", "*.md", "*.parquet", "*.png", "*.svg", "*.html", "*.txt")
UNSHOWN = ("checkpoint.pt", "model.safetensors", "studies.*", *FILES)
"""What of a sweep TensorBoard does not read."""


@command
def tensorboard(
    directory: Annotated[
        str,
        typer.Argument(help="The directory or URL of a sweep, of run directories, or of one run."),
    ],
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Where to listen; 0 for any port that is free. 6006 by default, or the next that is free.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start TensorBoard on this machine, with the curves of a sweep; Ctrl-C ends it.

    A run is runs/RUN, and its row among the HPARAMS has what was compared and tuned in it. A cell is tensorboard/CELL,
    as of the last report: the mean over its confirm runs, and after its name /low and /high, the 95 % interval,
    and /floor.
    """
    from seqtune.cli.tensorboard_server import launch

    with opened(directory, without=UNSHOWN) as copy:
        url = launch(copy.local, port=port)
        if is_remote(copy.place):
            typer.echo(f"a copy of what is in {copy.place} now", err=True)
        typer.echo(json.dumps({"url": url}) if as_json else f"TensorBoard: {url}")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            typer.echo("", err=True)
