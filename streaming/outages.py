"""Outages of Postgres and Kafka, as the errors that a person is shown."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from confluent_kafka import KafkaException

from insight.database import DatabaseEndpoint
from insight.errors import ServiceError
from insight.services import KafkaEndpoint
from streaming.topics import kafka_unavailable

# What Postgres says of itself and not of a message: the same statement can succeed later. A
# standby that was not promoted yet and a transaction that it ended are filed under other classes.
DATABASE_OUTAGES = (
    psycopg.OperationalError,
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
)


@contextmanager
def outages_told(database: DatabaseEndpoint, kafka: KafkaEndpoint) -> Iterator[None]:
    """Raises ServiceError for a connection to either that breaks within the block."""
    try:
        yield
    except (*DATABASE_OUTAGES, psycopg.InterfaceError) as error:
        raise ServiceError(
            f"the connection to Postgres broke ({' '.join(str(error).split())})",
            where=str(database),
            next_step="Check that it runs, then start the same command again",
        ) from error
    except KafkaException as error:
        raise kafka_unavailable(kafka, error) from error
