"""Sweeps on a cluster at `ray://...`: the driver runs in the cluster, this process waits.

A Ray client is not part of the cluster, but the driver places runs and reads their directories. So
the driver is sent there together with this package, and its output comes back as lines. The results
must be where the cluster can write: a URL, or a directory that both sides mount.
"""

import logging
import os
import signal
from collections.abc import Callable
from typing import Any

# First, since it sets the environment that Ray reads when it is imported.
from seqtune.sweep.execution.cluster import ClusterError, check_reachable, environment  # isort: skip

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

TRIES = 3
"""Attempts to connect: Ray's proxy forks a process for each client while other threads are in gRPC,
and that process may die at once (ray-project/ray#63202: 5 of 24 did on a busy machine, Ray
2.60)."""


def run_remote(
    drive: Callable[..., Any], *, address: str, notify: Callable[[str], None], **arguments: Any
) -> Any:
    """Call a driver in the cluster and return its result; Ctrl-C is passed on to it.

    Args:
        drive: runs in the cluster, with `arguments`.
        address: `ray://HOST:PORT`.
        notify: takes a line to show.
        arguments: plain data.

    Raises:
        ClusterError: if there is no cluster at the address, or it is lost.
        Exception: what the driver raises.
    """
    _connect(address, notify=notify)
    try:
        # It mostly waits for workers, so it does not reserve a core.
        driver: Any = (
            ray.remote(num_cpus=0, max_restarts=0)(_Driver).options(name="seqtune").remote()
        )
        node, process = ray.get(driver.where.remote())
        beside = NodeAffinitySchedulingStrategy(node, soft=False)
        # Started now: starting a process takes seconds, too long for a response to Ctrl-C.
        signaller: Any = (
            ray.remote(num_cpus=0)(_Signaller).options(scheduling_strategy=beside).remote(process)
        )
        return _result(driver.drive.remote(drive, **arguments), signaller=signaller)
    except ConnectionError as error:
        raise ClusterError(
            f"the Ray cluster at {address} is gone: {error}; what was measured is kept; the same "
            "command resumes the sweep"
        ) from None
    finally:
        ray.shutdown()


def _connect(address: str, *, notify: Callable[[str], None]) -> None:
    check_reachable(address)
    for attempt in range(1, TRIES + 1):
        try:
            ray.init(
                address, runtime_env=environment(), log_to_driver=True, logging_level=logging.ERROR
            )
            return
        except ConnectionAbortedError as error:
            # The message is the log of the process in the cluster; its last line is the reason.
            reason = str(error).strip().splitlines()[-1].rstrip(".")
            if attempt == TRIES:
                raise ClusterError(f"no Ray cluster at {address}: {reason}") from None
            notify(
                f"note: {address} refused the connection ({reason}); attempt {attempt + 1} "
                f"of {TRIES}"
            )
        except (ConnectionError, ValueError, RayError) as error:
            reason = str(error).strip().splitlines()[0].rstrip(".")
            raise ClusterError(f"no Ray cluster at {address}: {reason}") from None


class _Driver:
    """An actor in the cluster that runs the driver in its main thread."""

    def where(self) -> tuple[str, int]:
        """Return its node and its process id."""
        return ray.get_runtime_context().get_node_id(), os.getpid()

    def drive(self, drive: Callable[..., Any], **arguments: Any) -> Any:
        # Ray starts its workers with SIGINT blocked.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return drive(**arguments)


class _Signaller:
    """An actor on the driver's node that signals it: the driver's actor is busy."""

    def __init__(self, process: int) -> None:
        self._process = process

    def interrupt(self) -> None:
        os.kill(self._process, signal.SIGINT)


def _result(driving: Any, *, signaller: Any) -> Any:
    try:
        try:
            return ray.get(driving)
        except KeyboardInterrupt:
            # Cancelling the call would lose its result; after a signal the driver ends in order.
            ray.get(signaller.interrupt.remote())
            return ray.get(driving)
    except RayTaskError as error:
        if isinstance(error.cause, Exception):
            raise error.cause from None
        raise
