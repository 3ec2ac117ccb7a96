"""Small files: read as what they must be, and written whole or not at all."""

import errno
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from seqtune.config.yaml_file import FileError
from seqtune.storage.location import is_remote

SHOWN = 80
"""Most letters of what a file holds that an error shows."""


def read_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        FileError: if it holds none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FileError(f"{path}: is not valid JSON: {error}") from None
    except RecursionError:
        raise FileError(f"{path}: is not valid JSON: it is nested too deeply") from None
    if not isinstance(found, dict):
        raise FileError(f"{path}: must hold a JSON object, but got {brief(found)}")
    return found


def brief(value: object) -> str:
    """A value, or the beginning of a long one, for a line that tells what is wrong with it."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."


def check_writable(path: Path) -> None:
    """Makes sure that `replace_text` may write a file, without touching what it holds.

    Raises:
        OSError: if it may not, with its name.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    partial = path.with_name(path.name + ".partial")
    partial.open("w").close()
    partial.unlink()


def make_directory(path: Path) -> None:
    """Makes a directory if it is missing; an object store has none to make."""
    if not is_remote(path):
        path.mkdir(parents=True, exist_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Writes a file so that a reader, or a kill, finds the old text or the new, never a part.

    Raises:
        OSError: if it cannot be written, with its name; the old text stays.
    """
    if is_remote(path):
        path.write_text(text, encoding="utf-8")
        return
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        # Half a file helps nobody, least of all on a full disk; what went wrong first is what is told.
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        # A full disk does not say which file had no room.
        raise OSError(error.errno, error.strerror, str(path)) from error
