"""The Ray cluster: connects to it or starts a private one, and lists its nodes.

Ray reads its settings from the environment when it is imported, so it is imported here, after they
are set; `engine` imports this module first.
"""

import logging
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from seqtune import provenance
from seqtune.sweep.execution.head_monitor import Head

TOKEN_FILE = Path.home() / ".ray" / "auth_token"
"""Where Ray looks for a cluster's token."""

QUIET = {
    # Ray's own tables, result files, hints and usage reports: ours are the run directories.
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # A run that fails at once reports nothing; that must not end the sweep.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # A stopped run that is slow to clean up must not hang the worker, which is reused.
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    # We limit the number of waiting trials ourselves: see `capacity`.
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",
    # A worker that Ray's memory monitor kills takes the whole Tune experiment with it; one that the
    # system kills does not. On other clusters the monitor may be on; `engine` then starts another
    # experiment.
    "RAY_memory_monitor_refresh_ms": "0",
    # Tune asks the head every 10 s for the cluster's resources, which we do not use. If the head is
    # gone, that call would hang for a minute.
    "TUNE_STATE_REFRESH_PERIOD": "1e9",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
os.environ.update(QUIET)
# Ray's default, 15, leaves a run almost nothing of a core that another process uses too.
os.environ.setdefault("RAY_worker_niceness", "0")


def _has_token() -> bool:
    """Return whether there is a token to send."""
    return (
        bool(os.environ.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}) or TOKEN_FILE.exists()
    )


if "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules and _has_token():
    # Ray sends an existing token to some clusters and not to others; an unneeded one does no harm.
    os.environ["RAY_AUTH_MODE"] = "token"

import ray  # noqa: E402
from ray._private import ray_constants, services  # noqa: E402
from ray.exceptions import AuthenticationError  # noqa: E402

CONNECT_SECONDS = 10.0
ELSEWHERE = (
    "write another --address (or RAY_ADDRESS), or none for a cluster of its own on this machine"
)
_OWN_TOKEN = secrets.token_hex(32)
"""Token of this process's own clusters if the user has none: Ray reads a token once per process."""


LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")
"""Hosts that Ray replaces by this machine's network address."""


class ClusterError(ValueError):
    """The cluster cannot be reached."""


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Connect to a Ray cluster for the length of a block.

    Args:
        address: of a running cluster; None for `RAY_ADDRESS`, or else a private local one.

    Raises:
        ClusterError: if there is no cluster at the address, or it refuses the connection.
    """
    if ray.is_initialized():
        yield
        return
    chosen = address or os.environ.get("RAY_ADDRESS") or "local"
    place = _find() if chosen == "auto" else chosen
    check_reachable(place)
    with ExitStack() as stack:
        if chosen == "local":
            stack.enter_context(_private())
        elif _is_on_loopback(place):
            stack.enter_context(on_loopback())
        try:
            ray.init(
                address=chosen,
                include_dashboard=False if chosen == "local" else None,
                # Workers of a local cluster inherit our environment; those of another do not.
                runtime_env=None if chosen == "local" else environment(),
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, ValueError, AuthenticationError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise ClusterError(
                f"no Ray cluster at {chosen}: {reason}; if it asks for a token, put that into "
                f"RAY_AUTH_TOKEN or {TOKEN_FILE} and set RAY_AUTH_MODE=token"
            ) from None
        stack.callback(ray.shutdown)
        yield


def head() -> Head:
    """Return the head node of the connected cluster."""
    return Head(ray.get_runtime_context().gcs_address)


def nodes() -> Sequence[Mapping[str, float]]:
    """Return the resources of each node of the cluster, by Ray's names.

    Raises:
        HeadLostError: if the head node does not answer.
    """
    head().check()
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def environment() -> dict[str, Any]:
    """Return the environment of workers on a shared cluster: this package and its settings."""
    package = Path(provenance.__file__).parent
    return {"env_vars": {**QUIET, **provenance.source_environment()}, "py_modules": [str(package)]}


@contextmanager
def on_loopback() -> Iterator[None]:
    """Let Ray use loopback as this machine's address, to start a cluster or to find it.

    Ray has this switch for systems where a cluster has one machine. It reads it when it is
    imported, and the processes that it starts read the environment.
    """
    name = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    several = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        with _set({name: "0"}):
            yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = several


@contextmanager
def _private() -> Iterator[None]:
    """Let a local cluster listen on loopback only, and require its token.

    Without a token in the environment this process has its own: Ray would write one into the home
    directory, and from then on every `ray start` of this user would require it.
    """
    needs_token = os.environ.get("RAY_AUTH_MODE") != "disabled" and not _has_token()
    own = {"RAY_AUTH_TOKEN": _OWN_TOKEN} if needs_token else {}
    with on_loopback(), _set(own, kept=("RAY_AUTH_MODE",)):
        yield


@contextmanager
def _set(variables: Mapping[str, str], *, kept: Sequence[str] = ()) -> Iterator[None]:
    """Set environment variables for a block; restore them and those in `kept` afterwards."""
    before = {name: os.environ.get(name) for name in (*variables, *kept)}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _find() -> str:
    """Return the address that Ray finds for `auto`.

    Raises:
        ClusterError: if there is none.
    """
    try:
        return str(services.get_ray_address_from_environment("auto", None))
    except ConnectionError:
        raise ClusterError(
            "no Ray cluster at auto: none is running on this machine; write HOST:PORT, or "
            "first: ray start --head"
        ) from None


def check_reachable(address: str) -> None:
    """Check that a Ray cluster listens at an address: Ray itself would retry for minutes.

    Raises:
        ClusterError: if the address is malformed, nothing listens there, or not Ray.
    """
    if address == "local":
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        raise ClusterError(
            f"no Ray cluster at {address}: write auto, HOST:PORT, or ray://HOST:PORT from "
            "outside of it"
        )
    try:
        with socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS) as connection:
            speaks = os.environ.get("RAY_USE_TLS") == "1" or _speaks_http2(connection)
    except OSError as error:
        raise ClusterError(f"no Ray cluster at {address}: {error}; {ELSEWHERE}") from None
    if not speaks:
        raise ClusterError(
            f"no Ray cluster at {address}: something else listens there; {ELSEWHERE}"
        )


def _speaks_http2(connection: socket.socket) -> bool:
    """Return whether a server answers an HTTP/2 preface (RFC 9113, 3.4), as gRPC servers do.

    Raises:
        OSError: if it does not answer in time.
    """
    settings = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # an empty SETTINGS frame
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
    header = b""
    while len(header) < 4 and (more := connection.recv(4 - len(header))):
        header += more
    return header[3:4] == settings[3:4]


def _is_on_loopback(address: str) -> bool:
    """Return whether a cluster listens on loopback and not on the machine's network address.

    Ray replaces 127.0.0.1 by the network address, and would retry there for minutes.
    """
    host, _, port = address.rpartition(":")
    if host not in LOOPBACK:
        return False
    try:
        socket.create_connection((ray.util.get_node_ip_address(), int(port)), timeout=1).close()
    except OSError:
        return True
    return False
