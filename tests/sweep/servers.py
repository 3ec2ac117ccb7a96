"""Real servers that keep studies, started by tests: PostgreSQL from Debian's packages."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

PASSWORD = "ge{h}eim%:/7Q"
"""With signs that a URL, a format string and a configuration file read otherwise."""


def programs() -> Path | None:
    """The folder of the newest PostgreSQL's programs; None if it is not installed."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(found, key=lambda path: int(path.parts[-3]), default=None)
    return newest.parent if newest is not None else None


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class PostgreSQL:
    """A server on loopback that asks for a password."""

    def __init__(self, folder: Path, *, programs: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._programs = programs
        self._databases = 0
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if self._user is not None:
            for path in (folder, secret):
                shutil.chown(path, self._user)
        self._call(
            "initdb", "--username=seqtune", "--pwfile", str(secret), "--auth=scram-sha-256",
            "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata", str(self._data),
        )  # fmt: skip

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _user(self) -> str | None:
        """Whom it runs as where this process is root's, which it refuses."""
        if os.getuid() != 0:
            return None
        return (
            "postgres" if any(each.pw_name == "postgres" for each in pwd.getpwall()) else "nobody"
        )

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        settings = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off"
        settings += " -c unix_socket_directories="
        log = str(self._folder / "log")
        self._call("pg_ctl", "--pgdata", str(self._data), "-l", log, "-o", settings, "-w", "start")

    def stop(self) -> None:
        """Ends it and every connection to it."""
        self._call("pg_ctl", "--pgdata", str(self._data), "-m", "immediate", "-w", "stop")

    def database(self) -> str:
        """The end of a new database's URL: `HOST:PORT/NAME`."""
        import psycopg

        self._databases += 1
        name = f"studies{self._databases}"
        where = {"host": "127.0.0.1", "port": self.port, "user": "seqtune", "password": PASSWORD}
        with psycopg.connect(dbname="postgres", autocommit=True, **where) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"127.0.0.1:{self.port}/{name}"

    def _call(self, program: str, *words: str) -> None:
        command = [str(self._programs / program), *words]
        if self._user is not None:
            command = ["runuser", "-u", self._user, "--", *command]
        # Not through a pipe: the server would hold it open.
        with (self._folder / "output").open("a+") as output:
            done = subprocess.run(
                command, check=False, cwd=self._folder, stdout=output, stderr=output
            )
            output.seek(0)
            assert done.returncode == 0, output.read()


def with_password(database: str, *, password: str = PASSWORD) -> str:
    """The URL of a database that `PostgreSQL.database` made."""
    return f"postgresql://seqtune:{quote(password, safe='')}@{database}"


@contextmanager
def postgresql(programs: Path) -> Iterator[PostgreSQL]:
    """A server, running, with a folder of its own that its user can enter."""
    with tempfile.TemporaryDirectory(prefix="seqtune-postgresql-") as folder:
        server = PostgreSQL(Path(folder), programs=programs)
        server.start()
        try:
            yield server
        finally:
            server.stop()
