"""Heartbeat lease for sweeps on object stores, where file locks do not work.

The driver writes its name and a counter into a file and keeps incrementing the counter. A second
driver that finds such a file waits: if the counter changes, the sweep is being driven; if not, its
driver is dead. So no clocks are compared. If the file names a process of this machine that no
longer exists, there is no need to wait.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seqtune.config.yaml_file import FileError

BEAT_SECONDS = 4.0
SILENT_SECONDS = 20.0
"""After so long without a heartbeat another driver takes over."""


class Lease:
    """The right to drive the sweep in one directory, as long as its file is ours."""

    def __init__(self, root: Path) -> None:
        """Acquire the lease.

        Raises:
            FileError: if another driver has it, or the directory cannot be written to.
        """
        self._file = root / ".owner"
        self._root = root
        self._token = secrets.token_hex(8)
        self._wrong: FileError | None = None
        self._over = threading.Event()
        self._wait_for_other()
        self._write(0)
        # If two drivers came at once, the later one has overwritten the name of the earlier one.
        time.sleep(BEAT_SECONDS / 4)
        self.check_now()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise FileError if the last heartbeat found the lease lost. Costs nothing."""
        if self._wrong is not None:
            raise self._wrong

    def check_now(self) -> None:
        """Ask the store whether the lease is still ours.

        Raises:
            FileError: if it is not.
        """
        found = self._read()
        if found is None or found["token"] != self._token:
            by = _name(found) if found is not None else "another process, which removed its file"
            raise FileError(
                f"{self._root}: is now driven by {by}; wait for that driver, then run the "
                "same command again"
            )

    def release(self) -> None:
        """Release the lease, unless it is lost already."""
        self._over.set()
        self._thread.join()
        if self._wrong is None:
            self._file.unlink(missing_ok=True)

    def _beat(self) -> None:
        """Increment the counter; an error is raised by the next `check`."""
        count, last = 0, time.monotonic()
        while not self._over.wait(BEAT_SECONDS):
            count += 1
            try:
                self.check_now()
                self._write(count)
                last = time.monotonic()
            except FileError as error:
                self._wrong = error
                return
            except Exception as error:  # whatever the store's client raises
                # Retry, but not until another driver could take us for dead.
                if time.monotonic() - last > SILENT_SECONDS / 2:
                    self._wrong = FileError(
                        f"{self._root}: cannot be reached: {error}; the same command resumes "
                        "the sweep"
                    )
                    return

    def _wait_for_other(self) -> None:
        found = self._read()
        if found is None or _is_dead(found):
            return
        deadline = time.monotonic() + SILENT_SECONDS
        while time.monotonic() < deadline:
            time.sleep(BEAT_SECONDS / 4)
            now = self._read()
            if now is None:
                return
            if now != found:
                raise FileError(
                    f"{self._root}: a sweep is still running in it ({_name(now)}); wait for "
                    "it, or give another --out"
                )

    def _read(self) -> dict[str, Any] | None:
        try:
            return json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def _write(self, count: int) -> None:
        about = {
            "process": os.getpid(),
            "machine": socket.gethostname(),
            "token": self._token,
            "count": count,
        }
        self._file.write_text(json.dumps(about) + "\n", encoding="utf-8")


@contextmanager
def leased(root: Path) -> Iterator[Lease]:
    """Hold the lease of a directory for the length of a block.

    Raises:
        FileError: as `Lease`.
    """
    lease = Lease(root)
    try:
        yield lease
    finally:
        lease.release()


def _name(found: dict[str, Any]) -> str:
    return f"process {found['process']} on {found['machine']}"


def _is_dead(found: dict[str, Any]) -> bool:
    """Return whether a driver was a process of this machine that no longer exists."""
    if found["machine"] != socket.gethostname():
        return False
    try:
        os.kill(found["process"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it exists, and belongs to another user
    return False
