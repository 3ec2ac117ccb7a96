"""TensorBoard on this machine, with the folder that holds a sweep's curves."""

from pathlib import Path

from seqtune.config.yaml_file import FileError, instead
from seqtune.runs.event_files import MARK

HOST = "127.0.0.1"
"""Who reaches it: TensorBoard asks nobody who they are."""


def launch(root: Path, *, port: int | None) -> str:
    """Starts TensorBoard in a thread of this process, and returns its URL.

    Args:
        root: the directory of a sweep, of runs or of one run; all curves below it are shown.
        port: 0 for any that is free; None for TensorBoard's usual one, or the next that is free.

    Raises:
        FileError: if there are no curves below `root`, or the port cannot be had.
    """
    if not root.is_dir():
        raise FileError(f"{root}: no such directory{instead(root)}")
    if next(root.rglob(f"*{MARK}*"), None) is None:
        raise FileError(
            f"{root}: holds no curves; give the directory of a sweep, of runs or of one run"
        )
    from tensorboard import program

    board = program.TensorBoard()
    words = ["--logdir", str(root), "--host", HOST]
    board.configure(["tensorboard", *words, "--port", "default" if port is None else str(port)])
    try:
        return board.launch()
    except program.TensorBoardServerException as error:
        raise FileError(f"{error}; write --port 0 for any that is free") from None
