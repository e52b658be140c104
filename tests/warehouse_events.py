"""Events of every stream, as the loader would have written them."""

EVENTS = """
insert into streaming.bitcoin_prices_raw
select
    md5(i::text), 'coingecko_simulator', 'bitcoin', 'usd', 7200 + i % 97, i % 13 - 6,
    timestamptz '2019-12-30 00:00+00' + i * interval '5 minutes', now(), i / 4, 1 + i % 4, 1
from generate_series(0, 575) as i;
insert into streaming.news_events_raw
select
    md5(i::text), 'newsapi_simulator', repeat('word ', i % 13) || 'Bitcoin', null, 'crypto',
    (array['Reuters', 'BBC News', 'Example Times'])[i % 3 + 1], 'https://news.example/' || i,
    timestamptz '2019-12-30 00:00+00' + i * interval '1 hour', i % 13 + 1, true,
    timestamptz '2019-12-30 00:00+00' + i * interval '1 hour', now(), i / 4, 5 + i % 4, 1
from generate_series(0, 47) as i;
-- Some sales come minutes late, and every ninth comes twice.
insert into streaming.transactions_raw
select
    md5('sale' || i - (i % 9) / 8), 'P00' || 1 + i % 6, 'S00' || 1 + i % 3, 'C' || i % 50,
    10 + i % 990 + (i % 100) / 100.0,
    timestamptz '2019-12-30 00:00+00' + i * interval '30 seconds'
    - (i % 10 / 9) * (i % 4) * interval '6 minutes', now(), i / 4, 9 + i % 4, 2 + i / 500
from generate_series(0, 1999) as i;
insert into streaming.refunds_raw
select
    md5('refund' || row_number() over (order by transaction_id)), transaction_id, product_id,
    store_id, customer_id, 5, 'changed_mind', timestamp + interval '1 day',
    now(), _offset, 4 + _partition_id, _load_id
from streaming.transactions_raw
where _offset % 10 = 5;
insert into streaming.account_transactions_raw
select
    md5('movement' || i), 'A' || i % 40, (i % 7 - 3) * 12.34,
    timestamptz '2019-12-30 00:00+00' + i * interval '5 minutes', now(), i / 4, 17 + i % 4, 6
from generate_series(0, 499) as i;
"""
