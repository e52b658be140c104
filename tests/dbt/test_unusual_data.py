"""Data at the edges: no events at all, no segments, customers and categories that are missing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from insight.database import DatabaseEndpoint, connect

RunDbtIn = Callable[[Path, DatabaseEndpoint, str], tuple[bool, str]]


@pytest.fixture
def edge_project(copy_project: Callable[[], Path]) -> Path:
    """A project whose seed holds a header and nothing else."""
    folder = copy_project()
    (folder / "seeds" / "customer_segments.csv").write_text("customer_id,segment_id,segment_name\n")
    return folder


def test_it_builds_from_few_rows_and_warns_of_what_is_missing(
    raw_copy: DatabaseEndpoint, edge_project: Path, run_dbt: RunDbtIn
) -> None:
    with connect(raw_copy) as connection:
        connection.execute(
            """truncate streaming.bitcoin_prices_raw, streaming.news_events_raw,
                   streaming.transactions_raw, streaming.refunds_raw,
                   streaming.account_transactions_raw"""
        )
        connection.execute("delete from raw.online_sales where _row > 30")
        connection.execute("update raw.online_sales set customer_id = 'stranger' where _row = 2")
        connection.execute(
            "update raw.online_sales set product_category = 'Untaxed' where _row = 3"
        )
    success, output = run_dbt(edge_project, raw_copy, "dbt build")
    assert success, output
    assert "WARN=2 ERROR=0" in output
    with connect(raw_copy) as connection:
        stranger = connection.execute(
            "select customer_id from marts.fct_sales where source_customer_id = 'stranger'"
        ).fetchall()
        segments = connection.execute(
            "select distinct segment_id, segment_name from marts.fct_customer_segments"
        ).fetchall()
        untaxed = connection.execute(
            "select gst_amount from marts.fct_sales where product_category = 'Untaxed'"
        ).fetchall()
    assert stranger == [("-1",)]
    assert segments == [(-1, "Unsegmented")]
    assert untaxed == [(0,)]
