"""Postgres, Kafka and Redis: embedded ones that start by themselves, or external ones by URL.

`open_services` is all that the rest of the project needs; nothing outside this package knows
which kind it talks to.
"""

from insight.services.access import Services, open_services
from insight.services.endpoints import KafkaEndpoint, RedisEndpoint
from insight.services.lease import keep_running, running_endpoints, stop

__all__ = [
    "KafkaEndpoint",
    "RedisEndpoint",
    "Services",
    "keep_running",
    "open_services",
    "running_endpoints",
    "stop",
]
