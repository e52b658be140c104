"""An increment costs what its new rows cost, however long the history is."""

import time

from increments.warehouse import StreamingWarehouse

from insight.database import DatabaseEndpoint, connect

_SALES_OF_A_LOAD = """
insert into streaming.transactions_raw
select 'sale' || i, 'P00' || 1 + i % 6, 'S001', 'C' || i % 50, 10,
       timestamptz '2019-01-01 00:00+00' + i * interval '20 seconds', now(), i, 97, {load}
from generate_series({first}, {last}) as i
"""
_PAGES = """
select sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)
from pg_statio_user_tables where schemaname in ('streaming', 'staging', 'marts')
"""


def _pages(endpoint: DatabaseEndpoint) -> int:
    """Pages of the tables that were read until now; sessions count theirs when they end."""
    counts = [-1]
    while len(set(counts[-2:])) > 1 or len(counts) == 1:
        time.sleep(0.2)
        with connect(endpoint) as connection:
            row = connection.execute(_PAGES).fetchone()
        assert row is not None
        counts.append(int(str(row[0])))
    return counts[-1]


def test_the_cost_of_an_increment_does_not_grow_with_history(
    streams: StreamingWarehouse,
) -> None:
    models = ("stg_transactions", "fct_pos_transactions", "fct_product_metrics_minute")
    with connect(streams.endpoint) as connection:
        for schema, model in zip(("staging", "marts", "marts"), models, strict=True):
            connection.execute(f"alter table {schema}.{model} set (autovacuum_enabled = false)")
    costs = []
    first = 0
    for load, (history, last) in enumerate(((2_000, 2_200), (40_000, 40_200))):
        _load_sales(streams.endpoint, 2 * load, first, history)
        streams.dbt("run", "--select", *models)
        _load_sales(streams.endpoint, 2 * load + 1, history + 1, last)
        first = last + 1
        costs.append([_cost(streams, model) for model in models])
    on_little_history, on_much = costs
    for model, before, after in zip(models, on_little_history, on_much, strict=True):
        # Twenty times the history: an index is a level deeper, and that is all.
        assert after < 2 * before, (model, before, after)


def _load_sales(endpoint: DatabaseEndpoint, load: int, first: int, last: int) -> None:
    with connect(endpoint, autocommit=True) as connection:
        connection.execute(_SALES_OF_A_LOAD.format(load=load, first=first, last=last))
        connection.execute("vacuum analyze")


def _cost(streams: StreamingWarehouse, model: str) -> int:
    before = _pages(streams.endpoint)
    streams.dbt("run", "--select", model)
    return _pages(streams.endpoint) - before
