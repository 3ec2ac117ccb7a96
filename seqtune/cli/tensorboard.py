"""The command that shows a sweep in a browser: tensorboard."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from seqtune.cli.app import JsonOption, command, open_location
from seqtune.config.yaml_file import FileError, path_hint
from seqtune.storage.location import is_remote

FILES = ("*.csv", "*.json", "*.jsonl", "*.md", "*.parquet", "*.png", "*.svg", "*.html", "*.txt")
UNSHOWN = ("checkpoint.pt", "model.safetensors", "studies.*", *FILES)
"""Files of a sweep that TensorBoard does not read."""
HOST = "127.0.0.1"
"""TensorBoard has no access control, so it listens on loopback only."""


@command
def tensorboard(
    directory: Annotated[
        str,
        typer.Argument(help="Directory or URL of a sweep, of run directories, or of one run."),
    ],
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port to listen on; 0 for any free one. Default: 6006, or the next free one.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start TensorBoard on this machine with the curves of a sweep; Ctrl-C ends it.

    A run is runs/RUN, and its row under HPARAMS shows its compared and tuned values. A cell is
    tensorboard/CELL, as of the last report: the mean over its confirm runs, with /low and /high for
    the 95 % interval and /floor for the floor.
    """
    with open_location(directory, without=UNSHOWN) as mirror:
        url = _launch(mirror.local, port=port)
        if is_remote(mirror.location):
            typer.echo(f"showing a copy of {mirror.location} as it is now", err=True)
        typer.echo(json.dumps({"url": url}) if as_json else f"TensorBoard: {url}")
        _until_interrupted(threading.Event().wait)


def _launch(root: Path, *, port: int | None) -> str:
    """Start TensorBoard in a thread of this process, and return its URL.

    Args:
        root: directory of a sweep, of runs or of one run; all curves below it are shown.
        port: 0 for any free port; None for TensorBoard's default, or the next free one.

    Raises:
        FileError: if there are no curves below `root`, or the port is taken.
    """
    from seqtune.runs.tensorboard import FILE_MARK

    if not root.is_dir():
        raise FileError(f"{root}: no such directory{path_hint(root)}")
    if next(root.rglob(f"*{FILE_MARK}*"), None) is None:
        raise FileError(
            f"{root}: holds no curves; give the directory of a sweep, of runs or of one run"
        )
    from tensorboard import program

    server = program.TensorBoard()
    words = ["--logdir", str(root), "--host", HOST]
    server.configure(["tensorboard", *words, "--port", "default" if port is None else str(port)])
    try:
        return server.launch()
    except program.TensorBoardServerException as error:
        raise FileError(f"{error}; write --port 0 for any free port") from None


def _until_interrupted(serve: Callable[[], object]) -> None:
    try:
        serve()
    except KeyboardInterrupt:
        typer.echo("", err=True)
