-- The increments keep previous_price right; this computes it anew over the whole table.
with

prices as (

    select * from {{ ref('stg_bitcoin') }}

),

recomputed as (

    select
        id,
        previous_price,
        lag(price) over (
            partition by source, coin, currency order by event_timestamp, id
        ) as price_before
    from prices

)

select id, previous_price, price_before
from recomputed
where previous_price is distinct from price_before
