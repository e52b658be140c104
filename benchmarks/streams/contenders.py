"""Who is measured: the loader, and other ways to bring the same messages into Postgres."""

import json
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, LiteralString, cast

from psycopg import sql

from benchmarks.streams.ground import Ground
from benchmarks.streams.messages import CONTRACT_FILE, Topic, contract
from insight.database import Connection, DatabaseEndpoint, connect
from insight.settings import PROJECT_ROOT
from streaming.tables import create_tables

_COLUMNS = ",\n".join(f"{each.name} {each.physical_type} not null" for each in contract().columns)

_PROGRESS = sql.Identifier("streaming", "stream_progress")

_PLAIN_TABLES = f"""
create schema bench;
create table bench.sales ({_COLUMNS});
create table bench.sales_with_place (
    {_COLUMNS},
    ingestion_timestamp timestamptz not null default now(),
    _offset bigint not null, _partition_id integer not null, _load_id bigint not null
);
"""


class Running:
    """The processes of one contender, by name."""

    def __init__(self, processes: Sequence["subprocess.Popen[str]"], log: Path):
        self.processes = processes
        self._log = log

    @property
    def pids(self) -> dict[str, int]:
        return {f"worker {index}": each.pid for index, each in enumerate(self.processes)}

    def go(self) -> None:
        """Let processes that speak the protocol begin."""
        for each in self.processes:
            if each.stdin is not None:
                _input(each).write("go\n")
                _input(each).flush()

    def close_input(self) -> None:
        """Ask those that wait for the end of their input to come to an end."""
        for each in self.processes:
            _input(each).close()

    def ended(self) -> bool:
        """All have ended. Raises RuntimeError when one of them failed."""
        for each in self.processes:
            if each.poll() not in (None, 0):
                raise self.failure(f"ended with {each.returncode}")
        return all(each.poll() == 0 for each in self.processes)

    def failure(self, what: str) -> RuntimeError:
        """An error with the end of what they wrote."""
        return RuntimeError(f"{self.processes[0].args!r} {what}: {self._log.read_text()[-800:]}")

    def stop(self) -> None:
        """End them, in order if they can, and wait for it."""
        for each in self.processes:
            if each.stdin is not None:
                each.stdin.close()
            elif each.poll() is None:
                each.terminate()
        for each in self.processes:
            try:
                each.wait(30)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()


def _input(process: "subprocess.Popen[str]") -> IO[str]:
    return cast(IO[str], process.stdin)


def worker(module: str) -> list[str]:
    """The command of a process of ours that speaks the protocol."""
    return [sys.executable, "-m", f"benchmarks.streams.workers.{module}"]


def start_workers(
    command: Sequence[str], requests: Sequence[dict[str, object]], log: Path
) -> Running:
    """Start processes that speak the protocol, and wait until each is ready."""
    with open(log, "a") as errors:
        processes = [
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=PROJECT_ROOT,
            )
            for _ in requests
        ]
    running = Running(processes, log)
    for process, request in zip(processes, requests, strict=True):
        _input(process).write(json.dumps(request) + "\n")
        _input(process).flush()
    for process in processes:
        if cast(IO[str], process.stdout).readline() != "ready\n":
            running.stop()
            raise running.failure("does not start")
    return running


@dataclass(frozen=True)
class Contender(ABC):
    """One way to load a topic; `warm_rows` of its first rows are not measured."""

    name: str
    title: str
    topic: Topic
    messages: int
    processes: int = 1
    warm_rows: int = 0

    @property
    @abstractmethod
    def table(self) -> sql.Identifier:
        """Where its rows land."""

    def prepare(self) -> None:  # noqa: B027 (most have nothing to fetch)
        """Fetch what it needs. Raises CalledProcessError when that is not to be had."""

    @abstractmethod
    def create(self, database: DatabaseEndpoint) -> None:
        """Tables that it finds ready."""

    @abstractmethod
    def start(self, ground: Ground, database: DatabaseEndpoint) -> Running:
        """Processes that work once they are told to go."""

    def rows(self, connection: Connection) -> int:
        """How many rows are there, asked now and then to know when it is done."""
        return int(str(_value(connection, "select count(*) from {}", self.table)))

    def not_before(self, connection: Connection) -> float:
        """The Unix time from which on all its processes are at work."""
        del connection
        return 0.0

    def request(self, ground: Ground, database: DatabaseEndpoint) -> dict[str, object]:
        """What a process of ours has to know."""
        return {
            "database": database.environment(),
            "servers": ground.kafka.bootstrap_servers,
            "cluster_id": ground.kafka.cluster_id,
            "contract": str(CONTRACT_FILE),
            "topic": self.topic.name,
            "partitions": self.topic.partitions,
            "messages": self.messages,
            "group": ground.new_name(),
        }


@dataclass(frozen=True)
class Ours(Contender):
    """The loader in its consumer group, with tables, index, checks and books."""

    @property
    def table(self) -> sql.Identifier:
        return sql.Identifier("streaming", contract().table)

    def create(self, database: DatabaseEndpoint) -> None:
        create_tables(database, [contract().on_topic(self.topic.name)])

    def start(self, ground: Ground, database: DatabaseEndpoint) -> Running:
        requests = [self.request(ground, database)] * self.processes
        return start_workers(worker("ours"), requests, ground.folder / f"{self.name}.log")

    def rows(self, connection: Connection) -> int:
        return int(
            str(_value(connection, "select coalesce(sum(rows_total), 0) from {}", _PROGRESS))
        )

    def not_before(self, connection: Connection) -> float:
        """When the last of the owners made its first claim: the group had settled by then."""
        query = """select extract(epoch from max(first))::float8
                   from (select min(claimed_at) as first from {} group by owner) as owners"""
        return float(str(_value(connection, query, _PROGRESS)))


def _value(connection: Connection, query: LiteralString, table: sql.Identifier) -> object:
    found = connection.execute(sql.SQL(query).format(table)).fetchone()
    assert found is not None
    return found[0]


@dataclass(frozen=True)
class Plain(Contender):
    """A consumer of ours without guards, which ends by itself."""

    module: str = ""

    @property
    def table(self) -> sql.Identifier:
        return sql.Identifier("bench", "sales_with_place" if self.module == "copy" else "sales")

    def create(self, database: DatabaseEndpoint) -> None:
        create_plain_tables(database)

    def start(self, ground: Ground, database: DatabaseEndpoint) -> Running:
        log = ground.folder / f"{self.name}.log"
        return start_workers(worker(self.module), [self.request(ground, database)], log)

    def rows(self, connection: Connection) -> int:
        """Nobody asks the table: the process ends when it is done."""
        del connection
        return 0


def create_plain_tables(database: DatabaseEndpoint) -> None:
    """The contract's columns, without an index."""
    with connect(database) as connection:
        connection.execute(_PLAIN_TABLES)
