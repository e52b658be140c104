with

prices as (

    select * from {{ ref('stg_bitcoin') }}

),

hourly as (

    select
        source,
        coin,
        currency,
        date_trunc('hour', event_timestamp, 'UTC') as hour_started_at,
        (array_agg(price order by event_timestamp, id))[1] as open_price,
        max(price) as high_price,
        min(price) as low_price,
        (array_agg(price order by event_timestamp desc, id desc))[1] as close_price,
        avg(price) as average_price,
        count(*) as price_count,
        count(*) filter (where volatility_category = 'HIGH_VOLATILITY') as high_volatility_count,
        max(ingestion_timestamp) as last_ingested_at
    from prices
    group by source, coin, currency, date_trunc('hour', event_timestamp, 'UTC')

),

final as (

    select
        source,
        coin,
        currency,
        hour_started_at,
        cast(hour_started_at at time zone 'UTC' as date) as date_day,
        cast(open_price as numeric(28, 8)) as open_price,
        cast(high_price as numeric(28, 8)) as high_price,
        cast(low_price as numeric(28, 8)) as low_price,
        cast(close_price as numeric(28, 8)) as close_price,
        cast(average_price as numeric(28, 8)) as average_price,
        cast(price_count as integer) as price_count,
        cast(high_volatility_count as integer) as high_volatility_count,
        last_ingested_at
    from hourly

)

select * from final
