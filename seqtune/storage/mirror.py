"""Local mirrors of locations: fetched, worked on, and written back as they change.

Appending to files, locking and renaming need a local directory. If results are at a URL, a worker
mirrors its run, the driver the files that it appends to, and the report all small files. A local
directory is its own mirror, and nothing is copied.

A fenced mirror writes a token to the location and checks it before every write-back, so a worker
that outlives the reassignment of its run cannot overwrite the new worker's files.
"""

import secrets
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from seqtune.storage.location import is_remote

if TYPE_CHECKING:
    from upath import UPath

LARGE = ("checkpoint.pt", "model.safetensors", "events.out.tfevents.*")
"""Patterns of a run's large files, which reports do not need."""
OWNER = ".owner"
_ORDER = ("model.safetensors", "checkpoint.pt", "*", "run.json")
"""Order of writing back: the checkpoint before the rows that it also holds, the state last."""


class RunInUseError(RuntimeError):
    """Another process is writing the run."""


class Mirror:
    """Files of a location in a local directory.

    Attributes:
        location: the directory or URL that is mirrored.
        local: the local directory; equal to `location` if that is local.
    """

    def __init__(
        self,
        location: Path,
        *,
        local: Path,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
        fenced: bool = False,
    ) -> None:
        """Fetch the files; see `open_mirror` for the arguments."""
        self.location = location
        self.local = local
        self._only = only
        self._without = without
        self._known: dict[str, tuple[int, int]] = {}
        self._token = secrets.token_hex(8) if fenced else None
        if not is_remote(location):
            return
        if self._token is not None:
            (location / OWNER).write_text(self._token)
        self._fetch()

    def restore_paths(self, text: str) -> str:
        """Return a text with local paths replaced by those of the location."""
        return text.replace(str(self.local), str(self.location))

    def put_back(self) -> None:
        """Write back what changed since the last time, and delete what was deleted.

        Raises:
            RunInUseError: if another mirror has fenced this one off; nothing was written.
        """
        if not is_remote(self.location):
            return
        self._check_owner()
        now = {name: _stamp(self.local / name) for name in self._local_names()}
        changed = [name for name, stamp in now.items() if self._known.get(name) != stamp]
        for name in sorted(changed, key=_order):
            self._store.put_file(str(self.local / name), self._key(name))
        for name in self._known.keys() - now.keys():
            (self.location / name).unlink(missing_ok=True)
        self._known = now

    def _check_owner(self) -> None:
        if self._token is None:
            return
        owner = self.location / OWNER
        if not owner.exists() or owner.read_text() != self._token:
            raise RunInUseError(f"{self.location}: another process is writing it")

    def _fetch(self) -> None:
        names = [name for name in self._remote_names() if self._wanted(name)]
        for folder in {(self.local / name).parent for name in names}:
            folder.mkdir(parents=True, exist_ok=True)
        if names:
            # One call, since fsspec transfers the files of a list concurrently.
            self._store.get(
                [self._key(name) for name in names], [str(self.local / name) for name in names]
            )
        self._known = {name: _stamp(self.local / name) for name in names}

    def _remote_names(self) -> list[str]:
        if self._only is not None:
            return [name for name in self._only if (self.location / name).exists()]
        root = self._key("")
        return [str(path)[len(root) :].lstrip("/") for path in self._store.find(root)]

    def _local_names(self) -> list[str]:
        paths = [path for path in sorted(self.local.rglob("*")) if path.is_file()]
        names = [path.relative_to(self.local).as_posix() for path in paths]
        return [name for name in names if self._wanted(name)]

    def _wanted(self, name: str) -> bool:
        if self._only is not None:
            return name in self._only
        last = name.rpartition("/")[2]
        internal = last == OWNER or last.endswith((".lock", ".partial"))
        return not internal and not any(fnmatchcase(last, each) for each in self._without)

    def _key(self, name: str) -> str:
        """Return a file's path in the store."""
        location = self.location / name if name else self.location
        return cast("UPath", location).path

    @property
    def _store(self) -> Any:
        """The fsspec file system of the location."""
        return cast("UPath", self.location).fs


@contextmanager
def open_mirror(
    location: Path,
    *,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    fenced: bool = False,
) -> Iterator[Mirror]:
    """Mirror a location while the context lasts; leaving it writes nothing back.

    Args:
        location: a directory or a URL.
        only: names of the files to mirror, relative to the location; None for all files.
        without: patterns of file names to leave out.
        fenced: whether a later fenced mirror of the location locks this one out.
    """
    if not is_remote(location):
        yield Mirror(location, local=location)
        return
    with tempfile.TemporaryDirectory(prefix="seqtune-mirror-") as folder:
        local = Path(folder) / location.name
        local.mkdir()
        yield Mirror(location, local=local, only=only, without=without, fenced=fenced)


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _order(name: str) -> int:
    return _ORDER.index(name if name in _ORDER else "*")
