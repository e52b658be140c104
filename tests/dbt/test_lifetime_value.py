"""Lifetime value of the generated customers: published whole, and seen when it is out of date."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from insight.database import DatabaseEndpoint, connect
from ml_pipeline.lifetime_value.run import value_customers

RunDbtIn = Callable[[Path, DatabaseEndpoint, str], tuple[bool, str]]

_BUILD = "dbt build --select stg_customer_lifetime_value fct_customer_lifetime_value"
_ORDERS_FACT = "assert_lifetime_values_have_the_purchases_of_each_customer"


@pytest.fixture
def valued(warehouse: DatabaseEndpoint, tmp_path: Path) -> DatabaseEndpoint:
    """The shared warehouse's copy after a run of the models."""
    report = value_customers(warehouse, model_dir=tmp_path, origin="generated")
    assert report.skipped_reason is None
    return warehouse


def test_it_is_published_whole_and_told_when_orders_or_customers_are_others(
    valued: DatabaseEndpoint, copy_project: Callable[[], Path], run_dbt: RunDbtIn
) -> None:
    project = copy_project()
    success, output = run_dbt(project, valued, _BUILD)
    assert success, output
    assert "WARN=0" in output
    with connect(valued) as connection:
        published = connection.execute(
            "select count(*) from marts.fct_customer_lifetime_value"
        ).fetchone()
        with_orders = connection.execute(
            "select count(distinct customer_id) from marts.fct_orders where customer_id <> '-1'"
        ).fetchone()
        assert published == with_orders
    for statement in (
        "insert into marts.fct_customer_lifetime_value"
        " select * from marts.fct_customer_lifetime_value limit 1",
        "update marts.fct_customer_lifetime_value set customer_id = null",
    ):
        with pytest.raises(psycopg.errors.IntegrityError), connect(valued) as connection:
            connection.execute(statement)
    with connect(valued) as connection:
        connection.execute(
            "update ml.customer_lifetime_value set customer_id = 'stranger'"
            " where customer_id = (select max(customer_id) from ml.customer_lifetime_value)"
        )
        connection.execute(
            "delete from marts.fct_orders where order_date ="
            " (select max(order_date) from marts.fct_orders)"
        )
    success, output = run_dbt(project, valued, _BUILD)
    assert success, output
    assert "WARN=2" in output
    assert f"Warning in test {_ORDERS_FACT}" in output
    assert "Warning in test relationships_stg_customer_lifetime_value" in output
    with connect(valued) as connection:
        assert connection.execute(
            "select count(*) from marts.fct_customer_lifetime_value where customer_id = 'stranger'"
        ).fetchone() == (0,)
