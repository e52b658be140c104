-- A view, so that keeping the old version costs a refresh nothing. It reads version 2 by number:
-- without it a version 3 would one day change what version 1 shows.
with

hours as (

    select * from {{ ref('fct_bitcoin_prices', v=2) }}

),

final as (

    select
        source,
        coin,
        currency,
        hour_started_at,
        date_day,
        open_price,
        high_price,
        low_price,
        close_price,
        average_price,
        price_count,
        large_change_count as high_volatility_count,
        last_ingested_at
    from hours

)

select * from final
