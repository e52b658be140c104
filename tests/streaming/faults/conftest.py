"""Servers that a test may break, loaders that it may kill, and what must hold afterwards."""

import contextlib
import itertools
import os
import random
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from apache_kafka import ApacheKafka, missing_programs
from confluent_kafka import Producer
from loader_processes import LoaderProcess
from own_postgres import OwnPostgres
from psycopg import sql
from tcp_proxy import TcpProxy
from waiting import eventually

from insight.database import DatabaseEndpoint, connect
from insight.services import KafkaEndpoint
from insight.services.ports import free_port
from streaming.contract import Contract
from streaming.loading.loader import load_streams
from streaming.loading.options import LoaderOptions
from streaming.loading.report import LoadReport
from streaming.topics import ensure_topics


@pytest.fixture(scope="session")
def postgres() -> Iterator[OwnPostgres]:
    with tempfile.TemporaryDirectory(prefix="insight-faults-", dir="/tmp") as home:
        # As root the server runs as another account, which must be able to enter its home.
        Path(home).chmod(0o755)
        server = OwnPostgres(Path(home))
        yield server
        server.stop()


@pytest.fixture(scope="session")
def _fault_names() -> Iterator[str]:
    return (f"fault_{number}" for number in itertools.count())


@pytest.fixture
def database(postgres: OwnPostgres, _fault_names: Iterator[str]) -> Iterator[DatabaseEndpoint]:
    """An empty database on the server that may be broken."""
    name = next(_fault_names)
    with connect(postgres.endpoint, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield postgres.endpoint.named(name)
    with connect(postgres.superuser, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def real_broker(configured_broker, real_kafka: KafkaEndpoint):  # type: ignore[no-untyped-def]
    return replace(configured_broker, kafka=real_kafka)


@pytest.fixture
def database_proxy(database: DatabaseEndpoint) -> Iterator[TcpProxy]:
    with TcpProxy(database.host, database.port) as proxy:
        yield proxy


@pytest.fixture
def proxied_database(database: DatabaseEndpoint, database_proxy: TcpProxy) -> DatabaseEndpoint:
    """The same database, by way of the proxy."""
    return replace(database, host="127.0.0.1", port=database_proxy.port)


@pytest.fixture(scope="session")
def broken_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """A real Apache Kafka that may be killed; its `proxied` endpoint goes through a proxy."""
    if missing := missing_programs():
        pytest.skip(f"a real Apache Kafka needs {missing} on this machine")
    proxied_port = free_port()
    with TcpProxy("127.0.0.1", proxied_port) as proxy:
        kafka = ApacheKafka(tmp_path_factory.mktemp("broken"), proxy.port, proxied_port)
        kafka.proxy = proxy  # type: ignore[attr-defined]
        try:
            kafka.start()
            yield kafka
        finally:
            kafka.stop()


@pytest.fixture(scope="session")
def real_kafka(broken_kafka: ApacheKafka) -> KafkaEndpoint:
    """The same broker, past its proxy: a second one would take as long to start as ten tests."""
    return broken_kafka.endpoint


@pytest.fixture
def kafka_proxy(broken_kafka: ApacheKafka) -> Iterator[TcpProxy]:
    """The proxy before `broken_kafka`, put in order after the test."""
    proxy: TcpProxy = broken_kafka.proxy  # type: ignore[attr-defined]
    yield proxy
    proxy.bytes_per_second = None
    proxy.refuses = False
    proxy.go_on()


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., None]:
    return eventually


@pytest.fixture
def chance() -> random.Random:
    """Random numbers by a seed that is printed, so that a failure can be had again."""
    seed = int(os.environ.get("INSIGHT_FAULT_SEED") or random.randrange(10**6))
    print(f"INSIGHT_FAULT_SEED={seed}")  # noqa: T201 (pytest shows it with the failure)
    return random.Random(seed)


def session_seconds(kafka: KafkaEndpoint) -> float:
    """How soon a dead member is noticed; the embedded broker lets a first one wait 3 seconds."""
    return 4.0 if kafka.embedded else 2.5


def group_of(contracts: Sequence[Contract]) -> str:
    """A group of its own for each test."""
    return f"group-{min(each.topic for each in contracts)}"


@pytest.fixture
def start_loader(
    database: DatabaseEndpoint, tmp_path: Path
) -> Iterator[Callable[..., LoaderProcess]]:
    """Start a loader process: of all partitions or `in_group`; until SIGTERM or caught up."""
    started: list[LoaderProcess] = []

    def start(
        kafka: KafkaEndpoint,
        contracts: Sequence[Contract],
        *,
        at: DatabaseEndpoint | None = None,
        in_group: bool = False,
        until_caught_up: bool = False,
        step: str = "",
        nth: int = 1,
        signal: str | None = None,
        **options: object,
    ) -> LoaderProcess:
        place = at or database
        password = place.password.get_secret_value()
        topics = {each.stream: each.topic for each in contracts}
        given = {"group": group_of(contracts), "batch_messages": 50, **options}
        given.setdefault("session_timeout_seconds", session_seconds(kafka))
        request = {
            "database": [place.host, place.port, place.user, password, place.dbname],
            "kafka": [kafka.bootstrap_servers, kafka.cluster_id, kafka.embedded],
            "topics": topics,
            "in_group": in_group,
            "until_caught_up": until_caught_up,
            "step": step,
            "nth": nth,
            "signal": signal,
            "options": given,
        }
        started.append(LoaderProcess(request, tmp_path / f"loader-{len(started)}.log"))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        # Shown by pytest when the test failed.
        print(each.log.name, each.log.read_text()[-3000:])  # noqa: T201


@pytest.fixture
def load(database: DatabaseEndpoint) -> Callable[..., LoadReport]:
    """Load, in this process, until nothing is left."""

    def load_all(
        kafka: KafkaEndpoint,
        contracts: Sequence[Contract],
        at: DatabaseEndpoint | None = None,
        **options: object,
    ) -> LoadReport:
        return load_streams(
            at or database,
            kafka,
            list(contracts),
            until_caught_up=True,
            options=LoaderOptions(**options),  # type: ignore[arg-type]
        )

    return load_all


@pytest.fixture
def loaded(
    database: DatabaseEndpoint,
) -> Callable[[Contract], int]:
    """How many messages of a stream are in its table; 0 while it or the server is not there."""
    from psycopg import OperationalError
    from psycopg.errors import UndefinedTable

    from insight.errors import ServiceError

    def count(contract: Contract) -> int:
        try:
            with connect(database) as connection:
                row = connection.execute(
                    sql.SQL("select count(*) from streaming.{}").format(
                        sql.Identifier(contract.table)
                    )
                ).fetchone()
        except (ServiceError, OperationalError, UndefinedTable):
            return 0
        assert row is not None
        return int(str(row[0]))

    return count


@pytest.fixture
def all_arrived(load, ask, books_balance) -> Callable[..., None]:  # type: ignore[no-untyped-def]
    """I1 to I8 after a fault: load what is left, then look at everything.

    `numbers` are those of the good messages of `message`; `bad` of the others are in quarantine.
    """

    def check(
        kafka: KafkaEndpoint, contract: Contract, numbers: Sequence[int], bad: int = 0
    ) -> None:
        books_balance()  # I5: whatever was committed before is whole
        load(kafka, [contract])
        columns = sql.SQL("select {}::text from streaming.{}").format(
            sql.Identifier(contract.key), sql.Identifier(contract.table)
        )
        found = sorted(str(name) for (name,) in ask(columns))
        assert found == sorted(f"{number:032x}" for number in numbers)
        assert ask("select count(*) from streaming.quarantine") == [(bad,)]
        books_balance()
        before = ask("select * from streaming.load_ledger order by load_id")
        assert load(kafka, [contract]).rows == 0
        assert ask("select * from streaming.load_ledger order by load_id") == before

    return check


class Production:
    """Messages of a contract at a steady rate on all partitions, until it is told to stop."""

    def __init__(self, kafka: KafkaEndpoint, contract: Contract, rate: float, start: int, message):  # type: ignore[no-untyped-def]
        self.numbers: list[int] = []
        self._contract, self._rate, self._start = contract, rate, start
        self._message = message
        self._stop = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": kafka.bootstrap_servers,
                "linger.ms": 5,
                "enable.idempotence": not kafka.embedded,
                "log_level": 0,
            }
        )
        self._failures: list[object] = []

    def run(self) -> None:
        for number in itertools.count(self._start):
            if self._stop.wait(1 / self._rate):
                break
            self._producer.produce(
                self._contract.topic,
                self._message(self._contract, number),
                partition=number % 4,
                on_delivery=lambda error, _: self._failures.append(error) if error else None,
            )
            self._producer.poll(0)
            self.numbers.append(number)
        left = self._producer.flush(30)
        assert (left, self._failures) == (0, [])

    def stop(self) -> None:
        self._stop.set()


@pytest.fixture
def producing(message) -> Callable[..., contextlib.AbstractContextManager[Production]]:  # type: ignore[no-untyped-def]
    """Produce for the length of a block; everything is delivered at its end."""

    @contextlib.contextmanager
    def produce(
        kafka: KafkaEndpoint, contract: Contract, rate: float = 200, start: int = 0
    ) -> Iterator[Production]:
        ensure_topics(kafka, [contract])
        production = Production(kafka, contract, rate, start, message)
        errors: list[BaseException] = []

        def run() -> None:
            try:
                production.run()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield production
        finally:
            production.stop()
            thread.join(60)
        assert not errors, errors

    return produce
