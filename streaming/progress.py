"""Which offset of each partition comes next, and who may load it.

Progress lives in the database beside the data, so both move in one transaction. Being the owner
in Kafka's consumer group is only a hint: what counts is the epoch in the partition's row.
"""

from dataclasses import dataclass
from datetime import datetime

from insight.database import Connection

RUNNING = "running"
HALTED_GAP = "halted_gap"
HALTED_RECREATED = "halted_recreated"
HALTED_LIMIT = "halted_limit"
# The books of a topic that was deleted and made anew: kept, and never loaded into again.
REPLACED = "replaced"


@dataclass(frozen=True)
class PartitionKey:
    """A partition of a topic of one cluster; offsets mean nothing without all three."""

    cluster_id: str
    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


@dataclass(frozen=True)
class Claim:
    """The right to load a partition from `next_offset` on, until somebody claims it later.

    `partition_id` is the short name that raw rows have for `key`.
    """

    key: PartitionKey
    partition_id: int
    epoch: int
    next_offset: int


class FencedError(Exception):
    """Another owner claimed the partition or moved its progress; nothing was written."""


def next_offsets(connection: Connection, cluster_id: str, topic: str) -> dict[int, int]:
    """The next offset of each partition of a topic that was ever claimed."""
    rows = connection.execute(
        """select partition, next_offset from streaming.stream_progress
           where cluster_id = %s and topic = %s""",
        (cluster_id, topic),
    )
    return {int(str(partition)): int(str(offset)) for partition, offset in rows}


def known_topic_id(connection: Connection, partition: PartitionKey) -> str | None:
    """Kafka's id of the topic that was loaded so far; None when it is not known."""
    row = connection.execute(
        """select topic_id from streaming.stream_progress
           where cluster_id = %s and topic = %s and partition = %s""",
        (partition.cluster_id, partition.topic, partition.partition),
    ).fetchone()
    return None if row is None or row[0] is None else str(row[0])


def claim(
    connection: Connection,
    stream: str,
    partition: PartitionKey,
    owner: str,
    low: int,
    high: int,
    topic_id: str | None = None,
) -> Claim:
    """Take a partition over: every earlier claim stops being good.

    `low` and `high` are its watermarks; a partition never seen before starts at `low`.
    """
    row = connection.execute(
        """insert into streaming.stream_progress as known
               (stream, cluster_id, topic, topic_id, partition, first_offset, next_offset,
                epoch, owner, high_watermark)
           values (%(stream)s, %(cluster_id)s, %(topic)s, %(topic_id)s, %(partition)s, %(low)s,
                   %(low)s, 1, %(owner)s, %(high)s)
           on conflict (cluster_id, topic, partition) do update set
               epoch = known.epoch + 1, owner = excluded.owner, claimed_at = now(),
               high_watermark = greatest(known.high_watermark, excluded.high_watermark),
               topic_id = coalesce(known.topic_id, excluded.topic_id)
           returning partition_id, epoch, next_offset""",
        {
            "stream": stream,
            "cluster_id": partition.cluster_id,
            "topic": partition.topic,
            "topic_id": topic_id,
            "partition": partition.partition,
            "low": low,
            "high": high,
            "owner": owner,
        },
    ).fetchone()
    assert row is not None
    partition_id, epoch, next_offset = (int(str(each)) for each in row)
    return Claim(partition, partition_id, epoch, next_offset)


def name_session(connection: Connection, owner: str) -> None:
    """Name a loader's session after it, so that `end_stalled_owner` can find it."""
    connection.execute("select set_config('application_name', %s, false)", (owner,))


def end_stalled_owner(
    connection: Connection, partition: PartitionKey, stall_seconds: float
) -> None:
    """End the session of a partition's owner when it has stood still in a COPY for so long.

    No timeout of Postgres does: it looks at none while it waits for a client's next rows. A loader
    that froze there would keep the row of its progress locked, and everybody from its partition.
    """
    connection.execute(
        # Postgres cuts an application's name off after 63 bytes.
        """select pg_terminate_backend(session.pid, 5000)
           from pg_stat_activity session
           join streaming.stream_progress known on session.application_name = left(known.owner, 63)
           where (known.cluster_id, known.topic, known.partition) = (%s, %s, %s)
             and session.datname = current_database() and session.pid <> pg_backend_pid()
             and session.state = 'active' and session.wait_event = 'ClientRead'
             and session.query_start < now() - make_interval(secs => %s)""",
        (partition.cluster_id, partition.topic, partition.partition, stall_seconds),
    )


@dataclass(frozen=True)
class Advance:
    """How one batch moves a partition: offsets `lo` to `hi`, both included."""

    lo: int
    hi: int
    rows: int
    quarantined: int
    gaps: int
    high_watermark: int
    newest_event_at: datetime | None = None
    state: str = RUNNING
    state_reason: str | None = None


def advance(connection: Connection, held: Claim, move: Advance) -> int:
    """Move progress past a batch, inside the batch's transaction; returns its load id.

    It comes first, so that an owner who lost the partition fails before it ships any row.
    Raises FencedError when the claim is no longer good or progress is not where it was.
    """
    cursor = connection.execute(
        """update streaming.stream_progress set
               next_offset = %(hi)s + 1,
               rows_total = rows_total + %(rows)s,
               quarantined_total = quarantined_total + %(quarantined)s,
               gap_total = gap_total + %(gaps)s,
               high_watermark = greatest(high_watermark, %(high)s, %(hi)s + 1),
               last_commit_at = now(),
               last_event_at = greatest(last_event_at, %(newest)s),
               state = %(state)s,
               state_reason = %(reason)s
           where partition_id = %(partition_id)s
             and next_offset = %(lo)s and epoch = %(epoch)s
           returning nextval(pg_get_serial_sequence('streaming.load_ledger', 'load_id'))""",
        {
            "lo": move.lo,
            "hi": move.hi,
            "rows": move.rows,
            "quarantined": move.quarantined,
            "gaps": move.gaps,
            "high": move.high_watermark,
            "newest": move.newest_event_at,
            "state": move.state,
            "reason": move.state_reason,
            "partition_id": held.partition_id,
            "epoch": held.epoch,
        },
    )
    row = cursor.fetchone()
    if cursor.rowcount != 1 or row is None:
        raise FencedError(f"{held.key} has another owner than epoch {held.epoch}")
    return int(str(row[0]))


def correct_advance(connection: Connection, held: Claim, moved: int) -> None:
    """Count `moved` rows as quarantined after all, inside the batch's transaction."""
    connection.execute(
        """update streaming.stream_progress set
               rows_total = rows_total - %s, quarantined_total = quarantined_total + %s
           where partition_id = %s""",
        (moved, moved, held.partition_id),
    )


def halt(connection: Connection, partition: PartitionKey, state: str, reason: str) -> None:
    """Record why a partition is not loaded any further."""
    connection.execute(
        """update streaming.stream_progress set state = %s, state_reason = %s
           where cluster_id = %s and topic = %s and partition = %s""",
        (state, reason, partition.cluster_id, partition.topic, partition.partition),
    )


def halted(connection: Connection, stream: str, cluster_id: str) -> tuple[str, str] | None:
    """(state, reason) of a stream that must not be loaded: one halted partition halts it all."""
    row = connection.execute(
        """select state, coalesce(state_reason, '') from streaming.stream_progress
           where stream = %s and cluster_id = %s and state <> all(%s)
           order by topic, partition limit 1""",
        (stream, cluster_id, [RUNNING, REPLACED]),
    ).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


def resume_stream(connection: Connection, stream: str) -> int:
    """Let a stream that had gone bad go on (an operator's decision); returns how many partitions.

    A gap or a topic made anew stays a halt: what is lost has to be accepted.
    """
    return connection.execute(
        """update streaming.stream_progress set state = %s, state_reason = null
           where stream = %s and state = %s""",
        (RUNNING, stream, HALTED_LIMIT),
    ).rowcount


def accept_gap(connection: Connection, partition: PartitionKey, low: int) -> int:
    """Go on at `low`, the oldest message that is still there; returns how many are lost.

    The lost offsets get a ledger row and count as gaps, so that the books still balance.
    """
    row = connection.execute(
        """update streaming.stream_progress new set
               next_offset = %(low)s, gap_total = new.gap_total + %(low)s - old.next_offset,
               epoch = new.epoch + 1, state = %(running)s, state_reason = null
           from streaming.stream_progress old
           where new.cluster_id = %(cluster_id)s and new.topic = %(topic)s
             and new.partition = %(partition)s and new.next_offset < %(low)s
             and (old.cluster_id, old.topic, old.partition)
                 = (new.cluster_id, new.topic, new.partition)
           returning new.stream, new.partition_id, old.next_offset""",
        {
            "low": low,
            "running": RUNNING,
            "cluster_id": partition.cluster_id,
            "topic": partition.topic,
            "partition": partition.partition,
        },
    ).fetchone()
    if row is None:
        return 0
    stream, partition_id, first_lost = row
    lost = low - int(str(first_lost))
    connection.execute(
        """insert into streaming.load_ledger
               (stream, partition_id, cluster_id, topic, partition, lo, hi, rows, quarantined, gaps)
           values (%s, %s, %s, %s, %s, %s, %s, 0, 0, %s)""",
        (
            stream,
            partition_id,
            partition.cluster_id,
            partition.topic,
            partition.partition,
            first_lost,
            low - 1,
            lost,
        ),
    )
    return lost
