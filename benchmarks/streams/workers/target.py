"""The database and the topic of a request."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from pydantic import SecretStr

from insight.database import DatabaseEndpoint


def endpoint(request: Mapping[str, Any]) -> DatabaseEndpoint:
    """Where the rows go."""
    found = request["database"]
    return DatabaseEndpoint(
        found["PGHOST"],
        int(found["PGPORT"]),
        found["PGUSER"],
        SecretStr(found["PGPASSWORD"]),
        found["PGDATABASE"],
    )


def consumer(request: Mapping[str, Any]) -> Consumer:
    """A consumer of all partitions from their beginning, in no group.

    The fetch settings are the loader's; librdkafka's own defaults would stall it.
    """
    made = Consumer(
        {
            "bootstrap.servers": request["servers"],
            "group.id": request["group"],
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 10,
            "fetch.wait.max.ms": 50,
            "log_level": 3,
        }
    )
    made.assign(
        [TopicPartition(request["topic"], each, 0) for each in range(request["partitions"])]
    )
    return made
