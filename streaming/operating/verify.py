"""Proof from SQL alone that no message was lost, doubled or half-loaded.

Each check is one statement, so it sees one moment even while loaders are at work. What every
message was is not stored twice: two rows of one load that exchange their offsets go unnoticed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from insight.database import Connection
from streaming.operating.invariants import CHECKS

_BOOKS = ("streams", "stream_progress", "load_ledger", "quarantine")


@dataclass(frozen=True)
class Violation:
    """A row that breaks an invariant: I1 to I4, or `registry` when a stream is not known there."""

    invariant: str
    stream: str
    place: str
    detail: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.stream}{self.place}: {self.detail}"


def verify(connection: Connection) -> list[Violation]:
    """All violations of I1 to I4, at most a hundred a check; empty when the books balance."""
    tables = _raw_tables(connection)
    missing = _missing_books(connection)
    if missing:
        is_empty = len(missing) == len(_BOOKS) and not tables
        return [] if is_empty else [Violation("registry", each, "", "is gone") for each in missing]
    parts = {
        "raw": _union(_RAW, tables),
        "raw_tables": _union(_RAW_OF_STREAM, tables),
        "raw_names": _union(_RAW_NAME, tables),
    }
    places = _places(connection)
    return [
        violation
        for invariant, check in CHECKS
        for violation in _violations(connection, invariant, sql.SQL(check).format(**parts), places)
    ]


def has_streamed(connection: Connection) -> bool:
    """Whether there is anything to prove: a message was loaded, or a raw table is there."""
    if _missing_books(connection):
        return bool(_raw_tables(connection))
    row = connection.execute(
        """select exists (select from streaming.stream_progress)
               or exists (select from streaming.load_ledger)
               or exists (select from streaming.quarantine)"""
    ).fetchone()
    return row == (True,) or any(
        connection.execute(
            sql.SQL("select from {} limit 1").format(sql.Identifier("streaming", table))
        ).fetchone()
        is not None
        for _, table in _raw_tables(connection)
    )


_RAW = """select _partition_id as partition_id, _offset as "offset", _load_id as load_id
    from {table}"""
_RAW_OF_STREAM = """select {stream} as stream, {name} as table_name, _partition_id as partition_id
    from {table}"""
_RAW_NAME = "select {name} as name, exists (select from {table}) as filled"


def _missing_books(connection: Connection) -> list[str]:
    rows = connection.execute(
        """select 'streaming.' || name from unnest(%s::text[]) as name
           where to_regclass('streaming.' || name) is null""",
        (list(_BOOKS),),
    )
    return [str(name) for (name,) in rows]


def _raw_tables(connection: Connection) -> list[tuple[str | None, str]]:
    """(stream, name) of every table that has a loader's columns, also of streams not registered."""
    rows = connection.execute(
        """select relname::text from pg_class join pg_attribute on attrelid = pg_class.oid
           where relnamespace = to_regnamespace('streaming') and relkind in ('r', 'p')
             and attname in ('_partition_id', '_offset', '_load_id') and not attisdropped
           group by relname having count(*) = 3 order by relname"""
    ).fetchall()
    streams = _streams_of_tables(connection)
    return [(streams.get(str(name)), str(name)) for (name,) in rows]


def _streams_of_tables(connection: Connection) -> dict[str, str]:
    if connection.execute("select to_regclass('streaming.streams')").fetchone() == (None,):
        return {}
    rows = connection.execute("select table_name, stream from streaming.streams")
    return {str(table): str(stream) for table, stream in rows}


def _union(template: LiteralString, tables: list[tuple[str | None, str]]) -> sql.Composable:
    if not tables:
        return sql.SQL(
            """select null::integer as partition_id, null::bigint as "offset",
               null::bigint as load_id, null::text as stream, null::text as table_name,
               null::text as name, false as filled where false"""
        )
    parts = [
        sql.SQL(template).format(
            stream=sql.Literal(stream) + sql.SQL("::text"),
            name=sql.Literal(table) + sql.SQL("::text"),
            table=sql.Identifier("streaming", table),
        )
        for stream, table in tables
    ]
    return sql.SQL(" union all ").join(parts)


def _places(connection: Connection) -> dict[int, tuple[str, str]]:
    """(stream, readable place) by partition_id, as progress or else the ledger says."""
    rows = connection.execute(
        """select partition_id, stream, format(', %s[%s] of %s', topic, partition, cluster_id)
           from streaming.load_ledger
           union all
           select partition_id, stream, format(', %s[%s] of %s', topic, partition, cluster_id)
           from streaming.stream_progress"""
    )
    return {int(str(number)): (str(stream), str(place)) for number, stream, place in rows}


def _violations(
    connection: Connection,
    invariant: str,
    check: sql.Composed,
    places: dict[int, tuple[str, str]],
) -> Iterator[Violation]:
    rows = connection.execute(check + sql.SQL(" order by 1, 2, 3 limit 100")).fetchall()
    for partition_id, stream, detail in rows:
        known, place = ("schema streaming", "")
        if partition_id is not None:
            unknown = ("unknown stream", f", partition_id {partition_id}")
            known, place = places.get(int(str(partition_id)), unknown)
        yield Violation(invariant, str(stream or known), place, str(detail))
