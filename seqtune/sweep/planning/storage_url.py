"""Where a sweep's studies are kept, as its file says it: text alone, and what of that text may be shown.

Knows no Optuna, so that a wrong file is told at once. A URL may hold a password, so no message here shows
what was given unless it was understood.
"""

import os
import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from seqtune.config.errors import nearest
from seqtune.config.spec import Spec
from seqtune.config.yaml_file import FileError, Source, parse_yaml

Kind: TypeAlias = Literal["journal", "sqlite", "postgresql", "grpc"]
KINDS: tuple[Kind, ...] = ("journal", "sqlite", "postgresql", "grpc")
FILES = ("studies.journal", "studies.sqlite", "studies.sqlite-journal")
"""What a storage that is a file may leave in the sweep's directory."""
TAKEN_OUT = "***"
"""What stands for a password wherever one was."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}")
_PASSWORD = re.compile(r"(postgres\w*(?:\+\w+)?://[^\s:/@]*:)[^\s@]+(?=@)")
_PLACE = ("host", "port", "dbname")
"""What of a URL's query says where a database is; the rest may be secret."""


class FromEnvironment(Spec):
    """A text that stands in an environment variable, so that no file holds it."""

    env: str
    """Name of the variable."""


StorageSpec: TypeAlias = str | FromEnvironment


@dataclass(frozen=True)
class StoragePlace:
    """A place for studies.

    Attributes:
        url: as it was given.
        public: without user and password: what is written down, and tells two places apart.
        shown: with the user, and without the password: for messages.
        password: if the text holds one.
    """

    kind: Kind
    url: str = field(repr=False)
    public: str
    shown: str
    password: str | None = field(default=None, repr=False)

    @property
    def shared(self) -> bool:
        """Whether a server keeps the studies, and other sweeps' beside them."""
        return self.kind in ("postgresql", "grpc")


def place_of(storage: StorageSpec) -> StoragePlace:
    """The place that a sweep's `search.storage` means.

    Raises:
        FileError: if it is none, or its environment variable is not set.
    """
    if isinstance(storage, str):
        where, text = "search.storage", storage
    else:
        where = f"search.storage: the environment variable {storage.env}"
        text = os.environ.get(storage.env, "").strip()
        if not text:
            raise FileError(f"{where} is not set; it must hold the URL")
    try:
        place = parse_place(text)
    except ValueError as error:
        raise FileError(f"{where}: {error}") from None
    if place.password == TAKEN_OUT:
        raise FileError(
            f"{where}: its password was taken out of this copy of the file; write {{env: NAME}}"
        )
    return place


def parse_place(text: str) -> StoragePlace:
    """Reads `journal`, `sqlite` or a URL.

    Raises:
        ValueError: if it is none of them; the sentence shows no password.
    """
    match text:
        case "journal" | "sqlite":
            return StoragePlace(kind=text, url=text, public=text, shown=text)
    scheme, colon, rest = text.partition("://")
    match scheme:
        case "postgresql" | "postgresql+psycopg" if colon:
            return _postgresql(text)
        case "grpc" if colon:
            return _grpc(rest.removesuffix("/"))
        case _ if _SCHEME.fullmatch(scheme):
            raise ValueError(f"no such storage: {scheme}{colon}{nearest(scheme, KINDS)}")
        case _:
            raise ValueError("must be journal, sqlite, postgresql://... or grpc://HOST:PORT")


def holds_password(storage: StorageSpec) -> bool:
    """Whether the sweep file itself holds a password."""
    return isinstance(storage, str) and parse_place(storage).password is not None


def without_passwords(text: str) -> str:
    """A text with *** for the password of every URL of a PostgreSQL database in it."""
    return _PASSWORD.sub(rf"\1{TAKEN_OUT}", text)


def public_text(source: Source) -> str:
    """A sweep file's text, to be kept with the results: without passwords.

    Raises:
        FileError: if the storage's password is written in a way that hides it from `without_passwords`.
    """
    text = without_passwords(source.text)
    search = parse_yaml(text, name=source.name).data.get("search")
    storage = search.get("storage") if isinstance(search, dict) else None
    if isinstance(storage, str) and parse_place(storage).password not in (None, TAKEN_OUT):
        raise FileError(
            f"{source.name}:{source.line(('search', 'storage'))}: search.storage: its password could not be "
            "taken out of the copy of this file; write the URL plainly, or {env: NAME}"
        )
    return text


def _postgresql(text: str) -> StoragePlace:
    # Slow to import, and wanted for these alone.
    from sqlalchemy.engine import URL, make_url
    from sqlalchemy.exc import ArgumentError

    form = "write postgresql://USER@HOST:PORT/DATABASE"
    if re.search(r"\s", text):
        raise ValueError(f"a URL holds no blanks, %20 stands for one; {form}")
    if text.count("@") > 1:
        raise ValueError(f"a URL has one @, %40 stands for any other; {form}")
    try:
        given = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(f"is no URL of a database; {form}") from None
    secret = [name for name in given.query if re.search("password|secret", name)]
    if secret:
        raise ValueError(f"{secret[0]} must not stand in the URL's query; {form}, or {{env: NAME}}")
    if not given.database and "dbname" not in given.query:
        raise ValueError(f"names no database; {form}")
    where = URL.create(
        "postgresql",
        host=given.host,
        port=given.port,
        database=given.database,
        query={name: given.query[name] for name in _PLACE if name in given.query},
    )
    shown = where.set(username=given.username, password=given.password)
    return StoragePlace(
        kind="postgresql",
        # By its name: which driver SQLAlchemy takes by itself depends on its version.
        url=given.set(drivername="postgresql+psycopg").render_as_string(hide_password=False),
        public=where.render_as_string(),
        shown=shown.render_as_string(hide_password=True),
        password=str(given.password) if given.password else None,
    )


def _grpc(address: str) -> StoragePlace:
    form = "write grpc://HOST:PORT"
    if "@" in address:
        raise ValueError(f"a gRPC server takes no user and no password; {form}")
    host, _, port = address.rpartition(":")
    if not re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", host) or not _is_port(port):
        raise ValueError(f"is no address of a gRPC server; {form}")
    url = f"grpc://{host}:{port}"
    return StoragePlace(kind="grpc", url=url, public=url, shown=url)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536
