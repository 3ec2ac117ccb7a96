"""Optuna's dashboard on this machine, with the studies of a sweep, to be looked at.

Nothing can be changed there: the studies are the sweep's, which may be running.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from seqtune.config.errors import SpecError
from seqtune.config.yaml_file import FileError, read_yaml
from seqtune.storage.files import read_json
from seqtune.sweep.planning.spec import SweepSpec
from seqtune.sweep.planning.storage_url import StorageSpec, place_of
from seqtune.sweep.search.storage import open_storage

HOST = "127.0.0.1"
"""Who reaches it: the dashboard asks nobody who they are."""
READS = ("GET", "HEAD")


class Server(ThreadingMixIn, WSGIServer):
    """Answers requests beside one another; `url` says where."""

    daemon_threads = True

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.server_port}/"


def open_dashboard(root: Path, *, changes: Mapping[str, Any], port: int) -> Server:
    """A server that is bound, and answers once its `serve_forever` is called.

    Args:
        root: the sweep's directory.
        changes: what to replace in the sweep's file, such as `search.storage`, by dotted path.
        port: 0 for any that is free.

    Raises:
        FileError: if the dashboard is not installed, `root` is no sweep's, its studies cannot be had, or the
            port is taken.
    """
    try:
        from optuna_dashboard import wsgi
    except ImportError:
        raise FileError(
            "optuna-dashboard is not installed; write: pip install 'seqtune[dashboard]'"
        ) from None
    application = _read_only(wsgi(_studies(root, storage=_storage(root, changes=changes))))
    try:
        return make_server(HOST, port, application, server_class=Server, handler_class=_Silent)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"--port {port}: {reason}; write --port 0 for any that is free") from None


def _storage(root: Path, *, changes: Mapping[str, Any]) -> StorageSpec:
    """Where the sweep's last call kept the studies."""
    if not (root / "plan.json").exists() or not (root / "sweep.yaml").exists():
        raise FileError(f"{root}: is no sweep's directory; give one that `seqtune sweep` has made")
    settings = read_json(root / "plan.json").get("set", [])
    given = {path: json.loads(text) for path, _, text in (each.partition("=") for each in settings)}
    source = read_yaml(root / "sweep.yaml").override({**given, **changes})
    try:
        return SweepSpec.parse(source.data).storage
    except SpecError as error:
        raise source.error(error) from None


def _studies(root: Path, *, storage: StorageSpec) -> BaseStorage:
    place = place_of(storage)
    if place.shared:
        return open_storage(storage, root=root)
    path = root / ("studies.journal" if place.kind == "journal" else "studies.sqlite")
    if not path.exists():
        raise FileError(
            f"{path}: no such file: nothing was searched here yet; first: seqtune sweep"
        )
    if place.kind == "journal":
        # Not as the driver opens it, who holds the sweep's lock and clears away what a dead one left.
        return JournalStorage(JournalFileBackend(str(path)))
    return open_storage(storage, root=root)


def _read_only(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in READS:
            return application(environ, start)
        start("403 Forbidden", [("Content-Type", "application/json")])
        return [json.dumps({"reason": "the studies of a sweep are only looked at here"}).encode()]

    return answer


class _Silent(WSGIRequestHandler):
    """Writes no line a request."""

    def log_message(self, format: str, *args: Any) -> None:
        pass
