"""A directory that is elsewhere, worked on here: fetched, and put back as it changes.

Who appends to files, locks them or replaces them needs a directory of this machine. Where the results are a
URL, a worker works on a copy of its run, the driver on one of the files that it appends to, the report on one
of all small files. A directory of this machine is worked on where it is.

A copy that is fenced notes its owner in the place itself, and looks before it puts anything back: a worker
that lives on after its run was given to another writes nothing any more.
"""

import secrets
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from seqtune.runs.directory import RunInUseError
from seqtune.storage.location import is_remote

if TYPE_CHECKING:
    from upath import UPath

LARGE = ("checkpoint.pt", "model.safetensors", "events.out.tfevents.*")
"""What of a run only its training and its models' users read."""
OWNER = ".owner"
_ORDER = ("model.safetensors", "checkpoint.pt", "*", "run.json")
"""A checkpoint is put back before the rows that it holds too, and the state when all else is there."""


class Mirror:
    """Files of a place, on this machine.

    Attributes:
        place: where they belong.
        local: where they are now; `place` itself if that is a directory of this machine.
    """

    def __init__(
        self,
        place: Path,
        *,
        local: Path,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
        fenced: bool = False,
    ) -> None:
        """Fetches the files; `open_mirror` says what each argument is."""
        self.place = place
        self.local = local
        self._only = only
        self._without = without
        self._known: dict[str, tuple[int, int]] = {}
        self._token = secrets.token_hex(8) if fenced else None
        if not is_remote(place):
            return
        if self._token is not None:
            (place / OWNER).write_text(self._token)
        self._fetch()

    def named(self, text: str) -> str:
        """A text that speaks of files of the copy, with their own place's names."""
        return text.replace(str(self.local), str(self.place))

    def put_back(self) -> None:
        """Puts back what has changed since the last time; what is gone here goes there.

        Raises:
            RunInUseError: if the place was given to somebody else; nothing was put back.
        """
        if not is_remote(self.place):
            return
        self._check_owner()
        now = {name: _stamp(self.local / name) for name in self._here()}
        changed = [name for name, stamp in now.items() if self._known.get(name) != stamp]
        for name in sorted(changed, key=_order):
            self._store.put_file(str(self.local / name), self._key(name))
        for name in self._known.keys() - now.keys():
            (self.place / name).unlink(missing_ok=True)
        self._known = now

    def _check_owner(self) -> None:
        if self._token is None:
            return
        owner = self.place / OWNER
        if not owner.exists() or owner.read_text() != self._token:
            raise RunInUseError(f"{self.place}: another process is writing it")

    def _fetch(self) -> None:
        """Brings what is wanted here, many files at a time."""
        names = [name for name in self._there() if self._wanted(name)]
        for folder in {(self.local / name).parent for name in names}:
            folder.mkdir(parents=True, exist_ok=True)
        if names:
            self._store.get(
                [self._key(name) for name in names], [str(self.local / name) for name in names]
            )
        self._known = {name: _stamp(self.local / name) for name in names}

    def _there(self) -> list[str]:
        """Names of the files in the place."""
        if self._only is not None:
            return [name for name in self._only if (self.place / name).exists()]
        root = self._key("")
        return [str(path)[len(root) :].lstrip("/") for path in self._store.find(root)]

    def _here(self) -> list[str]:
        """Names of the files on this machine."""
        paths = [path for path in sorted(self.local.rglob("*")) if path.is_file()]
        names = [path.relative_to(self.local).as_posix() for path in paths]
        return [name for name in names if self._wanted(name)]

    def _wanted(self, name: str) -> bool:
        if self._only is not None:
            return name in self._only
        last = name.rpartition("/")[2]
        ours = last == OWNER or last.endswith((".lock", ".partial"))
        return not ours and not any(fnmatchcase(last, each) for each in self._without)

    def _key(self, name: str) -> str:
        """What the store calls a file."""
        place = self.place / name if name else self.place
        return cast("UPath", place).path

    @property
    def _store(self) -> Any:
        """Fsspec's file system, which copies many files at a time."""
        return cast("UPath", self.place).fs


@contextmanager
def open_mirror(
    place: Path,
    *,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    fenced: bool = False,
) -> Iterator[Mirror]:
    """A place's files on this machine, as long as the context lasts; nothing is put back at its end.

    Args:
        place: a directory, or a URL's place.
        only: names of the files that are wanted, below the place; all of them if None.
        without: patterns of the last names of files that are not.
        fenced: whether whoever fetches it next takes it away from us.
    """
    if not is_remote(place):
        yield Mirror(place, local=place)
        return
    with tempfile.TemporaryDirectory(prefix="seqtune-copy-") as folder:
        local = Path(folder) / place.name
        local.mkdir()
        yield Mirror(place, local=local, only=only, without=without, fenced=fenced)


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _order(name: str) -> int:
    return _ORDER.index(name if name in _ORDER else "*")
