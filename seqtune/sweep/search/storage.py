"""Optuna's storage: a file beside the runs, or a database server that sweeps share."""

import os
import time
import traceback
import weakref
from pathlib import Path
from typing import Any, assert_never

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from seqtune.config.yaml_file import FileError
from seqtune.sweep.planning.storage_url import MASK, StorageSpec, StorageURL, resolve_storage
from seqtune.sweep.search.decisions import drop_partial_line

CONNECT_SECONDS = 10
ATTEMPTS = 3
INSTEAD = "; start it, or leave search.storage out to keep the studies in a file beside the runs"
"""The remedy if a server does not answer."""


def open_storage(storage: StorageSpec, *, root: Path) -> BaseStorage:
    """Open the storage that a sweep file names.

    Args:
        storage: the file's `search.storage`.
        root: the sweep's directory, where the files are. The caller holds its lock.

    Raises:
        FileError: if it cannot be reached or used; the message shows no password.
    """
    location = resolve_storage(storage)
    match location.kind:
        case "journal":
            return journal(root / "studies.journal")
        case "sqlite":
            path = root / "studies.sqlite"
            url = URL.create("sqlite", database=str(path)).render_as_string()
            # Without a pool no connection stays open to a file that turns out not to be a database.
            return _database(url, location=location, shown=str(path), poolclass=NullPool)
        case "postgresql":
            # An idle connection may be closed by the server; the driver needs only one.
            return _database(
                location.url,
                location=location,
                shown=location.shown,
                pool_pre_ping=True,
                pool_size=1,
                connect_args={"connect_timeout": CONNECT_SECONDS},
            )
        case _:
            assert_never(location.kind)


def check_server(storage: StorageSpec) -> None:
    """Check that the server that is to keep the studies answers, if there is one.

    Raises:
        FileError: as `open_storage`.
    """
    if resolve_storage(storage).shared:
        open_storage(storage, root=Path())


def explain_lost_server(storage: StorageSpec, *, error: Exception) -> FileError | None:
    """Return a clear error for an exception that a lost database server caused, or None."""
    location = resolve_storage(storage)
    if not location.shared:
        return None
    goes_on = "what was measured is kept; the same command resumes the sweep"
    try:
        check_server(storage)
    except FileError as gone:
        return FileError(f"{gone}; {goes_on}")
    # Ray passes an exception on as text.
    text = "".join(traceback.format_exception(error))
    if any(name in text for name in (StorageInternalError.__name__, "sqlalchemy.exc.")):
        return FileError(
            f"search.storage: {location.shown}: did not answer for a moment; {goes_on}"
        )
    return None


def delete_studies(storage: StorageSpec, *, name: str) -> None:
    """Delete a sweep's studies from a server: those whose names begin with `name`."""
    kept = open_storage(storage, root=Path())
    for study in kept.get_all_studies():
        if study.study_name.startswith(f"{name}/"):
            kept.delete_study(study._study_id)


def journal(path: Path) -> BaseStorage:
    """Open the journal file; remove the lock and the half line that a killed driver may have left.

    The caller holds the sweep's lock, so no other driver is alive.
    """
    for leftover in path.parent.glob(path.name + ".lock*"):
        leftover.unlink()
    drop_partial_line(path)
    return JournalStorage(JournalFileBackend(str(path)))


def _database(url: str, *, location: StorageURL, shown: str, **settings: Any) -> BaseStorage:
    try:
        storage = _with_tables(url, settings=settings)
    except ImportError:
        raise FileError(
            f"search.storage: {location.shown}: its driver is not installed; "
            f"write: pip install 'seqtune[{location.kind}]'"
        ) from None
    except (SQLAlchemyError, StorageInternalError) as error:
        hint = INSTEAD if location.shared else ""
        raise FileError(
            f"search.storage: {shown}: {_reason(error, location=location)}{hint}"
        ) from None
    except RuntimeError as error:
        # Tables of another version of Optuna; the message says what to do.
        raise FileError(f"search.storage: {shown}: {error}") from None
    engine = storage.engine
    weakref.finalize(storage, engine.dispose)
    # A forked child must not use its parent's connections.
    os.register_at_fork(after_in_child=lambda: engine.dispose(close=False))
    return storage


def _with_tables(url: str, *, settings: dict[str, Any]) -> RDBStorage:
    """Create Optuna's tables if they are missing."""
    # Optuna formats the URL as a template, so braces in it are doubled.
    doubled = url.replace("{", "{{").replace("}", "}}")
    for _ in range(ATTEMPTS - 1):
        try:
            return RDBStorage(doubled, engine_kwargs=settings)
        except (IntegrityError, ProgrammingError):
            # Another sweep may be creating them right now; Optuna does not wait for it.
            time.sleep(1)
    return RDBStorage(doubled, engine_kwargs=settings)


def _reason(error: Exception, *, location: StorageURL) -> str:
    """The first line of the database's message, without the password."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    said = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
    return said.replace(location.password, MASK) if location.password else said
