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

PRODUCT_ASSOCIATIONS = ResultTable(
    "product_associations",
    {
        "domain": "text",
        "antecedent": "text[]",
        "consequent": "text",
        "antecedent_names": "text[] not null",
        "consequent_name": "text not null",
        "antecedent_count": "integer not null",
        "consequent_count": "integer not null",
        "rule_count": "integer not null",
        "basket_count": "integer not null",
        "support": "numeric(7, 6) not null",
        "confidence": "numeric(7, 6) not null",
        "lift": "numeric(16, 6) not null",
        "leverage": "numeric(7, 6) not null",
        "conviction": "numeric(16, 6)",
        "sentence": "text not null",
        "first_basket_on": "date not null",
        "last_basket_on": "date not null",
    },
    keys=("domain", "antecedent", "consequent"),
)

# What the associations were made from: a run on the same makes them no more.
PRODUCT_ASSOCIATION_RUNS = ResultTable(
    "product_association_runs",
    {
        "domain": "text",
        "fingerprint": "text not null",
        "basket_count": "integer not null",
        "product_count": "integer not null",
        "left_out_count": "integer not null",
        "rule_count": "integer not null",
        "skipped_reason": "text",
    },
    keys=("domain",),
)

TABLES: tuple[ResultTable, ...] = (
    CUSTOMER_SEGMENTS,
    PRODUCT_ASSOCIATIONS,
    PRODUCT_ASSOCIATION_RUNS,
)


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
