{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='id',
        on_schema_change='fail',
        tags=['streaming'],
        indexes=[
            {'columns': ['id'], 'unique': true},
            {'columns': ['source', 'coin', 'currency', 'event_timestamp', 'id'], 'unique': true}
        ],
        pre_hook="{{ begin_stream_read('stg_bitcoin', source('streaming', 'bitcoin_prices_raw')) }}"
    )
}}

with

raw_prices as (

    select * from {{ source('streaming', 'bitcoin_prices_raw') }}

),

{% if reads_new_rows_only() -%}

stream_reads as (

    select * from {{ source('stream_reads', 'stream_reads') }}

),

-- Not materialized: it is used more than once, and would be copied whole instead of looked up.
published as not materialized (

    select * from {{ this }}

),

unread as (

    {{ pending_rows('stg_bitcoin', 'raw_prices', 'stream_reads') }}

),

unread_ids as (

    select distinct id from unread

),

-- Of all rows of an id the one that landed first counts. The published row stands for every
-- row of its id that was read before. "offset 0" keeps the planner from scanning the whole table.
known as (

    select standing.*
    from unread_ids
    cross join lateral (
        select
            published.id,
            published.source,
            published.coin,
            published.currency,
            published.price,
            published.change_24h,
            published.event_timestamp,
            published.ingestion_timestamp,
            published._cluster_id,
            published._topic,
            published._partition,
            published._offset,
            published._load_id
        from published
        where published.id = unread_ids.id
        offset 0 -- noqa: AM09
    ) as standing

),

candidates as (

    select
        id, source, coin, currency, price, change_24h, event_timestamp, ingestion_timestamp,
        _cluster_id, _topic, _partition, _offset, _load_id
    from unread

    union all

    select * from known

),

first_landed as (

    select distinct on (id) *
    from candidates
    order by id, {{ landing_order() }}

),

changed as (

    select first_landed.*
    from first_landed
    left join known
        on
            first_landed.id = known.id
            and first_landed._cluster_id = known._cluster_id
            and first_landed._topic = known._topic
            and first_landed._partition = known._partition
            and first_landed._offset = known._offset
    where known.id is null

),

-- Published rows that give way to another row of their id, which may lie elsewhere in the series.
replaced as (

    select known.*
    from known
    inner join changed on known.id = changed.id

),

-- Where a price appears or disappears, the price after it gets another previous price.
places as (

    select source, coin, currency, event_timestamp, id from changed

    union

    select source, coin, currency, event_timestamp, id from replaced

),

successors as (

    select distinct following.*
    from places
    cross join lateral (
        select
            published.id,
            published.source,
            published.coin,
            published.currency,
            published.price,
            published.change_24h,
            published.event_timestamp,
            published.ingestion_timestamp,
            published._cluster_id,
            published._topic,
            published._partition,
            published._offset,
            published._load_id
        from published
        where
            published.source = places.source
            and published.coin = places.coin
            and published.currency = places.currency
            and (published.event_timestamp, published.id) > (places.event_timestamp, places.id)
            and published.id not in (select replaced.id from replaced)
        order by published.event_timestamp, published.id
        limit 1
    ) as following

),

rebuilt as (

    select * from changed

    union all

    select * from successors

),

predecessors as (

    select distinct preceding.*
    from rebuilt
    cross join lateral (
        select
            published.id,
            published.source,
            published.coin,
            published.currency,
            published.price,
            published.event_timestamp
        from published
        where
            published.source = rebuilt.source
            and published.coin = rebuilt.coin
            and published.currency = rebuilt.currency
            and (published.event_timestamp, published.id) < (rebuilt.event_timestamp, rebuilt.id)
            and published.id not in (select replaced.id from replaced)
        order by published.event_timestamp desc, published.id desc
        limit 1
    ) as preceding

),

neighbourhood as (

    select id, source, coin, currency, price, event_timestamp from rebuilt

    union

    select id, source, coin, currency, price, event_timestamp from predecessors

),

previous as (

    select
        id,
        lag(price) over (
            partition by source, coin, currency order by event_timestamp, id
        ) as previous_price
    from neighbourhood

),

prices as (

    select
        rebuilt.*,
        previous.previous_price
    from rebuilt
    inner join previous on rebuilt.id = previous.id

),

{%- else -%}

first_landed as (

    select distinct on (id) *
    from raw_prices
    order by id, {{ landing_order() }}

),

prices as (

    select
        *,
        lag(price) over (
            partition by source, coin, currency order by event_timestamp, id
        ) as previous_price
    from first_landed

),

{%- endif %}

final as (

    select
        -- ids
        id,
        source,
        coin,
        currency,

        -- numbers
        price,
        change_24h,
        {{ categorize_volatility('change_24h') }} as volatility_category,
        previous_price,
        price - previous_price as price_change,

        -- calendar (UTC)
        {{ calendar_parts('event_timestamp') }},

        -- times
        event_timestamp,
        ingestion_timestamp,

        -- loader
        _cluster_id,
        _topic,
        _partition,
        _offset,
        _load_id
    from prices

)

select * from final
