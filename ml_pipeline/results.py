"""Schema ml: what the pipeline leaves in the warehouse, one table a result.

A result is replaced whole, in one transaction: a reader sees the rows of one run. dbt reads the
tables as sources; they exist, empty, from the first load on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg import sql

from insight.database import Connection, DatabaseEndpoint, connect

# Any number that no other part locks: several processes can make the tables at once.
_LOCK = 7_205_006


@dataclass(frozen=True)
class ResultTable:
    """A table of schema ml; `columns` maps a name to its Postgres type and constraints."""

    name: str
    columns: dict[str, str]
    keys: tuple[str, ...]

    @property
    def identifier(self) -> sql.Identifier:
        """The qualified name."""
        return sql.Identifier("ml", self.name)


CUSTOMER_SEGMENTS = ResultTable(
    "customer_segments",
    {
        "customer_id": "text",
        "segment_id": "integer not null",
        "segment_name": "text not null",
    },
    keys=("customer_id",),
)

REVENUE_ANOMALIES = ResultTable(
    "revenue_anomalies",
    {
        "product_id": "text",
        "window_start": "timestamptz",
        "expected_revenue": "numeric(14, 2) not null",
        "actual_revenue": "numeric(14, 2) not null",
        "score": "numeric(5, 2) not null",
        "direction": "text not null",
        "reason": "text not null",
    },
    keys=("product_id", "window_start"),
)

TABLES: tuple[ResultTable, ...] = (CUSTOMER_SEGMENTS, REVENUE_ANOMALIES)


def create_tables(database: DatabaseEndpoint) -> None:
    """Create what is missing of schema ml."""
    with connect(database) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        connection.execute("set local client_min_messages = warning")
        connection.execute("create schema if not exists ml")
        for table in TABLES:
            connection.execute(_definition(table))


def _definition(table: ResultTable) -> sql.Composed:
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
        for name, kind in table.columns.items()
    ]
    keys = sql.SQL(", ").join(map(sql.Identifier, table.keys))
    return sql.SQL("create table if not exists {} ({}, primary key ({}))").format(
        table.identifier, sql.SQL(", ").join(columns), keys
    )


def replace_rows(
    connection: Connection, table: ResultTable, rows: Iterable[Sequence[object]]
) -> int:
    """Replace the table's rows, in the order of its columns; how many there are now.

    Belongs to the caller's transaction; readers wait for its end.
    """
    connection.execute(sql.SQL("truncate {}").format(table.identifier))
    written = 0
    with connection.cursor().copy(sql.SQL("copy {} from stdin").format(table.identifier)) as copy:
        for row in rows:
            copy.write_row(row)
            written += 1
    return written
