"""The embedded Kafka: librdkafka's own broker, inside the keeper's process.

It speaks the real protocol, holds its log in memory (about 5 MiB a partition, oldest dropped
first), creates topics with 4 partitions on first use and forgets everything when it stops.
"""

import uuid

from confluent_kafka import Producer

from insight.errors import ServiceError
from insight.services.endpoints import KafkaEndpoint


class EmbeddedKafka:
    """A one-broker cluster that lives as long as this object."""

    def __init__(self) -> None:
        self._owner = Producer(
            {
                "bootstrap.servers": "127.0.0.1:1",
                "test.mock.num.brokers": 1,
                "log_level": 3,
            }
        )

    def endpoint(self) -> KafkaEndpoint:
        """Raises ServiceError when the broker does not answer within 10 seconds."""
        brokers = list(self._owner.list_topics(timeout=10).brokers.values())
        if not brokers:
            raise ServiceError("the embedded Kafka broker does not answer")
        address = f"{brokers[0].host}:{brokers[0].port}"
        return KafkaEndpoint(address, f"embedded-{uuid.uuid4()}", embedded=True)
