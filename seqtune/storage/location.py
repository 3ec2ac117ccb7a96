"""Where results are: a directory of this machine or of all, or a URL of an object store.

Whatever fsspec can open is a place (`s3://`, `gs://`, `az://`, ...), through universal-pathlib. A store is
taken to replace a file as a whole, as object stores do: a reader finds the old one or the new one.
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

PACKAGES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
"""What of seqtune's extras opens which URLs."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def parse_location(text: str) -> Path:
    """The place that a person means: an absolute path, or a URL's.

    A URL's is no `pathlib.Path`, but has the methods of one that we call; what is only there for files of
    this machine (`replace`, locks, appending) is not called for it: see `is_remote`.

    Raises:
        FileError: if it is a URL that cannot be opened here, or one that holds a password.
    """
    found = _SCHEME.match(text)
    if found is None:
        return Path(text).absolute()
    scheme = found[1].lower()
    if scheme in ("file", "local"):
        return Path(text[found.end() :] or "/").absolute()
    shown = without_user(text)
    if shown != text:
        raise FileError(
            f"{shown}: a place holds no user and no password; the store's own settings do "
            "(for S3 the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws)"
        )
    try:
        # Other processes write there too, so nothing that was listed before may be believed.
        opened = UPath(text.rstrip("/"), use_listings_cache=False)
        _ = opened.fs  # made when it is first asked for: whether its client is installed shows here
    except ImportError:
        extra = PACKAGES.get(scheme)
        how = (
            f"pip install 'seqtune[{extra}]'" if extra else f"install fsspec's package for {scheme}"
        )
        raise FileError(f"{text}: what opens {scheme}:// is not installed: {how}") from None
    except ValueError as error:
        raise FileError(f"{text}: is no place: {error}; write a directory or s3://...") from None
    if not urlsplit(text).netloc:
        raise FileError(f"{text}: names no bucket; write {scheme}://BUCKET/FOLDER")
    return cast("Path", opened)


def is_remote(place: Path) -> bool:
    """Whether a place is a URL's, where a file is replaced whole or not at all."""
    return not isinstance(place, Path)


@contextmanager
def reached(place: Path) -> Iterator[None]:
    """Tells what a store's client raises in a line; everything else is raised as it is.

    Raises:
        FileError: if the store could not be reached, or refused.
    """
    try:
        yield
    except FileError:
        raise
    except Exception as error:
        # Each store's client has errors of its own, and Ray may hand one on as its text: what tells them is
        # that they come out of fsspec.
        text = "".join(traceback.format_exception(error))
        if not is_remote(place) or f"{os.sep}fsspec{os.sep}" not in text:
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise FileError(
            f"{place}: cannot be reached: {reason}; what is there is kept, and the same command goes on"
        ) from None


def without_user(text: str) -> str:
    """A URL without user and password, to be shown and kept."""
    return re.sub(r"(?<=://)[^/@]*@", "", text)
