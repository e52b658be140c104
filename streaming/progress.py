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


@dataclass(frozen=True)
class PartitionId:
    """A partition of a topic of one cluster; offsets mean nothing without all three."""

    cluster_id: str
    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


@dataclass(frozen=True)
class Claim:
    """The right to load a partition from `next_offset` on, until somebody claims it later."""

    id: PartitionId
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


def claim(
    connection: Connection, stream: str, partition: PartitionId, owner: str, low: int, high: int
) -> Claim:
    """Take a partition over: every earlier claim stops being good.

    `low` and `high` are its watermarks; a partition never seen before starts at `low`.
    """
    row = connection.execute(
        """insert into streaming.stream_progress as known
               (stream, cluster_id, topic, partition, first_offset, next_offset,
                epoch, owner, high_watermark)
           values (%(stream)s, %(cluster_id)s, %(topic)s, %(partition)s, %(low)s, %(low)s,
                   1, %(owner)s, %(high)s)
           on conflict (cluster_id, topic, partition) do update set
               epoch = known.epoch + 1, owner = excluded.owner, claimed_at = now(),
               high_watermark = excluded.high_watermark
           returning epoch, next_offset""",
        {
            "stream": stream,
            "cluster_id": partition.cluster_id,
            "topic": partition.topic,
            "partition": partition.partition,
            "low": low,
            "high": high,
            "owner": owner,
        },
    ).fetchone()
    assert row is not None
    epoch, next_offset = row
    return Claim(partition, int(str(epoch)), int(str(next_offset)))


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
           where cluster_id = %(cluster_id)s and topic = %(topic)s and partition = %(partition)s
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
            "cluster_id": held.id.cluster_id,
            "topic": held.id.topic,
            "partition": held.id.partition,
            "epoch": held.epoch,
        },
    )
    row = cursor.fetchone()
    if cursor.rowcount != 1 or row is None:
        raise FencedError(f"{held.id} has another owner than epoch {held.epoch}")
    return int(str(row[0]))


def correct_advance(connection: Connection, partition: PartitionId, moved: int) -> None:
    """Count `moved` rows as quarantined after all, inside the batch's transaction."""
    connection.execute(
        """update streaming.stream_progress set
               rows_total = rows_total - %s, quarantined_total = quarantined_total + %s
           where cluster_id = %s and topic = %s and partition = %s""",
        (moved, moved, partition.cluster_id, partition.topic, partition.partition),
    )


def halt(connection: Connection, partition: PartitionId, state: str, reason: str) -> None:
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
           where stream = %s and cluster_id = %s and state <> %s
           order by topic, partition limit 1""",
        (stream, cluster_id, RUNNING),
    ).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


def resume_stream(connection: Connection, stream: str) -> int:
    """Let a halted stream go on (an operator's decision); returns how many partitions.

    A retention gap halts it again at once: that one has to be accepted.
    """
    return connection.execute(
        """update streaming.stream_progress set state = %s, state_reason = null
           where stream = %s and state <> %s""",
        (RUNNING, stream, RUNNING),
    ).rowcount


def accept_gap(connection: Connection, partition: PartitionId, low: int) -> int:
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
           returning new.stream, old.next_offset""",
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
    stream, first_lost = row
    lost = low - int(str(first_lost))
    connection.execute(
        """insert into streaming.load_ledger
               (stream, cluster_id, topic, partition, lo, hi, rows, quarantined, gaps)
           values (%s, %s, %s, %s, %s, %s, 0, 0, %s)""",
        (
            stream,
            partition.cluster_id,
            partition.topic,
            partition.partition,
            first_lost,
            low - 1,
            lost,
        ),
    )
    return lost
