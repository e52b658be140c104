"""What an operator does to a stream: pause it, let it go on, accept that messages are lost."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException

from insight.database import Connection
from insight.errors import InputError
from insight.services import KafkaEndpoint
from streaming import progress
from streaming.progress import PartitionKey
from streaming.registry import known_stream, lock_registry
from streaming.topics import kafka_unavailable, watermarks


def pause(connection: Connection, stream: str) -> bool:
    """Stop a stream until `resume`; False when it was paused already."""
    return _set_paused(connection, stream, paused=True)


def resume(connection: Connection, stream: str) -> bool:
    """Let a paused or halted stream go on; False when it was neither.

    Raises InputError when messages are lost: whether to go on without them is another question.
    """
    unpaused = _set_paused(connection, stream, paused=False)
    _refuse_lost(connection, stream)
    resumed = progress.resume_stream(connection, stream) > 0
    if resumed:
        _tell_loaders(connection, stream)
    return unpaused or resumed


@dataclass(frozen=True)
class Loss:
    """Messages of a halted stream that Kafka no longer has: offsets `first` to `end` - 1.

    `first` to `end` may be empty. With `is_recreated` the topic was made anew: the partition's
    books are closed, and the messages of the new topic are loaded from its offset `low` on.
    """

    key: PartitionKey
    first: int
    end: int
    low: int
    is_recreated: bool

    @property
    def messages(self) -> int:
        return self.end - self.first


def lost_messages(connection: Connection, kafka: KafkaEndpoint, stream: str) -> list[Loss]:
    """What `accept_losses` would give up, by partition; empty when no loss has halted the stream.

    Raises ServiceError when Kafka does not answer, InputError for an unknown stream.
    """
    topic = known_stream(connection, stream).topic
    halt = _lost_state(connection, stream, kafka.cluster_id)
    if halt is None:
        return []
    # A new topic that has passed our offset shows no difference by its offsets.
    is_recreated = halt[0] == progress.HALTED_RECREATED
    found = []
    with _watermark_consumer(kafka) as consumer:
        for number, next_offset, high_watermark in _positions(connection, kafka, topic):
            low, _ = watermarks(consumer, topic, number)
            key = PartitionKey(kafka.cluster_id, topic, number)
            end = max(next_offset, high_watermark if is_recreated else low)
            found.append(Loss(key, next_offset, end, low, is_recreated))
    return found


def accept_losses(connection: Connection, stream: str, losses: Sequence[Loss]) -> int:
    """Record the losses as gaps and let the stream go on; returns how many messages are lost.

    A partition of a topic made anew keeps its rows, ledger and quarantine under its old
    `partition_id`, its topic named `<topic>@<number>`. The new topic's partition gets another
    one, so that an offset means one message for ever.
    """
    lock_registry(connection)
    total = 0
    for loss in losses:
        total += progress.accept_gap(connection, loss.key, loss.end)
    for topic in {(each.key.cluster_id, each.key.topic) for each in losses if each.is_recreated}:
        _close_books(connection, *topic)
    connection.execute(
        """update streaming.stream_progress set state = %s, state_reason = null
           where stream = %s and state = %s and cluster_id = any(%s)""",
        (
            progress.RUNNING,
            stream,
            progress.HALTED_GAP,
            [each.key.cluster_id for each in losses],
        ),
    )
    _tell_loaders(connection, stream)
    return total


def _close_books(connection: Connection, cluster_id: str, topic: str) -> None:
    connection.execute(
        """update streaming.stream_progress set
               topic = topic || '@' || (
                   select count(distinct topic) + 1 from streaming.stream_progress
                   where cluster_id = %(cluster_id)s and starts_with(topic, %(topic)s || '@')),
               state = %(replaced)s, state_reason = 'the topic was made anew',
               epoch = epoch + 1, high_watermark = next_offset
           where cluster_id = %(cluster_id)s and topic = %(topic)s""",
        {"cluster_id": cluster_id, "topic": topic, "replaced": progress.REPLACED},
    )


def _refuse_lost(connection: Connection, stream: str) -> None:
    lost = _lost_state(connection, stream, None)
    if lost is not None:
        raise InputError(
            f"is {lost[0]}: {lost[1]}",
            where=f"stream {stream}",
            next_step=f"To go on without them: insight streams accept-gap {stream}",
        )


def _lost_state(
    connection: Connection, stream: str, cluster_id: str | None
) -> tuple[object, ...] | None:
    return connection.execute(
        """select state, coalesce(state_reason, '') from streaming.stream_progress
           where stream = %(stream)s and state = any(%(states)s)
             and (cluster_id = %(cluster_id)s or %(cluster_id)s::text is null)
           order by state desc, topic, partition limit 1""",
        {
            "stream": stream,
            "states": [progress.HALTED_GAP, progress.HALTED_RECREATED],
            "cluster_id": cluster_id,
        },
    ).fetchone()


def _positions(
    connection: Connection, kafka: KafkaEndpoint, topic: str
) -> list[tuple[int, int, int]]:
    rows = connection.execute(
        """select partition, next_offset, high_watermark from streaming.stream_progress
           where cluster_id = %s and topic = %s order by partition""",
        (kafka.cluster_id, topic),
    ).fetchall()
    return [(int(str(a)), int(str(b)), int(str(c))) for a, b, c in rows]


@contextmanager
def _watermark_consumer(kafka: KafkaEndpoint) -> Iterator[Consumer]:
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": "insight-watermarks",
            "enable.auto.commit": False,
            "log_level": 3,
        }
    )
    try:
        yield consumer
    except KafkaException as error:
        raise kafka_unavailable(kafka, error) from error
    finally:
        consumer.close()


def _set_paused(connection: Connection, stream: str, *, paused: bool) -> bool:
    known_stream(connection, stream)
    lock_registry(connection)
    changed = connection.execute(
        """update streaming.streams
           set paused = %(paused)s, revision = nextval('streaming.streams_revision')
           where stream = %(stream)s and paused <> %(paused)s""",
        {"stream": stream, "paused": paused},
    )
    return changed.rowcount > 0


def _tell_loaders(connection: Connection, stream: str) -> None:
    """Loaders look at a halted stream again when the registry has moved."""
    lock_registry(connection)
    connection.execute(
        """update streaming.streams set revision = nextval('streaming.streams_revision')
           where stream = %s""",
        (stream,),
    )
