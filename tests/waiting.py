"""Waits for events. The only limit is one that a hang alone reaches, however busy the machine is."""

import socket
import subprocess
import time
from collections.abc import Callable

HANG_SECONDS = 900


def wait_until(
    condition: Callable[[], bool], *, process: subprocess.Popen[str] | None = None
) -> None:
    """Returns once the condition holds.

    Raises:
        AssertionError: with what the process wrote, if it ends before; or after `HANG_SECONDS`.
    """
    deadline = time.monotonic() + HANG_SECONDS
    while not condition():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"ended with status {process.returncode}: {process.communicate()}")
        if time.monotonic() > deadline:
            raise AssertionError(f"nothing happened in {HANG_SECONDS} s")
        time.sleep(0.05)


def listens(address: tuple[str, int]) -> bool:
    """Whether something accepts connections at HOST, PORT."""
    try:
        socket.create_connection(address, timeout=HANG_SECONDS).close()
    except OSError:
        return False
    return True
