"""The one order in which movements count: that in which the loader committed them.

A raw row has a load id, its partition and its offset. Within a partition load ids grow with the
commits, because a loader draws one while it holds the partition's row of progress; so does a replay
from quarantine. Over all partitions the order is (load id, partition, offset): it lies in the table
and not in the moment of reading, so that whoever reads it, in whatever pieces, reads the same.

A load may commit after one with a higher id in another partition. Nothing is read past the
`horizon`, below which no load can appear any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from psycopg import sql

from insight.database import Connection
from segmentation.live.accounts import Movements
from streaming.contract import Contract
from streaming.tables import raw_table

_MOST_SPANS = 1_000


@dataclass(frozen=True, order=True)
class Place:
    """The last row that was read; the first place is before all of them."""

    load_id: int = 0
    partition_id: int = 0
    offset: int = -1


@dataclass(frozen=True)
class Span:
    """Offsets `lo` to `hi` of a partition, both included, as far as they have this load id."""

    load_id: int
    partition_id: int
    lo: int
    hi: int

    @property
    def end(self) -> Place:
        return Place(self.load_id, self.partition_id, self.hi)


@dataclass(frozen=True)
class Horizon:
    """A load id up to which every load of a stream is there for good.

    Unless `is_all`, loads that are committed lie behind it, and one before them may still come.
    """

    load_id: int
    is_all: bool


def horizon(connection: Connection, stream: str) -> Horizon:
    """How far the loads of a stream can be read. Waits for nobody.

    1. Lock the progress of the partitions that are not being loaded: their next load will draw an
       id above all that are drawn by now.
    2. In a partition that is being loaded the next load will have an id above its last one.
    """
    with connection.transaction():
        idle = connection.execute(
            """select partition_id from streaming.stream_progress where stream = %s
               order by partition_id for share skip locked""",
            (stream,),
        ).fetchall()
        row = connection.execute(
            """with partitions as (
                   select
                       partition_id,
                       partition_id = any(%(idle)s) as is_idle,
                       greatest(
                           coalesce((
                               select load_id from streaming.load_ledger ledger
                               where ledger.partition_id = progress.partition_id
                               order by lo desc limit 1
                           ), 0),
                           coalesce((
                               select max(replay_load_id) from streaming.quarantine
                               where quarantine.partition_id = progress.partition_id
                           ), 0)
                       ) as last_load_id
                   from streaming.stream_progress progress where stream = %(stream)s
               )
               select
                   coalesce(max(last_load_id), 0),
                   coalesce(min(last_load_id) filter (where not is_idle), max(last_load_id), 0)
               from partitions""",
            {"idle": [each for (each,) in idle], "stream": stream},
        ).fetchone()
    assert row is not None
    newest, safe = (int(str(each)) for each in row)
    return Horizon(safe, is_all=safe == newest)


def next_spans(
    connection: Connection, stream: str, after: Place, until: int, rows: int
) -> list[Span]:
    """What comes after a place, up to the load `until`: about `rows` offsets, in order.

    A message that was replayed from quarantine stands alone: its load is not the one around it.
    """
    found = connection.execute(
        """select load_id, partition_id, lo, hi from streaming.load_ledger
           where load_id between %(first)s and %(until)s and stream = %(stream)s and rows > 0
           union all
           select replay_load_id, partition_id, "offset", "offset" from streaming.quarantine
           where replay_load_id between %(first)s and %(until)s and stream = %(stream)s
           order by 1, 2, 3 limit %(most)s""",
        {
            "first": after.load_id,
            "until": until,
            "stream": stream,
            "most": _MOST_SPANS,
        },
    )
    spans, left = [], rows
    for load_id, partition_id, lo, hi in found:
        span = Span(*(int(str(each)) for each in (load_id, partition_id, lo, hi)))
        if span.end <= after:
            continue
        if (span.load_id, span.partition_id) == (after.load_id, after.partition_id):
            span = Span(span.load_id, span.partition_id, max(span.lo, after.offset + 1), span.hi)
        span = Span(span.load_id, span.partition_id, span.lo, min(span.hi, span.lo + left - 1))
        spans.append(span)
        left -= span.hi - span.lo + 1
        if left <= 0:
            break
    return spans


def first_movements(
    connection: Connection, contract: Contract, spans: Sequence[Span]
) -> tuple[Movements, int]:
    """The movements of the spans that were never seen before, in order; and how many others.

    Notes their ids in segmentation.live_transactions, in the caller's transaction: of the rows
    with one transaction_id the first counts. Amounts are rounded to the cent, as in staging.
    """
    rows = _rows(connection, contract, spans)
    ids = [str(row[0]) for row in rows]
    with connection.cursor() as cursor:
        cursor.execute(
            """insert into segmentation.live_transactions
               select * from unnest(%s::text[]) on conflict do nothing returning transaction_id""",
            # In the order of the index: next to each other in its pages.
            (sorted(ids),),
        )
        # Nearly always nothing comes twice, and all of them are new.
        firsts = rows if cursor.rowcount == len(rows) else _firsts(rows, cursor.fetchall())
    columns = list(zip(*firsts, strict=True)) or [()] * 5
    cents, at, landed = (np.array(each, np.int64) for each in columns[2:])
    return Movements(columns[1], cents, at, landed), len(rows) - len(firsts)


def _rows(
    connection: Connection, contract: Contract, spans: Sequence[Span]
) -> list[tuple[object, ...]]:
    statement = sql.SQL(
        """select
               transaction_id,
               customer_id,
               round(transaction_amt * 100)::bigint,
               (extract(epoch from transaction_time) * 1000000)::bigint,
               (extract(epoch from ingestion_timestamp) * 1000000)::bigint
           from unnest(%s::bigint[], %s::integer[], %s::bigint[], %s::bigint[])
               as span (load_id, partition_id, lo, hi)
           join {raw} raw
               on raw._partition_id = span.partition_id
               and raw._offset between span.lo and span.hi
               and raw._load_id = span.load_id
           order by _load_id, _partition_id, _offset"""
    ).format(raw=raw_table(contract))
    columns = ("load_id", "partition_id", "lo", "hi")
    values = [[getattr(each, name) for each in spans] for name in columns]
    with connection.cursor(binary=True) as cursor:
        return cursor.execute(statement, values).fetchall()


def _firsts(
    rows: Sequence[tuple[object, ...]], noted: Sequence[tuple[object, ...]]
) -> list[tuple[object, ...]]:
    """The first row of each id that was noted just now."""
    left = {each for (each,) in noted}
    firsts = []
    for row in rows:
        if row[0] in left:
            left.remove(row[0])
            firsts.append(row)
    return firsts


def save_offsets(connection: Connection, spans: Sequence[Span]) -> None:
    """Note how far each partition was read, in the caller's transaction; it never goes back."""
    connection.execute(
        """insert into segmentation.live_offsets as known
               (partition_id, topic, partition, next_offset)
           select progress.partition_id, progress.topic, progress.partition, max(span.hi) + 1
           from unnest(%s::integer[], %s::bigint[]) as span (partition_id, hi)
           join streaming.stream_progress progress using (partition_id)
           group by progress.partition_id, progress.topic, progress.partition
           on conflict (partition_id) do update
               set next_offset = greatest(known.next_offset, excluded.next_offset)""",
        ([each.partition_id for each in spans], [each.hi for each in spans]),
    )
