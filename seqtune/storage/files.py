"""Small files, validated when read and replaced atomically, and the user's cache folder."""

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from seqtune.config.yaml_file import FileError
from seqtune.storage.location import is_remote

MAX_SHOWN = 80
"""Characters of a value that an error message quotes at most."""


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file whose top level is an object.

    Raises:
        FileError: if the file holds anything else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FileError(f"{path}: is not valid JSON: {error}") from None
    except RecursionError:
        raise FileError(f"{path}: is not valid JSON: it is nested too deeply") from None
    if not isinstance(data, dict):
        raise FileError(f"{path}: must hold a JSON object, but got {brief(data)}")
    return data


def brief(value: object) -> str:
    """Return a value's repr for an error message, truncated to `MAX_SHOWN` characters."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]} ..."


def check_writable(path: Path) -> None:
    """Check that `replace_text` can write a file, without changing the file.

    Raises:
        OSError: if it cannot; the error names the file.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    partial = path.with_name(path.name + ".partial")
    partial.open("w").close()
    partial.unlink()


def make_directory(path: Path) -> None:
    """Create a directory if it is missing; object stores have no directories to create."""
    if not is_remote(path):
        path.mkdir(parents=True, exist_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Replace a file atomically: a reader, or a kill, leaves the old text or the new one.

    Raises:
        OSError: if the file cannot be written; the error names it, and the old text stays.
    """
    if is_remote(path):
        path.write_text(text, encoding="utf-8")
        return
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        # On a full disk the partial file would only take up space. A failure to remove it must
        # not hide the first error.
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        # The system's own error for a full disk names no file.
        raise OSError(error.errno, error.strerror, str(path)) from error


def cache_folder() -> Path:
    """Return `$XDG_CACHE_HOME/seqtune`, or else `~/.cache/seqtune`; it need not exist.

    The name of a file in it determines its content, so entries never become stale, and
    processes that write one at the same time write the same bytes.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG base directory specification says to ignore relative paths.
    return (home if home.is_absolute() else Path.home() / ".cache") / "seqtune"


@contextmanager
def write_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that replaces `path` when the block ends, and is removed if it fails.

    Raises:
        OSError: if the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", suffix=".partial", delete=False
    ) as file:
        try:
            yield file  # pyright: ignore[reportReturnType]  (its wrapper is typed as no BinaryIO)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
