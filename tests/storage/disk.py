"""A disk without room, as far as this process can tell."""

import errno
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def no_room(size: int) -> Iterator[None]:
    """Refuse files to grow beyond `size` bytes, for the superuser too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def small_disk(path: Path, *, size: int) -> Iterator[Path]:
    """A file system of its own with room for `size` bytes, in memory."""
    path.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    if subprocess.run(words, check=False, capture_output=True).returncode != 0:
        pytest.skip("only the superuser may mount a file system")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path, *, leave: int) -> Path:
    """Takes all room but `leave` bytes, with a file that can be removed again."""
    filler = disk / "filler"
    try:
        filler.write_bytes(bytes(shutil.disk_usage(disk).free - leave))
    except OSError as error:
        # Somebody else wrote meanwhile; what there was has been taken.
        if error.errno != errno.ENOSPC or leave:
            raise
    return filler
