"""The Ray cluster: how to reach it, how to keep it quiet and to ourselves, and what its nodes have.

Ray reads its settings from the environment when it is imported, so it is imported here, after they are
set, and `engine` takes it from here.
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
    # Slow clean-up of a stopped run must not hang the worker that is used again.
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    # As many runs may wait for their workers as we begin: we count the places ourselves.
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",
    # A worker that Ray's memory monitor ends takes the whole Tune experiment with it; one that the system
    # ends does not. Elsewhere the cluster decides, and the engine begins another experiment.
    "RAY_memory_monitor_refresh_ms": "0",
    # Tune asks the head every 10 s what the cluster has, for advice that is never given. Where the head is gone,
    # it would wait there for a minute.
    "TUNE_STATE_REFRESH_PERIOD": "1e9",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
os.environ.update(QUIET)
# Ray's own default, 15, leaves a run next to nothing of a core that something else uses as well.
os.environ.setdefault("RAY_worker_niceness", "0")


def _has_token() -> bool:
    """Whether there is a token to send."""
    return (
        bool(os.environ.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}) or TOKEN_FILE.exists()
    )


if "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules and _has_token():
    # Ray itself sends a token that is there to some clusters and not to others; none minds one too many.
    os.environ["RAY_AUTH_MODE"] = "token"

import ray  # noqa: E402
from ray._private import ray_constants, services  # noqa: E402
from ray.exceptions import AuthenticationError  # noqa: E402

CONNECT_SECONDS = 10.0
ELSEWHERE = (
    "write another --address (or RAY_ADDRESS), or none for a cluster of its own on this machine"
)
_OWN_TOKEN = secrets.token_hex(32)
"""That of this process's own clusters, where the person has none: Ray reads a token once a process."""


LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")
"""What Ray takes for this machine's address in the network."""


class ClusterError(ValueError):
    """The cluster cannot be reached."""


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """A connection to a Ray cluster, left as it was found.

    Args:
        address: of a running cluster; None for `RAY_ADDRESS`, or else a local one of our own.

    Raises:
        ClusterError: if there is no cluster at the address, or it does not let us in.
    """
    if ray.is_initialized():
        yield
        return
    chosen = address or os.environ.get("RAY_ADDRESS") or "local"
    place = _found() if chosen == "auto" else chosen
    check_reachable(place)
    with ExitStack() as stack:
        if chosen == "local":
            stack.enter_context(_to_ourselves())
        elif _is_on_loopback(place):
            stack.enter_context(on_loopback())
        try:
            ray.init(
                address=chosen,
                include_dashboard=False if chosen == "local" else None,
                # The workers of a local cluster inherit our environment; those of another do not.
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
    """That of the cluster that this process is connected to."""
    return Head(ray.get_runtime_context().gcs_address)


def nodes() -> Sequence[Mapping[str, float]]:
    """What each node of the cluster has, by Ray's names.

    Raises:
        HeadLostError: if the head node does not answer.
    """
    head().check()
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def environment() -> dict[str, Any]:
    """What workers of a cluster that is not our own are given: this very package, and its settings."""
    package = Path(provenance.__file__).parent
    return {"env_vars": {**QUIET, **provenance.source_environment()}, "py_modules": [str(package)]}


@contextmanager
def on_loopback() -> Iterator[None]:
    """Settings under which Ray takes loopback for this machine's address: to begin a cluster, or to find it.

    They are what makes Ray use loopback on systems where a cluster has one machine. Ray reads them when it
    is imported, and the processes that it starts read the environment.
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
def _to_ourselves() -> Iterator[None]:
    """Settings under which a local cluster listens on loopback alone, and to those alone who have its token.

    Where there is no token yet, it is this process's own: Ray would write one into the home directory,
    and from then on every `ray start` of this person would ask for it.
    """
    needs_token = os.environ.get("RAY_AUTH_MODE") != "disabled" and not _has_token()
    own = {"RAY_AUTH_TOKEN": _OWN_TOKEN} if needs_token else {}
    with on_loopback(), _set(own, kept=("RAY_AUTH_MODE",)):
        yield


@contextmanager
def _set(variables: Mapping[str, str], *, kept: Sequence[str] = ()) -> Iterator[None]:
    """Environment variables for a while; they and those in `kept` are afterwards as they were."""
    before = {name: os.environ.get(name) for name in (*variables, *kept)}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _found() -> str:
    """The address that Ray finds for `auto`.

    Raises:
        ClusterError: if there is none.
    """
    try:
        return str(services.get_ray_address_from_environment("auto", None))
    except ConnectionError:
        raise ClusterError(
            "no Ray cluster at auto: none is running on this machine; write HOST:PORT, or first: ray start --head"
        ) from None


def check_reachable(address: str) -> None:
    """Ray itself tries for minutes, and says nothing that helps.

    Raises:
        ClusterError: if the address is none, nobody listens there, or what listens is no Ray.
    """
    if address == "local":
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        raise ClusterError(
            f"no Ray cluster at {address}: write auto, HOST:PORT, or ray://HOST:PORT from outside of it"
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
    """Whether the other side answers a greeting of HTTP/2 (RFC 9113, 3.4) with one, as every gRPC server does.

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
    """Whether a cluster at a loopback address of this machine is not at its address in the network as well.

    Ray takes 127.0.0.1 for the latter, and there it would try for minutes to reach a cluster of loopback.
    """
    host, _, port = address.rpartition(":")
    if host not in LOOPBACK:
        return False
    try:
        socket.create_connection((ray.util.get_node_ip_address(), int(port)), timeout=1).close()
    except OSError:
        return True
    return False
