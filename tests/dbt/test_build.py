"""The whole project builds without a warning, and building again changes nothing."""

import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from insight.database import Connection, DatabaseEndpoint, connect

StartDbt = Callable[..., "subprocess.Popen[str]"]

_RELATIONS = """
select table_schema || '.' || table_name
from information_schema.tables
where table_schema in ('intermediate', 'marts', 'seeds', 'snapshots', 'staging')
  and table_name <> 'stream_reads'
  and not table_name ~ '_dbt_'
"""


def content(endpoint: DatabaseEndpoint) -> dict[str, object]:
    """A sum over every row of every relation that dbt owns."""
    with connect(endpoint) as connection:
        relations = [str(row[0]) for row in connection.execute(_RELATIONS).fetchall()]
        return {
            relation: connection.execute(
                f"select count(*), sum(hashtextextended(t::text, 0)) from {relation} as t"
            ).fetchone()
            for relation in relations
        }


def test_no_build_warns(build_outputs: tuple[str, str]) -> None:
    for output in build_outputs:
        assert re.search(r"PASS=\d+ WARN=0 ERROR=0 SKIP=0", output)
        assert not re.search(r"\bwarn", re.sub(r"WARN=0", "", output), re.IGNORECASE)
        assert "does not match" not in output
        assert "Deprecat" not in output


def test_the_first_build_needs_no_segments(build_outputs: tuple[str, str]) -> None:
    before, after = build_outputs
    assert "customer_segments" not in before
    assert "marts.fct_customer_segments" in after


def test_killed_builds_leave_nothing_that_the_next_build_does_not_repair(
    warehouse: DatabaseEndpoint, copy_project: Callable[[], Path], start_dbt: StartDbt
) -> None:
    before = content(warehouse)
    folder = copy_project()
    build = ("build", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
    for seconds in (1.5, 3):
        process = start_dbt(folder, warehouse, *build, "--full-refresh")
        assert process.stdout is not None
        for line in process.stdout:
            if "Concurrency" in line:
                break
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    completed = start_dbt(folder, warehouse, *build)
    output, _ = completed.communicate(timeout=120)
    assert completed.returncode == 0, output
    assert content(warehouse) == before


def test_every_mart_refuses_a_row_without_its_key(warehouse: DatabaseEndpoint) -> None:
    for mart, key in (
        ("dim_customer", "customer_id"),
        ("dim_products", "product_sku"),
        ("dim_datetime", "date_day"),
        ("fct_sales", "sale_line_id"),
        ("fct_customer_segments", "customer_id"),
        ("fct_customer_rfm", "customer_id"),
        ("fct_pos_customer_segments", "customer_id"),
        ("fct_rfm_cut_points", "measure"),
        ("fct_segment_movements", "customer_id"),
        ("fct_segment_balance", "segment_id"),
        ("fct_bitcoin_prices", "hour_started_at"),
        ("fct_news_daily", "date_day"),
        ("fct_market_daily", "date_day"),
        ("dim_pos_products", "product_id"),
        ("dim_pos_stores", "store_id"),
        ("fct_pos_transactions", "transaction_id"),
        ("fct_pos_refunds", "refund_id"),
        ("fct_product_metrics_minute", "window_start"),
        ("fct_pos_net_revenue_daily", "date_day"),
        ("fct_product_associations", "consequent"),
        ("fct_account_transactions", "transaction_id"),
        ("fct_stream_lateness", "stream"),
    ):
        with connect(warehouse) as connection:
            _refuses(connection, f"insert into marts.{mart} select * from marts.{mart} limit 1")
        with connect(warehouse) as connection:
            _refuses(connection, f"update marts.{mart} set {key} = null")


def _refuses(connection: Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.IntegrityError):
        connection.execute(statement)
    connection.rollback()
