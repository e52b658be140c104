"""A Postgres server that a test may break."""

import os
import signal
from dataclasses import replace
from pathlib import Path

from pydantic import SecretStr
from waiting import eventually

from insight.database import DatabaseEndpoint, connect
from insight.services.postgres import EmbeddedPostgres


class OwnPostgres:
    """A Postgres server for faults: killed, started and filled without harm to other tests."""

    def __init__(self, home: Path):
        self.home = home
        self._server = EmbeddedPostgres(home, home / "postgres.log")
        self.endpoint = self._server.start()

    @property
    def superuser(self) -> DatabaseEndpoint:
        password = (self.home / "postgres.passwords").read_text().split("\n")[0]
        return replace(
            self.endpoint, user="postgres", password=SecretStr(password), dbname="postgres"
        )

    @property
    def data(self) -> Path:
        with connect(self.superuser) as connection:
            row = connection.execute("show data_directory").fetchone()
        assert row is not None
        return Path(str(row[0]))

    def crash(self) -> None:
        """Immediate mode: no checkpoint, every connection cut, recovery at the next start."""
        pid_file = self.data / "postmaster.pid"
        pid = int(pid_file.read_text().split("\n")[0])
        os.kill(pid, signal.SIGQUIT)
        eventually(lambda: not pid_file.exists())

    def start(self) -> None:
        assert self._server.start().port == self.endpoint.port

    def stop(self) -> None:
        self._server.stop()
