"""What each incremental model must hold, computed in other words from the raw rows and seeds.

The columns of a query are those that are compared. None of them uses a macro of the project.
"""

# Of each raw table the event's id and time.
_STREAMS = {
    "bitcoin_prices_raw": ("id", "event_timestamp"),
    "news_events_raw": ("id", "event_timestamp"),
    "transactions_raw": ("transaction_id", "timestamp"),
    "refunds_raw": ("refund_id", "timestamp"),
    "account_transactions_raw": ("transaction_id", "transaction_time"),
}


def _first_landed(table: str) -> str:
    """The first row of each id, with what had arrived before it and the id's other times."""
    key, time = _STREAMS[table]
    return f"""
        select distinct on ({key}) *,
            {time} as event_timestamp_of_all,
            (select max(earlier.{time}) from streaming.{table} as earlier
             where earlier._partition_id = arrival._partition_id
               and (earlier._load_id, earlier._offset) < (arrival._load_id, arrival._offset)
            ) as _watermark,
            (select range_agg(tstzrange(other.{time}, other.{time}, '[]'))
             from streaming.{table} as other
             where other.{key} = arrival.{key} and other.{time} <> arrival.{time}
            ) as _other_event_times
        from streaming.{table} as arrival
        order by {key}, _load_id, _partition_id, _offset"""


def _staged(table: str, columns: str) -> str:
    return f"""
        select {columns}, event_timestamp_of_all as event_timestamp, ingestion_timestamp,
            _watermark, _other_event_times, _partition_id, _offset, _load_id
        from ({_first_landed(table)}) as first_landed"""


_PREVIOUS_PRICE = """
    lag(price) over (partition by source, coin, currency order by event_timestamp, id)"""

_KNOWN_MEMBERS = """
    product_id as source_product_id, store_id as source_store_id,
    case when product_id in (select product_id from seeds.pos_products) then product_id
         else '-1' end as product_id,
    case when store_id in (select store_id from seeds.pos_stores) then store_id
         else '-1' end as store_id"""

_MINUTES = f"""
    with sales as (
        select date_trunc('minute', timestamp) as window_start, product_id, amount,
            coalesce(
                _watermark - date_trunc('minute', timestamp) > interval '6 minutes', false
            ) as is_late
        from ({_first_landed("transactions_raw")}) as first_landed
    )
    select window_start, window_start + interval '60 seconds' as window_end, product_id,
        sum(amount) as total_revenue, count(*) as transaction_count,
        count(*) filter (where is_late) as late_transaction_count,
        coalesce(sum(amount) filter (where is_late), 0) as late_revenue
    from sales
    group by window_start, product_id"""

_REFUNDS = f"""
    with sales as ({_first_landed("transactions_raw")}),
    refunds as ({_first_landed("refunds_raw")}),
    summed as (
        select original_transaction_id, sum(refund_amount) as sale_refunded_amount
        from refunds group by original_transaction_id
    )
    select refund_id, original_transaction_id, {_KNOWN_MEMBERS}, customer_id, refund_amount,
        (select amount from sales where transaction_id = original_transaction_id) as sale_amount,
        sale_refunded_amount, timestamp as refunded_at
    from refunds join summed using (original_transaction_id)"""

_HOURS = f"""
    with hours as (
        select source, coin, currency, date_trunc('hour', event_timestamp, 'UTC') as hour,
            array_agg(price order by event_timestamp, id) as prices,
            count(*) filter (where abs(change_24h) >= 5) as large_change_count
        from ({_first_landed("bitcoin_prices_raw")}) as first_landed
        group by source, coin, currency, hour
    ),
    measured as (
        select *, prices[1] as first, prices[cardinality(prices)] as last,
            round(prices[cardinality(prices)] / prices[1] - 1, 10) as price_return
        from hours
    )
    select source, coin, currency, measured.hour as hour_started_at, first as open_price,
        measured.last as close_price, cardinality(prices) as price_count,
        large_change_count, price_return,
        (select round((max(p) - min(p)) / first, 10) from unnest(prices) as p) as range_share,
        (select round(stddev_samp(prices[i + 1] / prices[i] - 1), 10)
         from generate_series(1, cardinality(prices) - 1) as i) as realised_volatility,
        before.hour as previous_hour_started_at, before.last as previous_close_price,
        (select round(stddev_samp(around.price_return), 10) from measured as around
         where around.coin = measured.coin
           and around.hour between measured.hour - interval '23 hours' and measured.hour
        ) as volatility_24h
    from measured
    left join lateral (
        select earlier.hour, earlier.last from measured as earlier
        where earlier.coin = measured.coin and earlier.hour < measured.hour
        order by earlier.hour desc limit 1
    ) as before on true"""

_NEWS = f"""
    select source, category, (event_timestamp at time zone 'UTC')::date as date_day,
        case source_name when 'Reuters' then 'WIRE_SERVICE' else 'OTHER' end as source_category,
        count(*) as article_count, count(*) filter (where has_crypto_mention)
            as flagged_article_count, sum(word_count) as word_count
    from ({_first_landed("news_events_raw")}) as first_landed
    group by source, category, date_day, source_category"""

_NET_REVENUE = f"""
    with sales as ({_first_landed("transactions_raw")}),
    refunds as ({_first_landed("refunds_raw")}),
    movements as (
        select timestamp, store_id, product_id, amount, 0 as refunded, 0 as refunded_of_sales
        from sales
        union all
        select timestamp, store_id, product_id, 0, refund_amount, 0 from refunds
        union all
        select coalesce(sales.timestamp, refunds.timestamp), coalesce(sales.store_id, '-1'),
            coalesce(sales.product_id, '-1'), 0, 0, refund_amount
        from refunds left join sales on transaction_id = original_transaction_id
    ),
    days as (
        select (timestamp at time zone 'UTC')::date as date_day, store_id, product_id,
            sum(amount) as gross_revenue, sum(refunded) as refund_amount,
            sum(refunded_of_sales) as sales_refund_amount, sum(amount - refunded) as net_revenue
        from movements group by 1, 2, 3
    )
    select date_day, gross_revenue, refund_amount, sales_refund_amount, net_revenue,
        {_KNOWN_MEMBERS}
    from days"""


def _lateness() -> str:
    streams = " union all ".join(
        f"""select '{table.removesuffix("_raw").replace("_", "-")}' as stream,
                event_timestamp_of_all as event_at, _watermark from ({_first_landed(table)}) as x"""
        for table in _STREAMS
    )
    return f"""
        with measured as (
            select stream, (event_at at time zone 'UTC')::date as date_day,
                round(coalesce(greatest(extract(epoch from _watermark - event_at), 0), 0), 3)
                    as seconds
            from ({streams}) as arrivals
        ),
        days as (
            select stream, date_day, array_agg(seconds order by seconds) as seconds,
                count(*)::int as n
            from measured group by stream, date_day
        )
        select stream, date_day, n as event_count,
            (select count(*) from unnest(seconds) as s where s > 0) as out_of_order_count,
            (select count(*) from unnest(seconds) as s where s > 300) as late_event_count,
            seconds[ceil(n * 0.5)::int] as p50_lateness_seconds,
            seconds[ceil(n * 0.95)::int] as p95_lateness_seconds,
            seconds[ceil(n * 0.99)::int] as p99_lateness_seconds,
            seconds[n] as max_lateness_seconds
        from days"""


EXPECTED: dict[str, str] = {
    "stg_bitcoin": f"""
        select *, {_PREVIOUS_PRICE} as previous_price,
            price - {_PREVIOUS_PRICE} as price_change
        from ({_staged("bitcoin_prices_raw", "id, source, coin, currency, price")}) as prices""",
    "stg_news": _staged("news_events_raw", "id, headline, source_name, word_count, published_at"),
    "stg_transactions": _staged(
        "transactions_raw", "transaction_id, product_id, store_id, customer_id, amount"
    ),
    "stg_refunds": _staged(
        "refunds_raw",
        "refund_id, original_transaction_id, product_id, store_id, refund_amount, reason",
    ),
    "stg_account_transactions": _staged(
        "account_transactions_raw", "transaction_id, customer_id, transaction_amt"
    ),
    "fct_pos_transactions": f"""
        select transaction_id, {_KNOWN_MEMBERS}, customer_id, amount, timestamp as sold_at
        from ({_first_landed("transactions_raw")}) as first_landed""",
    "fct_pos_refunds": _REFUNDS,
    "fct_product_metrics_minute": _MINUTES,
    "fct_pos_net_revenue_daily": _NET_REVENUE,
    "fct_account_transactions": f"""
        select transaction_id, customer_id, transaction_amt, transaction_time as transacted_at,
            case when transaction_amt > 0 then transaction_amt else 0 end as money_in,
            case when transaction_amt < 0 then -transaction_amt else 0 end as money_out
        from ({_first_landed("account_transactions_raw")}) as first_landed""",
    "fct_stream_lateness": _lateness(),
    "fct_bitcoin_prices": _HOURS,
    "fct_news_daily": _NEWS,
}
