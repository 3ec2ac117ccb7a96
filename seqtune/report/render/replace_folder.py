"""Replaces the report folder whole, and keeps what somebody else put there.

The new folder is built beside the old one and then takes its place, so that a crash leaves the
old report or the new one. A list of what was written, with hashes, tells our files from others: a
file that is not on it, or was changed since, is carried over.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from seqtune.config.yaml_file import FileError
from seqtune.storage.full_disk import disk_full_error, disk_is_full

log = logging.getLogger(__name__)
WRITTEN = ".written.json"


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Gives an empty folder to write to, which becomes `folder` if nothing goes wrong.

    A file in `folder` that is not ours stays, as `NAME.kept` if a file of ours has its name.

    Raises:
        FileError: if `folder` is no folder, or its disk is full: then the old report stays.
    """
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder}: must be a folder for the report, but is a file; move it away")
    new, old = (folder.with_name(f".{folder.name}.{word}") for word in ("new", "old"))
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if old.exists() and not folder.exists():
            old.rename(folder)  # a crash came between the two renames below
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        new.mkdir()
        try:
            yield new
            _write_list(new)
            _carry_over(folder, new=new)
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
        except Exception as error:
            if disk_is_full(error):
                raise disk_full_error(folder.parent) from None
            raise
        finally:
            shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _carry_over(folder: Path, *, new: Path) -> None:
    """Copies what is not ours from the old folder."""
    ours = _read_list(folder)
    for path in sorted(folder.rglob("*")) if folder.exists() else ():
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or name == WRITTEN or ours.get(name) == _hash(path):
            continue
        target = new / name
        if target.exists() and _hash(target) == _hash(path):
            continue
        while target.exists():
            target = target.with_name(f"{target.name}.kept")
        if target != new / name:
            log.warning("%s was changed by hand: kept as %s", path, target.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)


def _write_list(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    hashes = {path.relative_to(folder).as_posix(): _hash(path) for path in files}
    (folder / WRITTEN).write_text(json.dumps(hashes, indent=1) + "\n", encoding="utf-8")


def _read_list(folder: Path) -> dict[str, str]:
    path = folder / WRITTEN
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
