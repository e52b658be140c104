"""A day of the market is what was known when it ended; what happens later does not change it."""

import shutil
from collections.abc import Callable
from pathlib import Path

from insight.database import DatabaseEndpoint, connect

RunDbtIn = Callable[[Path, DatabaseEndpoint, str], tuple[bool, str]]

_REFRESH = "dbt run --selector streaming"
_LATER = """
insert into streaming.bitcoin_prices_raw
select 'later' || i, 'coingecko_simulator', (array['bitcoin', 'new'])[1 + i % 2], 'usd', 9000 + i,
    0, timestamptz '2020-01-05 00:00+00' + i * interval '7 hours', now(), 1000 + i, 1, 99
from generate_series(0, 9) as i;
insert into streaming.news_events_raw
select 'later' || i, 'newsapi_simulator', 'Bitcoin', null, 'crypto', 'Reuters', 'u',
    timestamptz '2020-01-04 00:00+00' + i * interval '7 hours', 1, true,
    timestamptz '2020-01-04 00:00+00' + i * interval '7 hours', now(), 1000 + i, 5, 99
from generate_series(0, 9) as i;
insert into streaming.transactions_raw
select 'later' || i, 'P001', 'S001', 'C1', 10, timestamptz '2020-01-04 00:00+00'
    + i * interval '7 hours', now(), 1000 + i, 9, 99
from generate_series(0, 9) as i;
-- Refunds of sales long past: they are events of their own day.
insert into streaming.refunds_raw
select 'later' || _offset, transaction_id, product_id, store_id, customer_id, 5, 'changed_mind',
    timestamptz '2020-01-04 00:00+00', now(), 1000 + _offset, 4, 99
from streaming.transactions_raw
where _partition_id = 9 and _offset < 20;
"""
_LATE = """
insert into streaming.bitcoin_prices_raw
values ('late', 'coingecko_simulator', 'bitcoin', 'usd', 1, 0, '2019-12-30 23:59:59+00', now(),
    2000, 1, 100)
"""
_DAYS = """
select * from marts.fct_market_daily where date_day < '2020-01-04' order by date_day, coin
"""
_PRICES = """
select low_price, close_price, as_of_price, previous_close_price
from marts.fct_market_daily where coin = 'bitcoin' and date_day in ('2019-12-30', '2019-12-31')
order by date_day
"""


def test_later_events_change_no_day_and_a_late_one_its_own_and_the_next(
    warehouse: DatabaseEndpoint,
    copy_project: Callable[[], Path],
    built_project: Path,
    run_dbt: RunDbtIn,
) -> None:
    folder = copy_project()
    shutil.copytree(built_project / "target", folder / "target")
    before = _query(warehouse, _DAYS)
    assert before

    _append(warehouse, folder, run_dbt, _LATER)
    after = _query(warehouse, _DAYS)
    # Days that had not come then are new; those that had are as they were.
    assert after[: len(before)] == before
    assert {row[1] for row in after} == {"bitcoin"}

    _append(warehouse, folder, run_dbt, _LATE)
    first, second = _query(warehouse, _PRICES)
    assert first[:3] == (1, 1, 1)
    assert second[3] == 1
    assert second[0] != 1


def _append(warehouse: DatabaseEndpoint, folder: Path, run_dbt: RunDbtIn, statements: str) -> None:
    with connect(warehouse) as connection:
        connection.execute(statements)
    success, output = run_dbt(folder, warehouse, _REFRESH)
    assert success, output


def _query(warehouse: DatabaseEndpoint, query: str) -> list[tuple[object, ...]]:
    with connect(warehouse) as connection:
        return connection.execute(query).fetchall()
