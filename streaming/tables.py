"""The schema `streaming`: one raw table for each contract, and the loader's own records."""

from collections.abc import Sequence

from psycopg import sql

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import IntegrityError
from streaming.contract import Contract
from streaming.onboarding import ONBOARDING_VIEW
from streaming.records import PARTITION_VIEW, RECORDS, STATUS_VIEW

SCHEMA = "streaming"

# What the loader adds to the contract's columns, in the order in which it copies them.
COORDINATE_COLUMNS = ("_offset", "_partition_id", "_load_id")

# Any number that no other part of the project locks.
SCHEMA_LOCK = 7_203_411_982


def create_tables(database: DatabaseEndpoint, contracts: Sequence[Contract]) -> None:
    """Create or extend everything the streams need; does nothing the second time.

    Any number of processes may do so at once. Raises IntegrityError when a table holds a column
    of another type than its contract says.
    """
    with connect(database) as connection:
        # "if not exists" alone fails when two sessions create the same thing at one moment.
        connection.execute("select pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
        connection.execute("set local client_min_messages = warning")
        _refuse_older_layout(connection)
        connection.execute(RECORDS)
        for contract in contracts:
            create_raw_table(connection, contract)
        connection.execute(STATUS_VIEW)
        connection.execute(PARTITION_VIEW)
        connection.execute(ONBOARDING_VIEW)


def _refuse_older_layout(connection: Connection) -> None:
    row = connection.execute(
        """select bool_or(attname = 'partition_id') from pg_attribute
           where attrelid = to_regclass('streaming.stream_progress')"""
    ).fetchone()
    if row == (False,):
        raise IntegrityError(
            "was made by an earlier version, which kept other columns",
            where=f"schema {SCHEMA}",
            next_step="Run: insight reset",
        )


def raw_table(contract: Contract) -> sql.Identifier:
    """The qualified name of a contract's table."""
    return sql.Identifier(SCHEMA, contract.table)


def copy_statement(contract: Contract) -> sql.Composed:
    """COPY of the contract's columns, then the coordinates of the message."""
    names = [*contract.column_names, *COORDINATE_COLUMNS]
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    return sql.SQL("copy {} ({}) from stdin").format(raw_table(contract), columns)


def create_statement(contract: Contract) -> sql.Composed:
    """DDL of the table in which the messages of a stream land.

    A wider identity, or one more index, would double what a row costs Postgres.
    """
    columns = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(column.name),
            sql.SQL(column.physical_type),
            sql.SQL(" not null" if column.required else ""),
        )
        for column in contract.columns
    ]
    return sql.SQL(
        """create table if not exists {table} (
            {columns},
            ingestion_timestamp timestamptz not null default now(),
            _offset bigint not null,
            _partition_id integer not null,
            _load_id bigint not null,
            constraint {coordinates} unique (_partition_id, _offset)
        )"""
    ).format(
        table=raw_table(contract),
        columns=sql.SQL(", ").join(columns),
        coordinates=sql.Identifier(coordinates_constraint(contract)),
    )


def coordinates_constraint(contract: Contract) -> str:
    """The constraint that a message can only break when progress and data disagree."""
    return f"{contract.table}_offset_key"


def create_raw_table(connection: Connection, contract: Contract) -> None:
    connection.execute(create_statement(contract))
    _add_missing_columns(connection, contract)


def _add_missing_columns(connection: Connection, contract: Contract) -> None:
    found = connection.execute(
        """select attname, format_type(atttypid, null) from pg_attribute
           where attrelid = %s::regclass and attnum > 0 and not attisdropped""",
        (f"{SCHEMA}.{contract.table}",),
    ).fetchall()
    types = {str(name): _short_type(str(kind)) for name, kind in found}
    for column in contract.columns:
        if column.name not in types:
            connection.execute(
                sql.SQL("alter table {} add column {} {}").format(
                    raw_table(contract),
                    sql.Identifier(column.name),
                    sql.SQL(column.physical_type),
                )
            )
        elif types[column.name] != column.physical_type:
            raise IntegrityError(
                f"column {column.name} is {types[column.name]}, "
                f"its contract says {column.physical_type}",
                where=f"{SCHEMA}.{contract.table}",
                next_step="Give the changed stream a new table name in its contract",
            )


def _short_type(name: str) -> str:
    return "timestamptz" if name == "timestamp with time zone" else name
