"""Where what is slow to compute is kept: `$XDG_CACHE_HOME/seqtune`, or else `~/.cache/seqtune`.

The name of a file says all that its content depends on, so it is never out of date, and processes that
write the same one at once write the same. It takes its place whole, by a rename.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def folder() -> Path:
    """The folder; it need not exist."""
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification has relative paths ignored.
    return (home if home.is_absolute() else Path.home() / ".cache") / "seqtune"


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that becomes `path` when the block ends, and vanishes if that fails.

    Raises:
        OSError: if it cannot be written.
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
