"""A sweep on a cluster that is reached by `ray://`: its driver is an actor there, and this process watches.

Such a process is no part of the cluster. What drives a sweep places runs and reads their directories, so it
is sent to the head's side, with this package; what it says comes back as lines. The results are where the
cluster can write: a URL, or a directory that both sides mount.
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
"""How often a cluster is asked in: its proxy forks a process for each client while other threads are in gRPC, and
that process may die before it begins (ray-project/ray#63202: 5 of 24 did on a busy machine, Ray 2.60)."""


def run_remote(
    drive: Callable[..., Any], *, address: str, tell: Callable[[str], None], **arguments: Any
) -> Any:
    """Calls a driver in the cluster and returns what it returns; Ctrl-C is passed on to it.

    Args:
        drive: takes the arguments, and runs in the cluster.
        address: `ray://HOST:PORT`.
        tell: takes a line for who waits.
        arguments: plain data.

    Raises:
        ClusterError: if there is no cluster at the address, or it is lost.
        Exception: what the driver raises.
    """
    _connect(address, tell=tell)
    try:
        # It waits for workers most of its time, and takes no core from them.
        driver: Any = (
            ray.remote(num_cpus=0, max_restarts=0)(_Driver).options(name="seqtune").remote()
        )
        node, process = ray.get(driver.where.remote())
        beside = NodeAffinitySchedulingStrategy(node, soft=False)
        # Begun now: a process more takes seconds, in which a person would wonder whether Ctrl-C was heard.
        signaller: Any = (
            ray.remote(num_cpus=0)(_Signaller).options(scheduling_strategy=beside).remote(process)
        )
        return _result(driver.drive.remote(drive, **arguments), signaller=signaller)
    except ConnectionError as error:
        raise ClusterError(
            f"the Ray cluster at {address} is gone: {error}; what was measured is kept, and the same "
            "command goes on"
        ) from None
    finally:
        ray.shutdown()


def _connect(address: str, *, tell: Callable[[str], None]) -> None:
    check_reachable(address)
    for attempt in range(1, TRIES + 1):
        try:
            ray.init(
                address, runtime_env=environment(), log_to_driver=True, logging_level=logging.ERROR
            )
            return
        except ConnectionAbortedError as error:
            # Told in the words of the cluster's process, at whose end is what it died of.
            reason = str(error).strip().splitlines()[-1].rstrip(".")
            if attempt == TRIES:
                raise ClusterError(f"no Ray cluster at {address}: {reason}") from None
            tell(f"note: {address} let nobody in ({reason}); attempt {attempt + 1} of {TRIES}")
        except (ConnectionError, ValueError, RayError) as error:
            reason = str(error).strip().splitlines()[0].rstrip(".")
            raise ClusterError(f"no Ray cluster at {address}: {reason}") from None


class _Driver:
    """A process of the cluster, whose main thread drives."""

    def where(self) -> tuple[str, int]:
        """Its node, and its number there."""
        return ray.get_runtime_context().get_node_id(), os.getpid()

    def drive(self, drive: Callable[..., Any], **arguments: Any) -> Any:
        # Ray begins its workers deaf to it.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return drive(**arguments)


class _Signaller:
    """A process beside the driver's: what drives in the main thread hears no other call."""

    def __init__(self, process: int) -> None:
        self._process = process

    def interrupt(self) -> None:
        os.kill(self._process, signal.SIGINT)


def _result(driving: Any, *, signaller: Any) -> Any:
    try:
        try:
            return ray.get(driving)
        except KeyboardInterrupt:
            # To cancel a call would take its answer away; as a signal of its own the driver ends in order.
            ray.get(signaller.interrupt.remote())
            return ray.get(driving)
    except RayTaskError as error:
        if isinstance(error.cause, Exception):
            raise error.cause from None
        raise
