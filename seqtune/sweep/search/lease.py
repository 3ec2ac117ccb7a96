"""Who drives the sweep of a URL, where no lock of the file system tells.

The driver writes its name and a count into a file, and counts on. Who finds such a file waits whether it
counts on, so that no clocks are compared: if so the sweep is being driven, if not its driver is dead. A driver
on the same machine that is no process any more need not be waited for.
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
"""How long a driver may not be heard of before another takes its place."""


class Lease:
    """The right to drive the sweep of one place, for as long as its file is ours."""

    def __init__(self, root: Path) -> None:
        """Takes the lease.

        Raises:
            FileError: if another driver has it, or the place cannot be written to.
        """
        self._file = root / ".owner"
        self._root = root
        self._token = secrets.token_hex(8)
        self._wrong: FileError | None = None
        self._over = threading.Event()
        self._wait_for_other()
        self._write(0)
        # Of two that came at once the later one has overwritten the earlier one's name.
        time.sleep(BEAT_SECONDS / 4)
        self.check_now()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises what the last beat found: FileError if the lease is lost. Costs nothing."""
        if self._wrong is not None:
            raise self._wrong

    def check_now(self) -> None:
        """Asks the store whether the lease is still ours.

        Raises:
            FileError: if it is not.
        """
        found = self._read()
        if found is None or found["token"] != self._token:
            by = _name(found) if found is not None else "somebody who took its file away"
            raise FileError(
                f"{self._root}: is driven by {by} now; to go on here, wait for that and give the same command"
            )

    def give_up(self) -> None:
        """Lets the next driver in, unless it is in already."""
        self._over.set()
        self._thread.join()
        if self._wrong is None:
            self._file.unlink(missing_ok=True)

    def _beat(self) -> None:
        """Counts on; what ends it the driver learns at its next `check`."""
        count, heard = 0, time.monotonic()
        while not self._over.wait(BEAT_SECONDS):
            count += 1
            try:
                self.check_now()
                self._write(count)
                heard = time.monotonic()
            except FileError as error:
                self._wrong = error
                return
            except Exception as error:  # whatever the store's client raises
                # Tried again, but not for so long that another could think us dead.
                if time.monotonic() - heard > SILENT_SECONDS / 2:
                    self._wrong = FileError(
                        f"{self._root}: cannot be reached: {error}; the same command goes on"
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
                    f"{self._root}: a sweep is still running here ({_name(now)}); wait for it, or give another --out"
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
    """Drives the sweep of a URL for as long as the context lasts.

    Raises:
        FileError: as `Lease`.
    """
    lease = Lease(root)
    try:
        yield lease
    finally:
        lease.give_up()


def _name(found: dict[str, Any]) -> str:
    return f"process {found['process']} on {found['machine']}"


def _is_dead(found: dict[str, Any]) -> bool:
    """Whether a driver was a process of this machine, and is none any more."""
    if found["machine"] != socket.gethostname():
        return False
    try:
        os.kill(found["process"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it lives, and is somebody else's
    return False
