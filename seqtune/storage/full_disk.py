"""Full disks: one error line that names the location; no run counts as failed."""

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

FULL_DISK_TEXTS = (
    os.strerror(errno.ENOSPC),
    os.strerror(errno.EDQUOT),
    "database or disk is full",
)
"""How a full disk reads where an exception arrives as text only, as from a Ray worker."""


def disk_is_full(error: BaseException) -> bool:
    """Return whether an exception, or one of its causes, was raised because a disk is full."""
    return any(_means_full(each) for each in causes(error))


def _means_full(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its chain of causes and contexts."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


def disk_full_error(location: Path) -> FileError:
    """Return the error for a command that stops because the disk of `location` is full."""
    return FileError(
        f"{location}: the disk is full; free some space and run the same command again"
    )


def find_full_disk(error: BaseException, *, root: Path) -> FileError | None:
    """Return the error to report if an exception was raised because a disk is full, else None.

    Args:
        error: the exception, raised in this process or in a worker.
        root: the sweep's directory.
    """
    if disk_is_full(error):
        return disk_full_error(_full_location(error, root=root))
    text = "".join(traceback.format_exception(error))
    if any(each in text for each in FULL_DISK_TEXTS):
        return disk_full_error(_fullest(root))
    return None


@contextmanager
def report_full_disk(root: Path) -> Iterator[None]:
    """Turn any exception that a full disk causes into a `FileError`.

    Raises:
        FileError: if a disk is full. Other exceptions pass unchanged.
    """
    try:
        yield
    except FileError:
        raise
    except Exception as error:
        found = find_full_disk(error, root=root)
        if found is None:
            raise
        raise found from None


def _full_location(error: BaseException, *, root: Path) -> Path:
    """Return the directory that needs space: `root` if the file lies in it."""
    for each in causes(error):
        if isinstance(each, OSError) and isinstance(each.filename, str):
            parents = Path(each.filename).absolute().parents
            return root if root in parents else parents[0]
    return _fullest(root)


def _fullest(root: Path) -> Path:
    """Return the location with the least free space among those that the driver writes to."""
    temporary = Path(tempfile.gettempdir())
    disks = [temporary] if is_remote(root) else [root, temporary]
    return min(disks, key=lambda disk: shutil.disk_usage(disk).free)
