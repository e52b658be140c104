"""Whatever the order in which rows arrive, incremental models end as one full refresh would."""

import random

import pytest
from increments.arrivals import Arrivals
from increments.models import marts, names, neighbours, staging_models
from increments.warehouse import StreamingWarehouse

from insight.database import connect


@pytest.mark.parametrize("seed", [1, 2])
def test_any_interleaving_equals_a_full_refresh(streams: StreamingWarehouse, seed: int) -> None:
    arrivals = Arrivals(random.Random(seed))
    for rows in (6, 30, 0, 60, 20):
        streams.land(arrivals, rows)
        streams.run()
        streams.assert_as_computed_anew()
    streams.assert_as_full_refresh()


def test_rows_that_commit_after_a_read_began_belong_to_the_next(
    streams: StreamingWarehouse,
) -> None:
    arrivals = Arrivals(random.Random(4))
    streams.land(arrivals, 10)
    streams.run()
    with connect(streams.endpoint) as slow_loader:
        arrivals.load(slow_loader, 20, partitions="a")
        with connect(streams.endpoint) as connection:
            arrivals.load(connection, 20, partitions="bc")
        streams.run()
    streams.run()
    streams.assert_as_computed_anew()
    streams.assert_as_full_refresh()


def test_rows_read_by_the_staging_models_only_reach_the_marts_later(
    streams: StreamingWarehouse,
) -> None:
    arrivals = Arrivals(random.Random(5))
    for options in ((), (), ("--full-refresh",)):
        streams.land(arrivals, 20)
        streams.dbt("run", "--select", *names(staging_models(streams.manifest)), *options)
    streams.land(arrivals, 20)
    streams.dbt("run", "--select", *names(marts(streams.manifest)))
    streams.run()
    streams.assert_as_computed_anew()
    streams.assert_as_full_refresh()


def test_sales_find_their_product_when_the_seed_gets_it(streams: StreamingWarehouse) -> None:
    streams.land(Arrivals(random.Random(6)), 20)
    streams.run()
    with connect(streams.endpoint) as connection:
        connection.execute(
            "insert into seeds.pos_products values ('P007', 'New', 'Accessories', 1)"
        )
    streams.dbt(
        "run", "--select", *neighbours(streams.manifest, "model"), *names(marts(streams.manifest))
    )
    with connect(streams.endpoint) as connection:
        unknown = connection.execute(
            """select count(*) filter (where product_id = '-1'), count(*) filter (
                   where store_id = '-1' and source_store_id = 'S009' and product_id = 'P007')
               from (select product_id, store_id, source_store_id from marts.fct_pos_transactions
                     union all select product_id, store_id, source_store_id
                     from marts.fct_pos_refunds) as facts"""
        ).fetchone()
    assert unknown is not None
    assert unknown[0] == 0
    assert unknown[1] != 0
    streams.assert_as_full_refresh()


def test_empty_runs_lose_no_row(streams: StreamingWarehouse) -> None:
    arrivals = Arrivals(random.Random(7))
    for options in (("--empty",), (), ("--empty", "--full-refresh")):
        streams.land(arrivals, 10)
        streams.run(*options)
        streams.run()
        streams.assert_as_computed_anew()
    streams.assert_as_full_refresh()


def test_a_dropped_table_is_read_again_from_the_start(streams: StreamingWarehouse) -> None:
    streams.land(Arrivals(random.Random(8)), 10)
    streams.run()
    before = streams.tables()
    with connect(streams.endpoint) as connection:
        connection.execute("drop table staging.stg_bitcoin, staging.stg_transactions")
        connection.execute("drop table marts.fct_pos_refunds, marts.fct_stream_lateness")
    streams.run()
    assert streams.tables() == before


def test_a_run_without_new_rows_writes_nothing(streams: StreamingWarehouse) -> None:
    streams.land(Arrivals(random.Random(9)), 10)
    streams.run()
    streams.run()
    before = streams.tables("xmin::text, ctid::text")
    streams.run()
    assert streams.tables("xmin::text, ctid::text") == before
