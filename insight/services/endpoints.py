"""Addresses of running services, and their form on disk (a file only its owner can read)."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from insight.database import DatabaseEndpoint


@dataclass(frozen=True)
class KafkaEndpoint:
    """A reachable Kafka cluster.

    `cluster_id` is part of a row's identity: an embedded broker forgets its log when it stops
    and counts offsets from 0 again, under a new cluster id.
    """

    bootstrap_servers: str
    cluster_id: str
    embedded: bool


@dataclass(frozen=True)
class RedisEndpoint:
    """A reachable Redis server."""

    url: SecretStr


@dataclass(frozen=True)
class EmbeddedEndpoints:
    """What the keeper of the embedded services publishes once all of them answer."""

    keeper_pid: int
    database: DatabaseEndpoint
    kafka: KafkaEndpoint
    redis: RedisEndpoint

    def write(self, path: Path) -> None:
        document = {
            "keeper_pid": self.keeper_pid,
            "database": {
                "host": self.database.host,
                "port": self.database.port,
                "user": self.database.user,
                "password": self.database.password.get_secret_value(),
                "dbname": self.database.dbname,
            },
            "kafka": {
                "bootstrap_servers": self.kafka.bootstrap_servers,
                "cluster_id": self.kafka.cluster_id,
            },
            "redis": {"url": self.redis.url.get_secret_value()},
        }
        write_private(path, json.dumps(document))

    @classmethod
    def read(cls, path: Path) -> "EmbeddedEndpoints | None":
        """None when there is no such file, or a damaged one."""
        try:
            return cls._from_document(json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    @classmethod
    def _from_document(cls, document: dict[str, Any]) -> "EmbeddedEndpoints":
        database = document["database"]
        return cls(
            keeper_pid=document["keeper_pid"],
            database=DatabaseEndpoint(
                database["host"],
                database["port"],
                database["user"],
                SecretStr(database["password"]),
                database["dbname"],
            ),
            kafka=KafkaEndpoint(**document["kafka"], embedded=True),
            redis=RedisEndpoint(SecretStr(document["redis"]["url"])),
        )


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600 in one step: a reader sees the old content or the new one."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    unfinished.replace(path)
