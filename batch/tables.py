"""Schema raw and its tables."""

from psycopg import sql

from batch.sources import SOURCES, Source
from insight.database import Connection

# Any number that no other part locks: loads, and the first creation of the tables, take turns.
LOAD_LOCK = 7_205_001

_BOOKKEEPING = """
create table if not exists raw.rejected_rows (
    source text not null, _file text not null, _row bigint not null, column_name text,
    reason text not null, line text, _loaded_at timestamptz not null default now()
);
create table if not exists raw.loaded_files (
    source text primary key, file text not null, sha256 text not null, rows bigint not null,
    rejected bigint not null, generated boolean not null,
    loaded_at timestamptz not null default now()
);
"""


def create_tables(connection: Connection) -> None:
    """Create what is missing of schema raw; takes the load lock until the transaction ends."""
    connection.execute("select pg_advisory_xact_lock(%s)", [LOAD_LOCK])
    connection.execute("set local client_min_messages = warning")
    connection.execute("create schema if not exists raw")
    connection.execute(_BOOKKEEPING)
    for source in SOURCES:
        connection.execute(_source_table(source))


def table(source: Source) -> sql.Identifier:
    """The qualified name of the source's table."""
    return sql.Identifier("raw", source.name)


def _source_table(source: Source) -> sql.Composed:
    columns = [sql.SQL("{} text").format(sql.Identifier(name)) for name in source.column_names]
    return sql.SQL(
        "create table if not exists {} ({}, _file text not null, _row bigint not null,"
        " _loaded_at timestamptz not null default now())"
    ).format(table(source), sql.SQL(", ").join(columns))
