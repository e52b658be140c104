"""Sales as messages of contract `transactions`, the same ones each time, put into a topic."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from insight.services import KafkaEndpoint
from streaming.contract import CONTRACTS_DIR, Contract, read_contract
from streaming.messages.codec import VERSION_HEADER

CONTRACT_FILE: Path = CONTRACTS_DIR / "transactions.odcs.yaml"
_SEED = 4
_FIRST_SALE = datetime(2019, 1, 1, 8, tzinfo=UTC)
_PRICES = {"P001": 999.0, "P002": 699.0, "P003": 199.0, "P004": 49.0, "P005": 29.0, "P006": 14.5}
_QUEUED = 200_000


def contract() -> Contract:
    return read_contract(CONTRACT_FILE)


HEADERS: list[tuple[str, str | bytes | None]] = [(VERSION_HEADER, contract().version.encode())]


class Sale(NamedTuple):
    """The columns of the contract, in its order; the time as text."""

    transaction_id: str
    product_id: str
    store_id: str
    customer_id: str
    amount: float
    timestamp: str


@dataclass(frozen=True)
class Topic:
    """A topic full of sales."""

    name: str
    partitions: int
    messages: int
    with_schema: bool = False


def sales(number: int) -> Iterator[Sale]:
    """The first `number` sales, some 50 a second from 2019 on."""
    rng = random.Random(_SEED)
    products = list(_PRICES.items())
    at = _FIRST_SALE
    for _ in range(number):
        product, price = products[int(rng.random() ** 2 * 6)]
        at += timedelta(milliseconds=int(rng.random() * 40))
        yield Sale(
            f"{rng.getrandbits(128):032x}",
            product,
            f"S00{int(rng.random() * 3) + 1}",
            f"C{int(rng.random() * 5_000):04d}",
            round(price * (0.8 + 0.4 * rng.random()), 2),
            f"{at.isoformat(timespec='milliseconds')[:-6]}Z",
        )


def message(sale: Sale) -> bytes:
    """JSON with the field names of the contract."""
    return msgspec.json.encode(sale._asdict())


def message_with_schema(sale: Sale) -> bytes:
    """What Kafka Connect's JSON converter needs: every message carries its schema."""
    return msgspec.json.encode({"schema": _CONNECT_SCHEMA, "payload": sale._asdict()})


def _connect_field(name: str) -> dict[str, object]:
    kinds = {"amount": {"type": "double"}}
    kinds["timestamp"] = {"type": "string", "name": "io.debezium.time.ZonedTimestamp"}
    return {"field": name, "optional": False, **kinds.get(name, {"type": "string"})}


_CONNECT_SCHEMA = {
    "type": "struct",
    "name": "sale",
    "optional": False,
    "fields": [_connect_field(name) for name in Sale._fields],
}


def producer_settings(servers: str, *, linger_ms: int = 50) -> dict[str, object]:
    """As the project's producer, but for the time a batch may wait."""
    return {
        "bootstrap.servers": servers,
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": linger_ms,
        "compression.type": "lz4",
        "queue.buffering.max.messages": 2 * _QUEUED,
        "log_level": 3,
    }


def create_topic(kafka: KafkaEndpoint, topic: Topic) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 3})
    for created in admin.create_topics([NewTopic(topic.name, topic.partitions)]).values():
        created.result()


def fill(kafka: KafkaEndpoint, topic: Topic) -> None:
    """Create the topic and put its sales in turn into its partitions, delivered at the end."""
    create_topic(kafka, topic)
    encode = message_with_schema if topic.with_schema else message
    producer = Producer(producer_settings(kafka.bootstrap_servers))
    _produce(producer, topic, ((sale, encode(sale)) for sale in sales(topic.messages)))
    if producer.flush(120):
        raise RuntimeError(f"topic {topic.name} was not filled")


def _produce(producer: Producer, topic: Topic, messages: Iterable[tuple[Sale, bytes]]) -> None:
    for number, (sale, value) in enumerate(messages):
        producer.produce(
            topic.name, value, sale.transaction_id, number % topic.partitions, headers=HEADERS
        )
        if number % 1_000 == 0:
            producer.poll(0)
            # A full queue would be an error, and the machine's memory is shared.
            while len(producer) > _QUEUED:
                producer.poll(0.05)
