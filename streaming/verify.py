"""Proof from SQL alone that no message was lost, doubled or half-loaded.

Each invariant is one statement, so it sees one moment even while loaders are at work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from insight.database import Connection

_CONSERVATION = """
with stored as ({stored}),
quarantined as (
    select stream, cluster_id, topic, partition, count(*) as messages
    from streaming.quarantine group by stream, cluster_id, topic, partition
),
books as (
    select
        stream, cluster_id, topic, partition,
        first_offset, next_offset, rows_total, quarantined_total, gap_total,
        coalesce(stored.messages, 0) as raw_rows,
        coalesce(quarantined.messages, 0) as quarantine_rows
    from streaming.stream_progress as progress
    full join stored using (stream, cluster_id, topic, partition)
    full join quarantined using (stream, cluster_id, topic, partition)
)
select stream, cluster_id, topic, partition, format(
    '%s rows + %s quarantined + %s gaps, but offsets %s to %s were passed',
    raw_rows, quarantine_rows, coalesce(gap_total, 0), coalesce(first_offset::text, 'none'),
    coalesce((next_offset - 1)::text, 'none'))
from books
where first_offset is null
    or raw_rows + quarantine_rows + gap_total <> next_offset - first_offset
    or raw_rows <> rows_total or quarantine_rows <> quarantined_total
"""

# Totals that agree can hide a row that is missing and another that does not belong.
_LOADS = """
with landed as ({landed})
select stream, cluster_id, topic, partition, format(
    'load %s has %s rows at offsets %s to %s, the ledger says %s rows at %s to %s',
    load_id, coalesce(messages, 0), lowest, highest, coalesce(ledger.rows, 0), lo, hi)
from landed
full join streaming.load_ledger as ledger using (stream, cluster_id, topic, partition, load_id)
where lo is null or coalesce(messages, 0) <> ledger.rows or lowest < lo or highest > hi
"""

_UNIQUENESS = """
select stream, cluster_id, topic, partition,
    format('offset %s is stored %s times', "offset", count(*))
from ({coordinates}) as messages
group by stream, cluster_id, topic, partition, "offset"
having count(*) > 1
"""

_CONTIGUITY = """
with ranges as (
    select
        ledger.*,
        coalesce(
            lag(hi) over (partition by cluster_id, topic, partition order by lo) + 1,
            progress.first_offset
        ) as expected
    from streaming.load_ledger as ledger
    left join streaming.stream_progress as progress using (cluster_id, topic, partition)
)
select stream, cluster_id, topic, partition, format(
    'load %s covers offsets %s to %s, expected from %s, with %s rows, %s quarantined, %s gaps',
    load_id, lo, hi, coalesce(expected::text, 'nothing'), rows, quarantined, gaps)
from ranges
where expected is null or lo <> expected or rows + quarantined + gaps <> hi - lo + 1
"""

_AGREEMENT = """
with newest as (
    select cluster_id, topic, partition, max(hi) as hi
    from streaming.load_ledger group by cluster_id, topic, partition
)
select stream, cluster_id, topic, partition, format(
    'next offset is %s, but the ledger ends at %s',
    next_offset, coalesce(hi::text, 'nothing'))
from streaming.stream_progress
left join newest using (cluster_id, topic, partition)
where next_offset <> coalesce(hi + 1, first_offset)
"""


@dataclass(frozen=True)
class Violation:
    """A row that breaks I1 conservation, I2 uniqueness, I3 contiguity or I4 agreement."""

    invariant: str
    stream: str
    cluster_id: str
    topic: str
    partition: int
    detail: str

    def __str__(self) -> str:
        place = f"{self.stream}, {self.topic}[{self.partition}] of {self.cluster_id}"
        return f"{self.invariant}: {place}: {self.detail}"


def verify(connection: Connection) -> list[Violation]:
    """All violations of I1 to I4, at most a hundred each; empty when the books balance."""
    tables = _raw_tables(connection)
    if not tables:
        return []
    statements: tuple[tuple[str, sql.Composed], ...] = (
        ("I1", _with(_CONSERVATION, stored=_union(_STORED, tables))),
        ("I1", _with(_LOADS, landed=_union(_LANDED, tables))),
        ("I2", _with(_UNIQUENESS, coordinates=_union(_COORDINATES, tables, _QUARANTINED))),
        ("I3", _with(_CONTIGUITY)),
        ("I4", _with(_AGREEMENT)),
    )
    return [
        violation
        for invariant, statement in statements
        for violation in _violations(connection, invariant, statement)
    ]


_STORED = """select {stream} as stream, _cluster_id as cluster_id, _topic as topic,
    _partition as partition, count(*) as messages from {table} group by 1, 2, 3, 4"""
_LANDED = """select {stream} as stream, _cluster_id as cluster_id, _topic as topic,
    _partition as partition, _load_id as load_id, count(*) as messages,
    min(_offset) as lowest, max(_offset) as highest from {table} group by 1, 2, 3, 4, 5"""
_COORDINATES = """select {stream} as stream, _cluster_id as cluster_id, _topic as topic,
    _partition as partition, _offset as "offset" from {table}"""
_QUARANTINED = """select stream, cluster_id, topic, partition, "offset" from streaming.quarantine"""


def _raw_tables(connection: Connection) -> list[tuple[str, str]]:
    if connection.execute("select to_regclass('streaming.streams')").fetchone() == (None,):
        return []
    rows = connection.execute("select stream, table_name from streaming.streams order by stream")
    return [(str(stream), str(table)) for stream, table in rows]


def _with(statement: LiteralString, **parts: sql.Composable) -> sql.Composed:
    return sql.SQL(statement).format(**parts) + sql.SQL(" order by 1, 2, 3, 4 limit 100")


def _union(
    template: LiteralString, tables: Sequence[tuple[str, str]], *more: LiteralString
) -> sql.Composed:
    parts: list[sql.Composable] = [
        sql.SQL(template).format(
            stream=sql.Literal(stream) + sql.SQL("::text"),
            table=sql.Identifier("streaming", table),
        )
        for stream, table in tables
    ]
    return sql.SQL(" union all ").join([*parts, *map(sql.SQL, more)])


def _violations(connection: Connection, invariant: str, statement: sql.Composed) -> list[Violation]:
    rows = connection.execute(statement).fetchall()
    return [
        Violation(
            invariant, str(stream), str(cluster), str(topic), int(str(partition)), str(detail)
        )
        for stream, cluster, topic, partition, detail in rows
    ]
