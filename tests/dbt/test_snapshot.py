"""The snapshot keeps a customer's history."""

from collections.abc import Callable
from pathlib import Path

from insight.database import DatabaseEndpoint, connect

RunDbtIn = Callable[[Path, DatabaseEndpoint, str], tuple[bool, str]]


def test_a_moved_customer_has_a_historical_and_a_current_row(
    warehouse: DatabaseEndpoint, copy_project: Callable[[], Path], run_dbt: RunDbtIn
) -> None:
    with connect(warehouse) as connection:
        row = connection.execute(
            """update raw.customers set location = 'Anchorage'
               where customer_id = (select min(customer_id) from raw.customers)
               returning customer_id"""
        ).fetchone()
        connection.execute(
            "delete from raw.customers"
            " where customer_id = (select max(customer_id) from raw.customers)"
        )
    assert row is not None
    success, output = run_dbt(copy_project(), warehouse, "dbt snapshot")
    assert success, output
    with connect(warehouse) as connection:
        versions = connection.execute(
            """select location = 'Anchorage', dbt_valid_to is null
               from snapshots.customer_snapshot where customer_id = %s order by dbt_valid_from""",
            (row[0],),
        ).fetchall()
        gone = connection.execute(
            """select count(*) from snapshots.customer_snapshot
               where dbt_valid_to is not null and location <> 'Anchorage'"""
        ).fetchone()
    assert versions == [(False, False), (True, True)]
    assert gone == (2,)
