"""Postgres and Kafka of the benchmark's own, and a fresh database for each run."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from psycopg import sql
from pydantic import SecretStr

from benchmarks.streams.processes import children, parent
from insight.database import DatabaseEndpoint, connect
from insight.services import KafkaEndpoint, open_services, stop
from insight.settings import EMBEDDED, PROJECT_ROOT, load_settings
from tests.apache_kafka import apache_kafka, missing_programs

# Outlives the run: the peers' programs are fetched once.
CACHE = PROJECT_ROOT / ".insight" / "bench"


@dataclass(frozen=True)
class Ground:
    """Where everything is measured; the pids are those of the servers."""

    database: DatabaseEndpoint
    kafka: KafkaEndpoint
    postgres_pid: int
    broker_pid: int
    folder: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def new_name(self) -> str:
        """A name for a database or a consumer group that was not used before."""
        return f"bench_{next(self._numbers)}"

    def postgres_version(self) -> str:
        with connect(self.database) as connection:
            return str(connection.info.server_version // 10_000) + (
                f".{connection.info.server_version % 10_000}"
            )

    @contextmanager
    def fresh_database(self) -> Iterator[DatabaseEndpoint]:
        """An empty database, with what earlier runs left in memory already on the disk."""
        name = self.new_name()
        with connect(self.database, autocommit=True) as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
            # The loader sets it for itself: with it on, the others would wait for the disk.
            connection.execute(
                sql.SQL("alter database {} set synchronous_commit = off").format(
                    sql.Identifier(name)
                )
            )
            connection.execute("checkpoint")
        try:
            yield self.database.named(name)
        finally:
            with connect(self.database, autocommit=True) as connection:
                drop = sql.SQL("drop database {} with (force)")
                connection.execute(drop.format(sql.Identifier(name)))


def missing() -> str | None:
    """Programs without which there is no real Kafka here."""
    return missing_programs()


@contextmanager
def open_ground(folder: Path) -> Iterator[Ground]:
    """The servers for the length of the block; `folder` holds all that they write."""
    # The server can run as another account, which must be able to enter its home.
    folder.chmod(0o755)
    home = folder / "home"
    settings = load_settings().model_copy(
        update={"home": home, "database_url": SecretStr(EMBEDDED)}
    )
    try:
        with open_services(settings) as services:
            _set_up(services.database, home)
        stop(home, now=True)
        (folder / "kafka").mkdir()
        with open_services(settings) as services, apache_kafka(folder / "kafka") as kafka:
            yield Ground(
                services.database, kafka, _postgres_pid(services.database), _broker_pid(), folder
            )
    finally:
        stop(home, now=True)


def _set_up(database: DatabaseEndpoint, home: Path) -> None:
    """Commit times are kept; vacuum does not start in the middle of somebody's run."""
    password = (home / "postgres.passwords").read_text().split("\n")[0]
    superuser = replace(database, user="postgres", password=SecretStr(password), dbname="postgres")
    with connect(superuser, autocommit=True) as connection:
        connection.execute("alter system set track_commit_timestamp = on")
        connection.execute("alter system set autovacuum = off")
        connection.execute(
            sql.SQL("grant pg_checkpoint to {}").format(sql.Identifier(database.user))
        )


def _postgres_pid(database: DatabaseEndpoint) -> int:
    with connect(database) as connection:
        return parent(connection.info.backend_pid)


def _broker_pid() -> int:
    """The Java program that was started last by this process."""
    java = [each for each in children(os.getpid()) if "kafka.Kafka" in _command(each)]
    return java[-1]


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()
