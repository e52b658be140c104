"""One way to Postgres, Kafka and Redis, embedded or external."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from insight.database import DatabaseEndpoint
from insight.errors import ServiceError
from insight.services.endpoints import EmbeddedEndpoints, KafkaEndpoint, RedisEndpoint
from insight.services.lease import lease
from insight.settings import EMBEDDED, Settings

_KAFKA_SECONDS = 10


class Services:
    """The three services. An external one is first contacted when it is asked for."""

    def __init__(self, settings: Settings, stack: ExitStack):
        self._settings = settings
        self._stack = stack

    @cached_property
    def database(self) -> DatabaseEndpoint:
        url = self._settings.database_url
        if url.get_secret_value() == EMBEDDED:
            return self._embedded.database
        return DatabaseEndpoint.from_url(url)

    @cached_property
    def kafka(self) -> KafkaEndpoint:
        """Raises ServiceError when an external cluster does not answer within 10 seconds."""
        servers = self._settings.kafka_bootstrap_servers
        if servers == EMBEDDED:
            return self._embedded.kafka
        try:
            cluster_id = (
                AdminClient({"bootstrap.servers": servers})
                .list_topics(timeout=_KAFKA_SECONDS)
                .cluster_id
            )
        except KafkaException as error:
            raise ServiceError(
                "Kafka does not answer",
                where=servers,
                next_step="Check that it runs and that KAFKA_BOOTSTRAP_SERVERS is right",
            ) from error
        return KafkaEndpoint(servers, str(cluster_id), embedded=False)

    @cached_property
    def redis(self) -> RedisEndpoint:
        url = self._settings.redis_url
        if url.get_secret_value() == EMBEDDED:
            return self._embedded.redis
        return RedisEndpoint(url)

    @cached_property
    def _embedded(self) -> EmbeddedEndpoints:
        return self._stack.enter_context(lease(self._settings.home))


@contextmanager
def open_services(settings: Settings) -> Iterator[Services]:
    """The services for the length of the block; embedded ones are started when first needed."""
    with ExitStack() as stack:
        yield Services(settings, stack)
