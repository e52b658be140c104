"""A digest of what a warehouse holds, to compare two of them."""

from pathlib import Path

from psycopg import sql

from insight.database import Connection, connect
from insight.services.lease import lease

# When and through which connection a row came may differ; what it says may not.
_TECHNICAL = {
    "ingestion_timestamp",
    "last_ingested_at",
    "loaded_at",
    "moved_at",
    "processed_at",
    "recorded_at",
    "run_at",
    "updated_at",
    "dbt_updated_at",
    "dbt_valid_from",
    "dbt_scd_id",
}
_SCHEMAS = ("raw", "staging", "intermediate", "marts", "snapshots", "seeds")
_BOOKKEEPING = {
    *("loaded_files", "rejected_rows", "stream_reads"),
    *("stg_dbt_runs", "stg_dbt_run_results"),
    *("fct_dbt_runs", "fct_dbt_model_timings", "fct_dbt_test_flakiness"),
}


def content_of(home: Path) -> dict[str, tuple[int, str]]:
    """Rows and an order-independent checksum of each table and view of the business schemas."""
    with lease(home) as endpoints, connect(endpoints.database) as connection:
        return {
            f"{schema}.{table}": _digest(connection, schema, table)
            for schema, table in _relations(connection)
        }


def _relations(connection: Connection) -> list[tuple[str, str]]:
    rows = connection.execute(
        "select table_schema, table_name from information_schema.tables"
        " where table_schema = any(%s) order by 1, 2",
        [list(_SCHEMAS)],
    ).fetchall()
    return [(str(schema), str(table)) for schema, table in rows if table not in _BOOKKEEPING]


def _digest(connection: Connection, schema: str, table: str) -> tuple[int, str]:
    columns = connection.execute(
        "select column_name from information_schema.columns"
        " where table_schema = %s and table_name = %s and left(column_name, 1) <> '_'",
        [schema, table],
    ).fetchall()
    names = sorted(str(name) for (name,) in columns if name not in _TECHNICAL)
    row = sql.SQL(", ").join(map(sql.Identifier, names))
    query = sql.SQL(
        "select count(*), coalesce(sum(('x' || left(md5(row({})::text), 15))::bit(60)::bigint"
        "::numeric), 0)::text from {}"
    ).format(row, sql.Identifier(schema, table))
    count, checksum = connection.execute(query).fetchone() or (0, "")
    return int(str(count)), str(checksum)
