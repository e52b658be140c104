{%- set key = ['source', 'coin', 'currency', 'hour_started_at'] -%}
{%- set facts = [
    'open_price', 'high_price', 'low_price', 'close_price', 'average_price', 'price_count',
    'large_change_count', 'price_return', 'range_share', 'realised_volatility', 'last_price_at',
    'last_ingested_at',
] -%}
{{
    config(
        materialized='incremental',
        incremental_strategy='rebuild_groups',
        unique_key=key,
        incremental_predicates=['price_count > 0'],
        on_schema_change='fail',
        indexes=[{'columns': ['hour_started_at']}],
        pre_hook="{{ begin_model_read('fct_bitcoin_prices', ['stg_bitcoin']) }}"
    )
}}

with

prices as not materialized (

    select * from {{ ref('stg_bitcoin') }}

),

{% if reads_new_rows_only() -%}
published as not materialized (

    select * from {{ this }}

),

changed as (

    {{ changed_rows('fct_bitcoin_prices', 'prices') }}

),

changed_hours as (

    select distinct date_trunc('hour', place.event_at, 'UTC') as hour_started_at
    from changed
    cross join {{ event_times('changed') }} as place

),

-- Every series of such an hour: a price that arrived again can have left one for another.
rebuilt as (

    select
        price.source,
        price.coin,
        price.currency,
        changed_hours.hour_started_at
    from changed_hours
    cross join {{ events_during('prices', 'changed_hours', 'hour_started_at', '1 hour') }} as price

    union

    select
        standing.source,
        standing.coin,
        standing.currency,
        changed_hours.hour_started_at
    from changed_hours
    cross join {{ lookup('published', 'changed_hours', ['hour_started_at']) }} as standing

),

members as (

    select
        rebuilt.source,
        rebuilt.coin,
        rebuilt.currency,
        rebuilt.hour_started_at,
        price.id,
        price.price,
        price.volatility_category,
        price.event_timestamp,
        price.ingestion_timestamp
    from rebuilt
    left join
        {{
            events_during(
                'prices', 'rebuilt', 'hour_started_at', '1 hour', ['source', 'coin', 'currency']
            )
        }} as price
        on true

),

-- What the prices of a rebuilt hour reach: the hour after it, however far, and the windows of the
-- 23 hours after it. To fill those in, the hours before are needed as they stand.
neighbours as (
    {%- for reach, direction, fence in [
        ("between rebuilt.hour_started_at - interval '23 hours'"
            " and rebuilt.hour_started_at + interval '23 hours'", 'asc', 'offset 0'),
        ('< rebuilt.hour_started_at', 'desc', 'limit 1'),
        ('> rebuilt.hour_started_at', 'asc', 'limit 1'),
    ] %}
    {{- '\n\n    union all' if not loop.first }}

    select
        neighbour.*,
        neighbour.hour_started_at > rebuilt.hour_started_at as is_after
    from rebuilt
    cross join
        lateral (
            select published.*
            from published
            where
                published.source = rebuilt.source
                and published.coin = rebuilt.coin
                and published.currency = rebuilt.currency
                and published.hour_started_at {{ reach }}
            order by published.hour_started_at {{ direction }}
            -- Keeps the planner from turning the look-ups into a scan of the whole relation.
            {{ fence }}
        ) as neighbour
    {%- endfor %}

),

standing as (

    select distinct on ({{ key | join(', ') }}) *
    from neighbours
    where ({{ key | join(', ') }}) not in (select {{ key | join(', ') }} from rebuilt)
    order by {{ key | join(', ') }}, is_after desc

),

{% else -%}
members as (

    select
        *,
        date_trunc('hour', event_timestamp, 'UTC') as hour_started_at
    from prices

),

{% endif -%}
changes as (

    select
        *,
        price / nullif(lag(price) over (
            partition by {{ key | join(', ') }} order by event_timestamp, id
        ), 0) - 1 as return_since_previous
    from members

),

summed as (

    select
        {{ key | join(', ') }},
        (array_agg(price order by event_timestamp, id))[1] as open_price,
        max(price) as high_price,
        min(price) as low_price,
        (array_agg(price order by event_timestamp desc, id desc))[1] as close_price,
        avg(price) as average_price,
        count(price) as price_count,
        count(price) filter (where volatility_category = 'HIGH_VOLATILITY') as large_change_count,
        stddev_samp(return_since_previous) as realised_volatility,
        max(event_timestamp) as last_price_at,
        max(ingestion_timestamp) as last_ingested_at
    from changes
    group by {{ key | join(', ') }}

),

measured as (

    select
        {{ key | join(', ') }},
        cast(open_price as numeric(28, 8)) as open_price,
        cast(high_price as numeric(28, 8)) as high_price,
        cast(low_price as numeric(28, 8)) as low_price,
        cast(close_price as numeric(28, 8)) as close_price,
        cast(average_price as numeric(28, 8)) as average_price,
        cast(price_count as integer) as price_count,
        cast(large_change_count as integer) as large_change_count,
        cast(close_price / nullif(open_price, 0) - 1 as numeric(38, 10)) as price_return,
        cast(
            (high_price - low_price) / nullif(open_price, 0) as numeric(38, 10)
        ) as range_share,
        cast(realised_volatility as numeric(38, 10)) as realised_volatility,
        last_price_at,
        last_ingested_at
    from summed

),

hours as (

    select
        {{ (key + facts) | join(', ') }},
        true as is_rebuilt
    from measured
    {%- if reads_new_rows_only() %}

    union all

    select
        {{ (key + facts) | join(', ') }},
        is_after as is_rebuilt
    from standing
    {%- endif %}

),

-- An hour that all its prices have left is no hour before another.
in_series as (

    select
        *,
        lag(hour_started_at) over each_series as previous_hour_started_at,
        lag(close_price) over each_series as previous_close_price,
        stddev_samp(price_return) over (
            each_series range between interval '23 hours' preceding and current row
        ) as volatility_24h
    from hours
    window each_series as (
        partition by source, coin, currency, price_count > 0 order by hour_started_at
    )

),

final as (

    select
        -- ids
        source,
        coin,
        currency,

        -- times
        hour_started_at,
        cast(hour_started_at at time zone 'UTC' as date) as date_day,
        last_price_at,
        previous_hour_started_at,

        -- numbers
        open_price,
        high_price,
        low_price,
        close_price,
        average_price,
        cast(previous_close_price as numeric(28, 8)) as previous_close_price,
        price_count,
        large_change_count,
        price_return,
        range_share,
        realised_volatility,
        cast(volatility_24h as numeric(38, 10)) as volatility_24h,

        -- loader
        last_ingested_at
    from in_series
    where is_rebuilt

)

select * from final
