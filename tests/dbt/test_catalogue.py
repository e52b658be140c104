"""After each run the catalogue is compared with the config; what is not there fails the run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from insight.database import DatabaseEndpoint, connect

RunDbtIn = Callable[[Path, DatabaseEndpoint, str], tuple[bool, str]]

# Each takes something away that the config of a model declares, or adds what it does not.
_CHANGES = {
    "alter table marts.fct_pos_transactions drop constraint {primary_key}": (
        '"marts"."fct_pos_transactions" lacks primary key transaction_id'
    ),
    "drop index marts.{index}": ('"marts"."fct_pos_transactions" lacks index by btree product_id'),
    "comment on table marts.fct_pos_transactions is null": (
        '"marts"."fct_pos_transactions" lacks comment One row a sale'
    ),
    "comment on column marts.fct_pos_transactions.store_id is 'Another.'": (
        '"marts"."fct_pos_transactions" lacks comment of store_id'
    ),
    "alter table marts.fct_pos_transactions alter column product_id drop not null": (
        '"marts"."fct_pos_transactions" lacks not null of product_id'
    ),
    "alter table marts.dim_pos_stores alter column size_sqft type bigint": (
        '"marts"."dim_pos_stores" lacks type of size_sqft integer'
    ),
    "alter table marts.dim_pos_stores drop column region": (
        '"marts"."dim_pos_stores" lacks column region'
    ),
    "alter table marts.dim_pos_stores add column extra text": (
        '"marts"."dim_pos_stores" has a column extra that is not described'
    ),
    "comment on column snapshots.customer_snapshot.gender is null": (
        '"snapshots"."customer_snapshot" lacks comment of gender'
    ),
    "drop view staging.stg_tax_amount": '"staging"."stg_tax_amount" does not exist',
}

# Tests that read what is changed; most of them fail or pass for reasons of their own.
_TESTS = (
    "equal_row_count_dim_pos_stores_1__ref_pos_stores_"
    " has_valid_history_customer_snapshot_customer_id"
    " relationships_fct_pos_transactions_store_id__store_id__ref_dim_pos_stores_"
    " not_null_stg_tax_amount_product_category"
)


@pytest.fixture
def names(warehouse: DatabaseEndpoint) -> dict[str, str]:
    """The names that Postgres and dbt gave to the primary key and an index of one mart."""
    with connect(warehouse) as connection:
        primary_key = connection.execute(
            "select conname from pg_constraint"
            " where contype = 'p' and conrelid = 'marts.fct_pos_transactions'::regclass"
        ).fetchone()
        index = connection.execute(
            "select indexname from pg_indexes where schemaname = 'marts'"
            " and tablename = 'fct_pos_transactions' and indexdef like '%(product_id)'"
        ).fetchone()
    assert primary_key is not None
    assert index is not None
    return {"primary_key": str(primary_key[0]), "index": f'"{index[0]}"'}


def test_whatever_is_missing_in_the_catalogue_fails_the_run(
    run_dbt: RunDbtIn, built_project: Path, warehouse: DatabaseEndpoint, names: dict[str, str]
) -> None:
    with connect(warehouse) as connection:
        for change in _CHANGES:
            connection.execute(change.format(**names))
    success, output = run_dbt(built_project, warehouse, f"dbt test --select {_TESTS}")
    assert not success
    assert "the catalogue is not as configured" in output
    assert [told for told in _CHANGES.values() if told not in output] == []


def test_a_view_that_another_run_replaces_meanwhile_is_found(
    run_dbt: RunDbtIn, built_project: Path, warehouse: DatabaseEndpoint
) -> None:
    run = "dbt test --select not_null_stg_tax_amount_product_category"
    success, output = run_dbt(built_project, warehouse, run)
    assert success, output
    (hook,) = built_project.glob("target/compiled/**/dbt_pipeline-on-run-end-1.sql")
    with connect(warehouse) as comparing, connect(warehouse) as replacing:
        comparing.execute("set transaction isolation level repeatable read")
        comparing.execute("select from pg_class limit 1")
        replacing.execute("alter view staging.stg_tax_amount rename to stg_tax_amount__old")
        replacing.execute(
            "create view staging.stg_tax_amount as select * from staging.stg_tax_amount__old"
        )
        replacing.commit()
        comparing.execute(hook.read_bytes())


def test_a_run_does_not_mend_an_incremental_model_and_says_so(
    run_dbt: RunDbtIn, built_project: Path, warehouse: DatabaseEndpoint, names: dict[str, str]
) -> None:
    with connect(warehouse) as connection:
        connection.execute("drop index marts.{index}".format(**names))
    run = "dbt run --select fct_pos_transactions"
    success, output = run_dbt(built_project, warehouse, run)
    assert not success
    assert '"marts"."fct_pos_transactions" lacks index by btree product_id' in output
    success, output = run_dbt(built_project, warehouse, f"{run} --full-refresh")
    assert success, output
