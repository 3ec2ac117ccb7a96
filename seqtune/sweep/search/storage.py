"""Where Optuna's studies are kept: a file beside the runs, or a server that sweeps share."""

import os
import socket
import time
import traceback
import warnings
import weakref
from pathlib import Path
from typing import Any, NoReturn, assert_never

from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from seqtune.config.yaml_file import FileError
from seqtune.sweep.planning.storage_url import TAKEN_OUT, StoragePlace, StorageSpec, place_of
from seqtune.sweep.search.decisions import whole_lines

CONNECT_SECONDS = 10
ATTEMPTS = 3
INSTEAD = "; start it, or leave search.storage out: a file beside the runs keeps the studies then"
"""What helps where a server does not answer as it must."""


def open_storage(storage: StorageSpec, *, root: Path) -> BaseStorage:
    """The storage that a sweep file names.

    Args:
        storage: the file's `search.storage`.
        root: the sweep's directory, where the files are. The caller holds its lock.

    Raises:
        FileError: if it cannot be reached or used; the line shows no password.
    """
    place = place_of(storage)
    match place.kind:
        case "journal":
            return journal(root / "studies.journal")
        case "sqlite":
            path = root / "studies.sqlite"
            url = URL.create("sqlite", database=str(path)).render_as_string()
            # To open a file costs nothing, and none that turns out to be no database stays open.
            return _database(url, place=place, shown=str(path), poolclass=NullPool)
        case "postgresql":
            # A connection that was idle for long may be gone; one is enough for the driver.
            return _database(
                place.url,
                place=place,
                shown=place.shown,
                pool_pre_ping=True,
                pool_size=1,
                connect_args={"connect_timeout": CONNECT_SECONDS},
            )
        case "grpc":
            return _proxy(place)
        case _:
            assert_never(place.kind)


def check_server(storage: StorageSpec) -> None:
    """Looks whether the server is there that is to keep the studies, if one is; touches no directory.

    Raises:
        FileError: as `open_storage`.
    """
    if place_of(storage).shared:
        open_storage(storage, root=Path())


def lost(storage: StorageSpec, *, error: Exception) -> FileError | None:
    """What to say of a sweep that an exception ended, if the server that keeps its studies was why."""
    place = place_of(storage)
    if not place.shared:
        return None
    goes_on = "what was measured is kept, and the same command goes on"
    try:
        check_server(storage)
    except FileError as gone:
        return FileError(f"{gone}; {goes_on}")
    # Ray hands an exception on as its text.
    text = "".join(traceback.format_exception(error))
    if any(name in text for name in (StorageInternalError.__name__, "sqlalchemy.exc.", "RpcError")):
        return FileError(f"search.storage: {place.shown}: was gone for a moment; {goes_on}")
    return None


def forget(storage: StorageSpec, *, name: str) -> None:
    """Deletes a sweep's studies from a server; their names begin with the one that is given."""
    kept = open_storage(storage, root=Path())
    for study in kept.get_all_studies():
        if study.study_name.startswith(f"{name}/"):
            kept.delete_study(study._study_id)


def journal(path: Path) -> BaseStorage:
    """The journal file, freed of what a killed driver may have left: its lock, and half a line.

    The caller holds the sweep's lock, so no other driver is alive.
    """
    for leftover in path.parent.glob(path.name + ".lock*"):
        leftover.unlink()
    whole_lines(path)
    return JournalStorage(JournalFileBackend(str(path)))


def _database(url: str, *, place: StoragePlace, shown: str, **settings: Any) -> BaseStorage:
    try:
        storage = _with_tables(url, settings=settings)
    except ImportError:
        _refuse_without(place)
    except (SQLAlchemyError, StorageInternalError) as error:
        hint = INSTEAD if place.shared else ""
        raise FileError(f"search.storage: {shown}: {_reason(error, place=place)}{hint}") from None
    except RuntimeError as error:
        # Tables of another version of Optuna; its own sentence says what to do.
        raise FileError(f"search.storage: {shown}: {error}") from None
    engine = storage.engine
    weakref.finalize(storage, engine.dispose)
    # A child that is forked must not talk through its parent's connections.
    os.register_at_fork(after_in_child=lambda: engine.dispose(close=False))
    return storage


def _with_tables(url: str, *, settings: dict[str, Any]) -> RDBStorage:
    """Makes Optuna's tables where they are missing."""
    # Optuna formats the URL, so braces in it are doubled.
    doubled = url.replace("{", "{{").replace("}", "}}")
    for _ in range(ATTEMPTS - 1):
        try:
            return RDBStorage(doubled, engine_kwargs=settings)
        except (IntegrityError, ProgrammingError):
            # Another sweep may be making them at this moment; Optuna does not wait for it.
            time.sleep(1)
    return RDBStorage(doubled, engine_kwargs=settings)


def _proxy(place: StoragePlace) -> BaseStorage:
    host, _, port = place.url.removeprefix("grpc://").rpartition(":")
    try:
        import grpc

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            storage = GrpcStorageProxy(host=host, port=int(port))
    except ImportError:
        _refuse_without(place)
    where = f"search.storage: {place.shown}"
    try:
        # gRPC itself keeps trying where nobody listens.
        address = host.strip("[]"), int(port)
        socket.create_connection(address, timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise FileError(f"{where}: nobody listens there: {error}{INSTEAD}") from None
    try:
        storage.wait_server_ready(timeout=CONNECT_SECONDS)
        storage.get_study_id_from_name("")  # whether it is Optuna's, and its own storage there
    except KeyError:
        return storage
    except ConnectionError:
        raise FileError(f"{where}: no gRPC server answers there{INSTEAD}") from None
    except grpc.RpcError as error:
        said = " ".join(str(error).split())
        raise FileError(f"{where}: is no usable storage of Optuna's: {said}{INSTEAD}") from None
    return storage


def _refuse_without(place: StoragePlace) -> NoReturn:
    raise FileError(
        f"search.storage: {place.shown}: its driver is not installed; "
        f"write: pip install 'seqtune[{place.kind}]'"
    ) from None


def _reason(error: Exception, *, place: StoragePlace) -> str:
    """The first line of what the database said, without the password."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    said = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
    return said.replace(place.password, TAKEN_OUT) if place.password else said
