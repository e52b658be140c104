"""Topics: created from contracts where the cluster lets us, and their watermarks."""

import time
from collections.abc import Sequence
from concurrent.futures import Future

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from insight.errors import ServiceError
from insight.services import KafkaEndpoint
from streaming.contract import Contract

_TIMEOUT_SECONDS = 10.0
_TOPIC_EXISTS = "TOPIC_ALREADY_EXISTS"
# Told for a moment after a topic was created, or while a partition moves to another broker.
_LEADERLESS = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE}


def ensure_topics(kafka: KafkaEndpoint, contracts: Sequence[Contract]) -> dict[str, int]:
    """Create the topics that are missing; returns the number of partitions of each.

    An embedded broker creates a topic when a producer asks for it, always with 4 partitions.
    Raises ServiceError when Kafka does not answer or refuses.
    """
    try:
        if not kafka.embedded:
            _create_missing(kafka, contracts)
        producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 3})
        return {each.topic: _partitions(producer, each.topic) for each in contracts}
    except KafkaException as error:
        raise kafka_unavailable(kafka, error) from error


def ensure_topic(kafka: KafkaEndpoint, topic: str, partitions: int, retention_seconds: int) -> None:
    """Create one topic that no contract describes, if it is missing. Raises ServiceError."""
    try:
        if not kafka.embedded:
            _create(kafka, [_new_topic(topic, partitions, retention_seconds)])
        producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 3})
        _partitions(producer, topic)
    except KafkaException as error:
        raise kafka_unavailable(kafka, error) from error


def topic_ids(kafka: KafkaEndpoint, topics: Sequence[str]) -> dict[str, str]:
    """Kafka's own id of each topic that exists: a topic made anew under its name has another one.

    Empty for an embedded broker, which has no such ids. Raises KafkaException.
    """
    if kafka.embedded:
        return {}
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 3})
    described = admin.describe_topics(
        TopicCollection(list(topics)), request_timeout=_TIMEOUT_SECONDS
    )
    found = {}
    for topic, future in described.items():
        try:
            found[topic] = str(future.result().topic_id)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
    return found


def watermarks(consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    """Oldest offset still there, and the offset that the next message will get."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        try:
            low, high = consumer.get_watermark_offsets(
                TopicPartition(topic, partition), timeout=_TIMEOUT_SECONDS
            )
        except KafkaException as error:
            if error.args[0].code() not in _LEADERLESS or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return int(low), int(high)


def fetched_watermark(consumer: Consumer, topic: str, partition: int) -> int:
    """The end of a partition as the newest fetch told it; -1 when nothing was fetched yet.

    Asks nobody, so it can be called for every batch.
    """
    found = consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
    return max(int(found[1]), -1) if found else -1


def kafka_unavailable(kafka: KafkaEndpoint, error: KafkaException) -> ServiceError:
    """The error to show for a cluster that does not answer."""
    reason = error.args[0].str() if error.args else str(error)
    return ServiceError(
        f"Kafka does not answer as it should ({reason})",
        where=kafka.bootstrap_servers,
        next_step="Check that it runs and that KAFKA_BOOTSTRAP_SERVERS is right",
    )


def _create_missing(kafka: KafkaEndpoint, contracts: Sequence[Contract]) -> None:
    _create(
        kafka,
        [_new_topic(each.topic, each.partitions, each.retention_seconds) for each in contracts],
    )


def _new_topic(name: str, partitions: int, retention_seconds: int) -> NewTopic:
    return NewTopic(
        name, num_partitions=partitions, config={"retention.ms": str(retention_seconds * 1000)}
    )


def _create(kafka: KafkaEndpoint, topics: Sequence[NewTopic]) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 3})
    known = admin.list_topics(timeout=_TIMEOUT_SECONDS).topics
    missing = [each for each in topics if each.topic not in known]
    if missing:
        created = admin.create_topics(missing, request_timeout=_TIMEOUT_SECONDS)
        for future in created.values():
            _wait_for_creation(future)


def _wait_for_creation(future: Future[None]) -> None:
    try:
        future.result()
    except KafkaException as error:
        if error.args[0].name() != _TOPIC_EXISTS:
            raise


def _partitions(producer: Producer, topic: str) -> int:
    """A topic that was just created can be unknown for a moment."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        found = producer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic]
        if found.partitions and found.error is None:
            return len(found.partitions)
        if time.monotonic() > deadline:
            raise KafkaException(found.error)
        time.sleep(0.05)
