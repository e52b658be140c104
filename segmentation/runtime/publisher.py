"""From the outbox to Kafka, then to Redis: each change at least once, a customer's in order.

1. Send the oldest changes that are not in Kafka, keyed by customer, and wait until Kafka has them.
2. Mark them. A crash before this line sends them again: a reader drops what has an `id` that is
   not above the last one it saw of that customer.
3. Write the customers' keys in Redis from what stands in Postgres now.
4. Delete the rows. A crash before this line writes the same keys again.

While Redis is away Kafka goes on, and while Kafka is away rows wait.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum

import redis
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import ServiceError
from insight.services import KafkaEndpoint, RedisEndpoint
from segmentation.runtime.cache import is_complete, rebuild, write_customers
from segmentation.store.configuration import TOPIC
from streaming.topics import ensure_topic, kafka_unavailable

_PARTITIONS = 4
_RETENTION_SECONDS = 7 * 24 * 3600
# Whoever holds it publishes.
_LOCK = 7_207_023

_WAITING = """
select
    change_id,
    customer_id,
    json_build_object(
        'id', change_id, 'segment', segment, 'version', version, 'customer_id', customer_id,
        'change', change, 'as_of', as_of, 'recorded_at', recorded_at, 'evidence', evidence
    )::text
from segmentation.membership_outbox
inner join segmentation.membership_changes using (change_id)
where published_at is null
order by change_id limit %s
"""


class PublishStep(StrEnum):
    """Moments at which a test can kill the publisher."""

    SENT = "sent"
    MARKED = "marked"
    CACHED = "cached"
    CLEARED = "cleared"


@dataclass(frozen=True)
class PublishOptions:
    """At most `changes` are sent at once; Kafka has `kafka_seconds` to take them."""

    changes: int = 5_000
    kafka_seconds: float = 30.0
    look_seconds: float = 0.1
    on_step: Callable[[PublishStep], None] = lambda _step: None


@dataclass
class Published:
    """What was done: changes in Kafka, customers written to Redis."""

    changes: int = 0
    customers: int = 0
    failures: dict[str, str] = field(default_factory=dict)


class Publisher:
    """Publishes with a connection of its own; one at a time does, whoever holds its lock."""

    def __init__(
        self,
        connection: Connection,
        kafka: KafkaEndpoint,
        client: redis.Redis,
        options: PublishOptions,
        report: Published,
    ):
        self._connection = connection
        self._kafka = kafka
        self._redis = client
        self._options = options
        self._producer: Producer | None = None
        self.report = report

    def publish(self) -> int:
        """Send what waits and bring Redis up to date; how many rows of the outbox were moved.

        Raises KafkaException and redis.RedisError; what was done before stays done.
        """
        return self.send() + self.cache()

    def send(self) -> int:
        """Send the oldest changes that are not in Kafka; how many. Raises KafkaException."""
        rows = self._connection.execute(_WAITING, (self._options.changes,)).fetchall()
        if not rows:
            return 0
        self._deliver([(str(customer), str(text)) for _, customer, text in rows])
        self._options.on_step(PublishStep.SENT)
        self._connection.execute(
            """update segmentation.membership_outbox set published_at = now()
               where change_id = any(%s)""",
            ([change_id for change_id, *_ in rows],),
        )
        self._options.on_step(PublishStep.MARKED)
        self.report.changes += len(rows)
        return len(rows)

    def cache(self) -> int:
        """Write the keys of customers whose changes are in Kafka; how many rows that clears.

        Raises redis.RedisError.
        """
        rows = self._connection.execute(
            """select change_id, customer_id from segmentation.membership_outbox
               inner join segmentation.membership_changes using (change_id)
               where published_at is not null order by change_id limit %s""",
            (self._options.changes,),
        ).fetchall()
        if not rows:
            return 0
        customers = sorted({str(customer) for _, customer in rows})
        write_customers(self._connection, self._redis, customers)
        self._options.on_step(PublishStep.CACHED)
        self._connection.execute(
            "delete from segmentation.membership_outbox where change_id = any(%s)",
            ([change_id for change_id, _ in rows],),
        )
        self._options.on_step(PublishStep.CLEARED)
        self.report.customers += len(customers)
        return len(rows)

    def fill_cache(self) -> None:
        """Write all keys, if Redis has lost them or they are a day old; publishes in between."""
        if not is_complete(self._redis):
            rebuild(self._connection, self._redis, lambda _written: self._publish_between())

    def _publish_between(self) -> None:
        # While Kafka is away its turn comes again; the keys need not wait for it.
        if not self.report.failures:
            try:
                self.publish()
            except (KafkaException, ServiceError) as error:
                self.report.failures["kafka"] = str(error)

    def _deliver(self, messages: Sequence[tuple[str, str]]) -> None:
        if self._producer is None:
            ensure_topic(self._kafka, TOPIC, _PARTITIONS, _RETENTION_SECONDS)
            self._producer = self._new_producer()
        failed: list[KafkaError] = []

        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append(error)

        try:
            for number, (customer, text) in enumerate(messages):
                self._produce(customer, text, on_delivery)
                if number % 1_000 == 0:
                    self._producer.poll(0)
            left = self._producer.flush(self._options.kafka_seconds * 2)
        except KafkaException:
            self._producer = None
            raise
        if failed or left:
            # One that gave up on a message may have sent later ones: begin anew, in order.
            self._producer = None
            raise KafkaException(failed[0] if failed else KafkaError(KafkaError._TIMED_OUT))

    def _produce(
        self,
        customer: str,
        text: str,
        on_delivery: Callable[[KafkaError | None, Message], None],
    ) -> None:
        assert self._producer is not None
        while True:
            try:
                self._producer.produce(TOPIC, text, customer, on_delivery=on_delivery)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def _new_producer(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self._kafka.bootstrap_servers,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                "compression.type": "lz4",
                "delivery.timeout.ms": int(self._options.kafka_seconds * 1000),
                "log_level": 3,
            }
        )


def publish_until(
    database: DatabaseEndpoint,
    kafka: KafkaEndpoint,
    endpoint: RedisEndpoint,
    report: Published,
    *,
    stop: threading.Event,
    finish: threading.Event,
    options: PublishOptions,
) -> None:
    """Publish until `stop`, or once `finish` is set until nothing waits.

    While Kafka or Redis is away it tries again, and `report.failures` says so; after `finish` it
    raises ServiceError instead. Raises psycopg errors when Postgres goes away.
    """
    url = endpoint.url.get_secret_value()
    with (
        connect(database, autocommit=True) as connection,
        closing(redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=5)) as client,
    ):
        # All is asked by key, and of a table that fills and empties the statistics are never true.
        connection.execute("set enable_seqscan = off")
        connection.execute("set max_parallel_workers_per_gather = 0")
        while not stop.is_set() and not _is_alone(connection):
            stop.wait(1.0)
        publisher = Publisher(connection, kafka, client, options, report)
        while not stop.is_set():
            ends = finish.is_set()
            moved = _attempt(report, "kafka", lambda: _sent(publisher, kafka), ends=ends)
            moved += _attempt(report, "redis", lambda: _cached(publisher), ends=ends)
            if ends and not moved:
                return
            if not moved:
                stop.wait(1.0 if report.failures else options.look_seconds)


def _is_alone(connection: Connection) -> bool:
    """Whether nobody else publishes; one whose worker lost Postgres may for a moment."""
    row = connection.execute("select pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
    return row == (True,)


def _sent(publisher: Publisher, kafka: KafkaEndpoint) -> int:
    try:
        return publisher.send()
    except KafkaException as error:
        raise kafka_unavailable(kafka, error) from error


def _cached(publisher: Publisher) -> int:
    try:
        moved = publisher.cache()
        if not moved:
            publisher.fill_cache()
    except redis.RedisError as error:
        raise ServiceError(
            f"Redis does not take the segments of customers ({error})",
            next_step="Check that it runs and that REDIS_URL is right",
        ) from error
    return moved


def _attempt(report: Published, what: str, action: Callable[[], int], *, ends: bool) -> int:
    try:
        moved = action()
    except ServiceError as error:
        if ends:
            raise
        report.failures[what] = str(error)
        return 0
    report.failures.pop(what, None)
    return moved
