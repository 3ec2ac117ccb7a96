"""Where a sweep file says that its studies are kept, and what of that text may be shown.

Does not import Optuna, so that a wrong file is reported at once. A URL may hold a password, so
messages show only what was understood.
"""

import os
import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from seqtune.config.errors import nearest
from seqtune.config.spec import Spec
from seqtune.config.yaml_file import FileError, Source, parse_yaml

Kind: TypeAlias = Literal["journal", "sqlite", "postgresql"]
KINDS: tuple[Kind, ...] = ("journal", "sqlite", "postgresql")
FILES = ("studies.journal", "studies.sqlite", "studies.sqlite-journal")
"""Files that a storage may leave in the sweep's directory."""
MASK = "***"
"""Replaces a password."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}")
_PASSWORD = re.compile(r"(postgres\w*(?:\+\w+)?://[^\s:/@]*:)[^\s@]+(?=@)")
_LOCATION = ("host", "port", "dbname")
"""Query fields that say where a database is; others may be secret."""


class FromEnvironment(Spec):
    """A text that stands in an environment variable, so that no file holds it."""

    env: str
    """Name of the variable."""


StorageSpec: TypeAlias = str | FromEnvironment


@dataclass(frozen=True)
class StorageURL:
    """Where studies are kept.

    Attributes:
        url: as given.
        public: without user and password: written to plan.json, and compared with it.
        shown: with the user, without the password: for messages.
        password: if the text holds one.
    """

    kind: Kind
    url: str = field(repr=False)
    public: str
    shown: str
    password: str | None = field(default=None, repr=False)

    @property
    def shared(self) -> bool:
        """Whether a server keeps the studies, possibly beside those of other sweeps."""
        return self.kind == "postgresql"


def resolve_storage(storage: StorageSpec) -> StorageURL:
    """Return the storage that `search.storage` means; reads its environment variable.

    Raises:
        FileError: if it is not a storage, or its environment variable is not set.
    """
    if isinstance(storage, str):
        where, text = "search.storage", storage
    else:
        where = f"search.storage: the environment variable {storage.env}"
        text = os.environ.get(storage.env, "").strip()
        if not text:
            raise FileError(f"{where} is not set; it must hold the URL")
    try:
        url = parse_storage(text)
    except ValueError as error:
        raise FileError(f"{where}: {error}") from None
    if url.password == MASK:
        raise FileError(
            f"{where}: this copy of the file does not contain the password; write {{env: NAME}}"
        )
    return url


def parse_storage(text: str) -> StorageURL:
    """Parse `journal`, `sqlite` or a URL.

    Raises:
        ValueError: if it is none of them; the message shows no password.
    """
    match text:
        case "journal" | "sqlite":
            return StorageURL(kind=text, url=text, public=text, shown=text)
    scheme, colon, _ = text.partition("://")
    if colon and scheme in ("postgresql", "postgresql+psycopg"):
        return _parse_postgresql(text)
    if _SCHEME.fullmatch(scheme):
        raise ValueError(f"no such storage: {scheme}{colon}{nearest(scheme, KINDS)}")
    raise ValueError("must be journal, sqlite or postgresql://...")


def holds_password(storage: StorageSpec) -> bool:
    """Return whether the sweep file itself holds a password."""
    return isinstance(storage, str) and parse_storage(storage).password is not None


def mask_passwords(text: str) -> str:
    """Replace the password of every PostgreSQL URL in a text by `MASK`."""
    return _PASSWORD.sub(rf"\1{MASK}", text)


def public_text(source: Source) -> str:
    """Return a sweep file's text without passwords, to be kept with the results.

    Raises:
        FileError: if the storage's password is written in a way that hides it from
            `mask_passwords`.
    """
    text = mask_passwords(source.text)
    search = parse_yaml(text, name=source.name).data.get("search")
    storage = search.get("storage") if isinstance(search, dict) else None
    if isinstance(storage, str) and parse_storage(storage).password not in (None, MASK):
        raise FileError(
            f"{source.name}:{source.line(('search', 'storage'))}: search.storage: cannot mask its "
            "password in the copy of this file; write the URL plainly, or {env: NAME}"
        )
    return text


def _parse_postgresql(text: str) -> StorageURL:
    # Slow to import, and needed here alone.
    from sqlalchemy.engine import URL, make_url
    from sqlalchemy.exc import ArgumentError

    form = "write postgresql://USER@HOST:PORT/DATABASE"
    if re.search(r"\s", text):
        raise ValueError(f"a URL must not contain spaces; write %20 for one; {form}")
    if text.count("@") > 1:
        raise ValueError(f"a URL has one @; write %40 for any other; {form}")
    try:
        given = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(f"is not the URL of a database; {form}") from None
    secret = [name for name in given.query if re.search("password|secret", name)]
    if secret:
        raise ValueError(f"{secret[0]} must not be in the URL's query; {form}, or {{env: NAME}}")
    if not given.database and "dbname" not in given.query:
        raise ValueError(f"names no database; {form}")
    public = URL.create(
        "postgresql",
        host=given.host,
        port=given.port,
        database=given.database,
        query={name: given.query[name] for name in _LOCATION if name in given.query},
    )
    shown = public.set(username=given.username, password=given.password)
    return StorageURL(
        kind="postgresql",
        # Named, since SQLAlchemy's default driver depends on its version.
        url=given.set(drivername="postgresql+psycopg").render_as_string(hide_password=False),
        public=public.render_as_string(),
        shown=shown.render_as_string(hide_password=True),
        password=str(given.password) if given.password else None,
    )
