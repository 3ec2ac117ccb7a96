"""A full disk: told in one line that names where room is needed, and no run is at fault."""

import errno
import os
import shutil
import sqlite3
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqtune.config.yaml_file import FileError
from seqtune.storage.location import is_remote

SAID = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), "database or disk is full")
"""What a full disk is called where an error is handed on as its text, as Ray does."""


def disk_is_full(error: BaseException) -> bool:
    """Whether an error says that there is no room to write; what led to it counts too."""
    return any(_says_full(each) for each in causes(error))


def _says_full(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what led to it, and so on."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def no_room(place: Path) -> FileError:
    """What to say where a command cannot go on for a full disk: room is needed in `place`."""
    return FileError(
        f"{place}: there is no room left on its disk; the same command goes on once there is room"
    )


def full_disk(error: BaseException, *, root: Path) -> FileError | None:
    """What to say of an exception, if a full disk is why it was raised; else None.

    Args:
        error: what was raised, here or in a worker.
        root: the sweep's directory.
    """
    if disk_is_full(error):
        return no_room(_place(error, root=root))
    text = "".join(traceback.format_exception(error))
    return no_room(_fullest(root)) if any(said in text for said in SAID) else None


@contextmanager
def told_if_full(root: Path) -> Iterator[None]:
    """Turns whatever a full disk raises into one line.

    Raises:
        FileError: if a disk is full; all else is raised as it is.
    """
    try:
        yield
    except FileError:
        raise
    except Exception as error:
        told = full_disk(error, root=root)
        if told is None:
            raise
        raise told from None


def _place(error: BaseException, *, root: Path) -> Path:
    """The directory where room was wanted: the sweep's, if the file is anywhere in it."""
    for each in causes(error):
        if isinstance(each, OSError) and isinstance(each.filename, str):
            parents = Path(each.filename).absolute().parents
            return root if root in parents else parents[0]
    return _fullest(root)


def _fullest(root: Path) -> Path:
    """Of the disks that a driver writes to, the one with the least room."""
    temporary = Path(tempfile.gettempdir())
    disks = [temporary] if is_remote(root) else [root, temporary]
    return min(disks, key=lambda disk: shutil.disk_usage(disk).free)
