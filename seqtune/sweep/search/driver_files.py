"""Where a driver writes the files that it appends to: studies and decisions.

That is the sweep's own directory, or, where the results are a URL, a copy on this machine that is put back
before every run that begins. What a killed driver had not put back yet is found again as after any kill:
the run directories know how their runs ended.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqtune.runs.replay import DECISIONS
from seqtune.storage.mirror import Mirror, open_mirror
from seqtune.sweep.planning.storage_url import FILES
from seqtune.sweep.search.lease import Lease


class DriverFiles:
    """A driver's own files.

    Attributes:
        path: the directory of this machine where they are.
    """

    def __init__(self, copy: Mirror, *, lease: Lease | None) -> None:
        self._copy = copy
        self._lease = lease
        self.path = copy.local

    def put_back(self) -> None:
        """Makes the place hold what the files hold now.

        Raises:
            FileError: if another driver has taken the sweep over.
        """
        if self._lease is not None:
            self._lease.check()
            self._copy.put_back()


@contextmanager
def open_driver_files(root: Path, *, lease: Lease | None = None) -> Iterator[DriverFiles]:
    """A desk for the driver of a sweep; put back once more at the end, however it ends.

    Args:
        root: the sweep's directory.
        lease: the right to it, where it is a URL's.
    """
    with open_mirror(root, only=(*FILES, DECISIONS)) as copy:
        at = DriverFiles(copy, lease=lease)
        try:
            yield at
        finally:
            at.put_back()
