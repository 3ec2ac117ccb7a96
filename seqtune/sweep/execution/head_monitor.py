"""Checks whether the head node of a cluster still answers. Does not import Ray.

A call to Ray waits a minute for a head node that is gone, cannot be interrupted, and then ends the
process with a message of its own.
"""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ANSWER_SECONDS = 20.0
"""How long the head node may take to answer."""
WATCH_SECONDS = 2.0
PATIENCE_SECONDS = 10.0
"""How long the main thread may take to notice by itself that the head is gone."""
GONE = 2
"""The exit status then, the same as if the main thread had noticed."""


class HeadLostError(BaseException):
    """The cluster's head node is gone, and the cluster with it.

    Not an `Exception`: Tune would catch it and clean up, which waits for the head.
    """


class Head:
    """A head node at an address."""

    def __init__(self, address: str) -> None:
        """Store the address.

        Args:
            address: HOST:PORT.
        """
        self._address = address

    def check(self) -> None:
        """Connect to it once.

        Raises:
            HeadLostError: if it does not answer.
        """
        host, _, port = self._address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
        except OSError as error:
            raise HeadLostError(
                f"the head of the Ray cluster at {self._address} is gone ({error}); once there is "
                "one again, the same command resumes the sweep"
            ) from None

    @contextmanager
    def watch(self, last_words: Callable[[str], None]) -> Iterator[None]:
        """End this process if the head is gone and the block hangs in a call to Ray.

        Everything that matters is on disk by then, as when the process is killed.

        Args:
            last_words: called with the reason before that, in another thread.
        """
        left = threading.Event()

        def poll() -> None:
            while not left.wait(WATCH_SECONDS):
                if self._reason() is None or left.wait(PATIENCE_SECONDS):
                    continue
                reason = self._reason()
                if reason is not None:
                    last_words(reason)
                    os._exit(GONE)

        threading.Thread(target=poll, name="watches the head", daemon=True).start()
        try:
            yield
        finally:
            left.set()

    def _reason(self) -> str | None:
        try:
            self.check()
        except HeadLostError as lost:
            return str(lost)
        return None
