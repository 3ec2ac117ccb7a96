"""Commands that show a sweep in a browser: tensorboard, dashboard."""

import json
import threading
from collections.abc import Callable
from typing import Annotated

import typer

from seqtune.cli.app import JsonOption, SetOption, changes_of, command, opened
from seqtune.storage.location import is_remote

FILES = ("*.csv", "*.json", "*.jsonl", "*.md", "*.parquet", "*.png", "*.svg", "*.html", "*.txt")
UNSHOWN = ("checkpoint.pt", "model.safetensors", "studies.*", *FILES)
"""What of a sweep TensorBoard does not read."""
UNSTUDIED = ("checkpoint.pt", "model.safetensors", "events.out.tfevents.*", "*.csv", "*.png")
"""What of a sweep is no part of its studies."""


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
        _until_interrupted(threading.Event().wait)


@command
def dashboard(
    directory: Annotated[str, typer.Argument(help="The directory or URL of a sweep.")],
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Where to listen; 0 for any port that is free."),
    ] = 8080,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start Optuna's dashboard on this machine, with the studies of a sweep; Ctrl-C ends it.

    Nothing can be changed there. It takes pip install 'seqtune[dashboard]'.

    Where the sweep's file held a password, --set search.storage='{env: NAME}' says where to find it now.
    """
    with opened(directory, without=UNSTUDIED) as copy:
        from seqtune.sweep.search.dashboard import open_dashboard

        with open_dashboard(copy.local, changes=changes_of(set_), port=port) as server:
            if is_remote(copy.place):
                typer.echo(f"a copy of what is in {copy.place} now", err=True)
            said = (
                json.dumps({"url": server.url}) if as_json else f"Optuna's dashboard: {server.url}"
            )
            typer.echo(said)
            _until_interrupted(server.serve_forever)


def _until_interrupted(serve: Callable[[], object]) -> None:
    try:
        serve()
    except KeyboardInterrupt:
        typer.echo("", err=True)
