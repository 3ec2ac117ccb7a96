"""The files of a text, or Python's own documentation, checked to be UTF-8.

Files are read in pieces, so that a text may be larger than memory. They are joined in the order of
their paths with nothing between: the text's bytes are the files' bytes.
"""

import codecs
import functools
import glob
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from seqtune.config.yaml_file import FileError

CHUNK_BYTES = 1 << 20
"""Most bytes read at once."""

DOCUMENTATION = "Python's documentation topics"
"""Name of the text that needs no file."""


@dataclass(frozen=True)
class TextFile:
    """A file as it was found. Size and time are part of the value, so that caches notice changes.

    Attributes:
        name: path as the user wrote it.
        path: absolute path.
        size: in bytes.
        modified: time of the last change, in nanoseconds.
    """

    name: str
    path: Path
    size: int
    modified: int


@dataclass(frozen=True)
class Text:
    """Files joined end to end; without files, Python's documentation."""

    files: tuple[TextFile, ...] = ()

    @property
    def size(self) -> int:
        """Size in bytes."""
        return sum(file.size for file in self.files) if self.files else len(documentation())

    def read(self, *, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`."""
        found = io.BytesIO()
        for _, file in self._open():
            size = file.seek(0, io.SEEK_END)
            file.seek(min(start, size))
            found.write(file.read(max(0, min(stop, size) - start)))
            start, stop = max(0, start - size), max(0, stop - size)
        return found.getvalue()

    def pieces(self) -> Iterator[tuple[bytes, str]]:
        """Yield the text in pieces: bytes, and the characters that end in them.

        Raises:
            FileError: at the first byte that is not text, with its position.
        """
        for name, file in self._open():
            yield from _decode(file, name=name)

    def _open(self) -> Iterator[tuple[str, BinaryIO]]:
        if not self.files:
            yield DOCUMENTATION, io.BytesIO(documentation())
        for file in self.files:
            try:
                with file.path.open("rb") as opened:
                    yield file.name, opened
            except OSError as error:
                raise FileError(f"{file.name}: cannot be read: {error.strerror}") from None


@dataclass(frozen=True)
class Measures:
    """Number of bytes and characters of a text, and the SHA-256 of its bytes in hexadecimal."""

    size: int
    characters: int
    sha256: str


@functools.cache
def documentation() -> bytes:
    """Return the topics of `help()` in the order of their names, joined by newlines, in UTF-8.

    Each ends in a newline, so they are separated by empty lines. The text depends on Python's
    version.
    """
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics)).encode()


@functools.lru_cache(maxsize=64)
def measure(text: Text) -> Measures:
    """Return the measures of a text, reading it once, and again only if a file has changed.

    Raises:
        FileError: if a file is not text, or the text is empty.
    """
    size = characters = 0
    digest = hashlib.sha256()
    for chunk, decoded in text.pieces():
        size += len(chunk)
        characters += len(decoded)
        digest.update(chunk)
    if size == 0:
        one = len(text.files) == 1
        raise FileError(f"{text.files[0].name}: {'is' if one else 'and all others are'} empty")
    return Measures(size=size, characters=characters, sha256=digest.hexdigest())


def find(pattern: str | None) -> Text:
    """Return the text at a path or glob (`**` is recursive); None is Python's documentation.

    Raises:
        FileError: if there is no such file.
    """
    if pattern is None:
        return Text()
    if not pattern:
        raise FileError("names no file; write a path, a glob such as data/*.txt, or null")
    whole = Path(pattern).expanduser()
    if whole.is_dir():
        raise FileError(f"{pattern}: is a directory; write {whole / '*.txt'} for the files in it")
    if whole.exists() or not glob.has_magic(pattern):
        return Text((_stat(whole, name=pattern),))
    names = sorted(name for name in glob.iglob(str(whole), recursive=True) if Path(name).is_file())
    if not names:
        raise FileError(f"{pattern}: matches no file; paths start from {Path.cwd()}")
    return Text(tuple(_stat(Path(name), name=name) for name in names))


def _stat(path: Path, *, name: str) -> TextFile:
    if not path.is_file():
        what = "is no regular file" if path.exists() else "no such file"
        start = "" if path.is_absolute() else f"; paths start from {Path.cwd()}"
        raise FileError(f"{name}: {what}{start}")
    status = path.stat()
    return TextFile(
        name=name, path=path.absolute(), size=status.st_size, modified=status.st_mtime_ns
    )


def _decode(file: BinaryIO, *, name: str) -> Iterator[tuple[bytes, str]]:
    """Yield a file's chunks, each with the characters that end in it."""
    rest, offset, line = b"", 0, 1
    while True:
        chunk = file.read(CHUNK_BYTES)
        block = rest + chunk
        found = _first_wrong(block, last=not chunk)
        if found is not None:
            line += block.count(b"\n", 0, found)
            why = "is not UTF-8 text" if block[found] else "makes it a binary file"
            at = f"line {line}, byte offset {offset + found}"
            raise FileError(f"{name}: {at}: 0x{block[found]:02x} {why}")
        if not chunk:
            return
        text, used = codecs.utf_8_decode(block, "strict", False)
        yield chunk, text
        rest, offset, line = block[used:], offset + used, line + block.count(b"\n", 0, used)


def _first_wrong(block: bytes, *, last: bool) -> int | None:
    """Return the position of the first byte that is NUL or not UTF-8; None if there is none."""
    null = block.find(b"\0")
    try:
        codecs.utf_8_decode(block if null < 0 else block[:null], "strict", last or null >= 0)
    except UnicodeDecodeError as error:
        return error.start
    return null if null >= 0 else None
