"""Locations of results: a local or shared directory, or a URL of an object store.

Every scheme that fsspec opens works (`s3://`, `gs://`, `az://`, ...), through universal-pathlib.
A store must replace a file atomically, as object stores do.
"""

import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from upath import UPath

from seqtune.config.yaml_file import FileError

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
"""The extra of the seqtune package that installs the client of a URL scheme."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def parse_location(text: str) -> Path:
    """Parse a directory or URL that a user wrote into an absolute path.

    A URL gives a `UPath`: no `pathlib.Path`, but with the methods that we call. What only local
    files can do (`replace`, locks, appending) must not be called on it; see `is_remote`.

    Raises:
        FileError: if a URL cannot be opened, or contains a password.
    """
    found = _SCHEME.match(text)
    if found is None:
        return Path(text).absolute()
    scheme = found[1].lower()
    if scheme in ("file", "local"):
        return Path(text[found.end() :] or "/").absolute()
    safe = hide_credentials(text)
    if safe != text:
        raise FileError(
            f"{safe}: must not contain a user or password; use the store's own settings "
            "(for S3 the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws)"
        )
    try:
        # Other processes write to the store too, so listings must not be cached.
        opened = UPath(text.rstrip("/"), use_listings_cache=False)
        _ = opened.fs  # created on first access: raises ImportError if the client is missing
    except ImportError:
        extra = EXTRAS.get(scheme)
        how = (
            f"pip install 'seqtune[{extra}]'" if extra else f"install fsspec's package for {scheme}"
        )
        raise FileError(f"{text}: the client for {scheme}:// is not installed: {how}") from None
    except ValueError as error:
        raise FileError(
            f"{text}: is not a location: {error}; write a directory or s3://..."
        ) from None
    if not urlsplit(text).netloc:
        raise FileError(f"{text}: names no bucket; write {scheme}://BUCKET/FOLDER")
    return cast("Path", opened)


def is_remote(location: Path) -> bool:
    """Return whether a location is a URL rather than a directory."""
    return not isinstance(location, Path)


@contextmanager
def report_unreachable(location: Path) -> Iterator[None]:
    """Turn exceptions of an object store's client into a `FileError` of one line.

    Raises:
        FileError: if the store cannot be reached or denies access. Other exceptions pass unchanged.
    """
    try:
        yield
    except FileError:
        raise
    except Exception as error:
        # Every client has its own exception classes, and Ray may pass one on as text. What they
        # have in common is that fsspec appears in the traceback.
        text = "".join(traceback.format_exception(error))
        if not is_remote(location) or f"{os.sep}fsspec{os.sep}" not in text:
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise FileError(
            f"{location}: cannot be reached: {reason}; its files are kept, so run the same "
            "command again"
        ) from None


def hide_credentials(text: str) -> str:
    """Return a URL without its user and password, safe to print and to store."""
    return re.sub(r"(?<=://)[^/@]*@", "", text)
