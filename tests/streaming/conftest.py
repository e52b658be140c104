"""Topics, messages and runs for the tests of streams."""

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from confluent_kafka import Producer

from insight.database import DatabaseEndpoint, connect
from insight.services import KafkaEndpoint, Services
from streaming.contract import Contract, load_contracts
from streaming.loading.bad_limit import BadLimit
from streaming.loading.batch import Batch
from streaming.loading.judge import Judge
from streaming.messages.codec import Headers
from streaming.messages.poison import Poison
from streaming.operating.verify import verify
from streaming.registry import open_registry
from streaming.topics import ensure_topics


@pytest.fixture
def contracts() -> list[Contract]:
    """The project's contracts, on topics that no other test uses."""
    suffix = uuid.uuid4().hex[:8]
    return [each.on_topic(f"{each.topic}-{suffix}") for each in load_contracts()]


@pytest.fixture
def prices(contracts: list[Contract]) -> Contract:
    return next(each for each in contracts if each.stream == "bitcoin-prices")


@pytest.fixture
def news(contracts: list[Contract]) -> Contract:
    return next(each for each in contracts if each.stream == "news-events")


@pytest.fixture
def tables(database: DatabaseEndpoint, contracts: list[Contract]) -> DatabaseEndpoint:
    """The database, with the tables of the contracts."""
    open_registry(database, contracts)
    return database


@dataclass(frozen=True)
class Arrived:
    """A message as the consumer hands it over, for tests that need no broker."""

    number: int
    body: bytes | None
    head: Headers | None = None

    def offset(self) -> int:
        return self.number

    def key(self) -> bytes | None:
        return None

    def value(self) -> bytes | None:
        return self.body

    def headers(self) -> Headers | None:
        return self.head

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_577_836_800_000


@pytest.fixture
def batch_of() -> Callable[..., Batch]:
    """Messages at the offsets from `lo` on (or at `offsets`), judged under a limit."""

    def judged(
        contract: Contract,
        values: Sequence[bytes | None],
        lo: int = 0,
        *,
        offsets: Sequence[int] | None = None,
        limit: BadLimit | None = None,
    ) -> Batch:
        numbers = range(lo, lo + len(values)) if offsets is None else offsets
        arrived = [Arrived(*each) for each in zip(numbers, values, strict=True)]
        return Judge(contract, limit or BadLimit(count=10**9)).batch(arrived, lo)

    return judged


@pytest.fixture
def configured_kafka(services: Services) -> KafkaEndpoint:
    """One broker, for tests in which its kind makes no difference."""
    return services.kafka


@dataclass
class Broker:
    """Puts messages where a test wants them."""

    kafka: KafkaEndpoint
    _made: set[str] = field(default_factory=set)

    def put(self, contract: Contract, values: Sequence[bytes | Poison | None], partition: int = 0):
        if contract.topic not in self._made:
            ensure_topics(self.kafka, [contract])
            self._made.add(contract.topic)
        producer = Producer(
            {"bootstrap.servers": self.kafka.bootstrap_servers, "linger.ms": 5, "log_level": 3}
        )
        failures: list[object] = []
        for each in values:
            value, headers = (
                (each.value, each.headers) if isinstance(each, Poison) else (each, None)
            )
            producer.produce(
                contract.topic,
                value=value,
                partition=partition,
                headers=headers,
                on_delivery=lambda error, _message: failures.append(error) if error else None,
            )
            producer.poll(0)
        assert producer.flush(30) == 0
        assert not failures


@pytest.fixture
def broker(kafka: KafkaEndpoint) -> Broker:
    return Broker(kafka)


@pytest.fixture
def configured_broker(configured_kafka: KafkaEndpoint) -> Broker:
    return Broker(configured_kafka)


@pytest.fixture
def message() -> Callable[..., bytes]:
    """A valid message of a contract, with a number that makes its id its own."""

    def make(contract: Contract, number: int, **changes: object) -> bytes:
        event = {**contract.example_event(), contract.key: f"{number:032x}", **changes}
        return json.dumps(event).encode()

    return make


@pytest.fixture
def ask(database: DatabaseEndpoint) -> Callable[..., list[tuple[object, ...]]]:
    """Rows of a query."""

    def run(query: str, *values: object) -> list[tuple[object, ...]]:
        with connect(database) as connection:
            return connection.execute(query, values or None).fetchall()

    return run


@pytest.fixture
def books_balance(database: DatabaseEndpoint) -> Callable[[], None]:
    """Fails with the rows that break I1 to I4."""

    def check() -> None:
        with connect(database) as connection:
            assert [str(each) for each in verify(connection)] == []

    return check


@contextmanager
def running(target: Callable[[threading.Event], object]) -> Iterator[threading.Event]:
    """Run a role in a thread for the length of the block; its error becomes the test's."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            target(stop)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    assert not errors, errors


@pytest.fixture
def in_background() -> Callable[..., object]:
    return running


@pytest.fixture
def killed_run(database: DatabaseEndpoint, tmp_path: Path) -> Callable[..., int]:
    """Run `crashing.py` in a process of its own, which can be killed; returns its exit code."""
    script = Path(__file__).with_name("crashing.py")

    def run(
        kafka: KafkaEndpoint,
        contracts: list[Contract],
        role: str,
        *arguments: str,
        kill_after: float | None = None,
    ) -> int:
        request = {
            "database": database.environment(),
            "kafka": [kafka.bootstrap_servers, kafka.cluster_id, kafka.embedded],
            "topics": {each.stream: each.topic for each in contracts},
            "spill_dir": str(tmp_path / "spill"),
        }
        process = subprocess.Popen(
            [sys.executable, str(script), role, *arguments], stdin=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(request))
        process.stdin.close()
        try:
            return process.wait(kill_after if kill_after is not None else 60)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            return process.wait()

    return run
