"""Schema ml: what the pipeline leaves in the warehouse, one table a result.

A result is replaced whole, in one transaction: a reader sees the rows of one run. dbt reads the
tables as sources; they exist, empty, from the first load on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from psycopg import sql

from insight.database import Connection, DatabaseEndpoint, connect

# Any number that no other part locks: several processes can make the tables at once.
_LOCK = 7_205_006
_BLOCK = 1 << 20


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

SEGMENTATION_RUNS = ResultTable(
    "segmentation_runs",
    {
        "run_id": "text",
        "origin": "text not null",
        "run_number": "integer not null",
        "outcome": "text not null",
        "reason": "text",
        "as_of_date": "date not null",
        "customer_count": "integer not null",
        "cluster_count": "integer not null",
        "named_by": "text",
        "mean_squared_distance": "numeric(38, 6)",
        "silhouette": "numeric(9, 6)",
        "davies_bouldin": "numeric(38, 6)",
        "calinski_harabasz": "numeric(38, 6)",
        "stability_mean": "numeric(9, 6)",
        "stability_min": "numeric(9, 6)",
        "jaccard_min": "numeric(9, 6)",
        "smallest_cluster_share": "numeric(9, 6)",
        "farthest_match": "numeric(38, 6)",
        "psi_recency_days": "numeric(9, 6)",
        "psi_frequency": "numeric(9, 6)",
        "psi_monetary": "numeric(9, 6)",
        "psi_average_order_value": "numeric(9, 6)",
        "moved_share": "numeric(9, 6)",
        "distance_ratio": "numeric(38, 6)",
        "data_sha256": "text not null",
        "labels_sha256": "text",
        "labels_in": "text",
        "recorded_at": "timestamptz not null default clock_timestamp()",
    },
    keys=("run_id",),
)

POS_CUSTOMER_CLUSTERS = ResultTable(
    "pos_customer_clusters",
    {"customer_id": "text", "cluster_id": "integer not null"},
    keys=("customer_id",),
)

# At most one row: the clustering that pos_customer_clusters holds.
POS_CLUSTERING = ResultTable(
    "pos_clustering",
    {
        "fingerprint": "text",
        "as_of": "date not null",
        "customers": "bigint not null",
        "model": "jsonb not null",
    },
    keys=("fingerprint",),
)

CUSTOMER_LIFETIME_VALUE = ResultTable(
    "customer_lifetime_value",
    {
        "customer_id": "text",
        "model": "text not null",
        "as_of_date": "date not null",
        "horizon_days": "integer not null",
        "frequency": "integer not null",
        "recency_days": "integer not null",
        "age_days": "integer not null",
        "mean_order_value": "numeric(22, 2)",
        "expected_purchases": "numeric(14, 6) not null",
        "probability_alive": "numeric(7, 6) not null",
        "probability_of_purchase": "numeric(7, 6) not null",
        "expected_order_value": "numeric(22, 2)",
        "expected_value": "numeric(22, 2)",
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
    SEGMENTATION_RUNS,
    POS_CUSTOMER_CLUSTERS,
    POS_CLUSTERING,
    CUSTOMER_LIFETIME_VALUE,
    REVENUE_ANOMALIES,
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


def replace_with_csv(connection: Connection, table: ResultTable, content: bytes) -> None:
    """Replace the table's rows by those of a CSV with a header, in the order of its columns.

    Belongs to the caller's transaction. Text stays as it is: an empty one is no missing value.
    """
    connection.execute(sql.SQL("truncate {}").format(table.identifier))
    statement = sql.SQL("copy {} from stdin (format csv, header, force_not_null ({}))")
    columns = sql.SQL(", ").join(map(sql.Identifier, table.keys))
    with connection.cursor().copy(statement.format(table.identifier, columns)) as copy:
        for start in range(0, len(content), _BLOCK):
            copy.write(content[start : start + _BLOCK])


def csv_blocks(connection: Connection, table: ResultTable) -> Iterator[bytes]:
    """The table as CSV with a header, in the order in which its rows were written."""
    # Beside another reader a scan may begin in the middle of a large table.
    connection.execute("set local synchronize_seqscans = off")
    statement = sql.SQL("copy {} to stdout (format csv, header)").format(table.identifier)
    with connection.cursor().copy(statement) as copy:
        yield from map(bytes, copy)
