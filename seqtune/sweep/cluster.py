"""The Ray cluster: how to reach it, how to keep it quiet, and what it can hold.

Ray reads its settings from the environment when it is imported, so it is imported here, after they are
set, and `engine` takes it from here.
"""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

QUIET = {
    # Ray's own tables, result files, hints and usage reports: ours are the run directories.
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # A run that fails at once reports nothing; that must not end the sweep.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # Slow clean-up of a stopped run must not hang the worker that is used again.
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    # A worker that Ray's memory monitor ends takes the whole sweep with it; one that the system ends
    # is started again.
    "RAY_memory_monitor_refresh_ms": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
os.environ.update(QUIET)

import ray  # noqa: E402

from seqtune.sweep.spec import Resources  # noqa: E402

CONNECT_SECONDS = 10.0


class ClusterError(ValueError):
    """The cluster cannot be reached, or cannot hold a single run."""


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """A connection to a Ray cluster, left as it was found.

    Args:
        address: of a running cluster; None for `RAY_ADDRESS`, or else a local one of our own.

    Raises:
        ClusterError: if there is no cluster at the address.
    """
    if ray.is_initialized():
        yield
        return
    chosen = address or os.environ.get("RAY_ADDRESS") or "local"
    _check_reachable(chosen)
    try:
        ray.init(
            address=chosen,
            include_dashboard=False if chosen == "local" else None,
            # The workers of a local cluster inherit our environment; those of another do not.
            runtime_env=None if chosen == "local" else {"env_vars": QUIET},
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ClusterError(f"no Ray cluster at {chosen}: {reason}") from None
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself tries for minutes, and says nothing that helps.

    Raises:
        ClusterError: if the address is none, or nobody listens there.
    """
    if address in ("local", "auto"):
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        raise ClusterError(f"no Ray cluster at {address}: write auto, HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise ClusterError(f"no Ray cluster at {address}: {error}") from None


def count_slots(resources: Resources) -> int:
    """How many runs the cluster holds at once.

    Raises:
        ClusterError: if no node holds even one.
    """
    slots = 0
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        has = node["Resources"]
        fits = int(has.get("CPU", 0) / resources.cpu + 1e-9)
        if resources.gpu:
            fits = min(fits, int(has.get("GPU", 0) / resources.gpu + 1e-9))
        slots += fits
    if slots == 0:
        most = {
            name: max((node["Resources"].get(name, 0) for node in ray.nodes()), default=0)
            for name in ("CPU", "GPU")
        }
        raise ClusterError(
            f"resources: no node can hold a run of (cpu={resources.cpu}, gpu={resources.gpu}); "
            f"the largest has (cpu={most['CPU']}, gpu={most['GPU']})"
        )
    return slots
